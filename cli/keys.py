"""`deskloop data keys`: the secret keys behind customer keys, pseudonyms and hashes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from cli.desk import opened
from cli.groups import Suggesting
from cli.options import config_option, inspecting, sample_option, show
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo
from deskloop.store.keys import CURRENT

if TYPE_CHECKING:
    from deskloop.store.store import Store


@click.group("keys", cls=Suggesting, short_help="The secret keys: list, rotate.")
def keys_command() -> None:
    """The secret keys behind customer keys, pseudonyms and hashes. No command shows a secret."""


@keys_command.command("list", short_help="List the keys.")
@inspecting
def list_command(pipeline: str, sample: int | None, as_json: bool) -> None:
    """List the keys by id, the current one first."""
    store = opened(pipeline, sample).store
    store.prepare()
    rows = [
        {
            "id": key.id,
            "state": "retired" if place else "current",
            "made_at": key.made_at.isoformat() if key.made_at else None,
            "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        }
        for place, key in enumerate(store.keys())
    ]
    show(rows, as_json, map(_line, rows))


def _line(row: Mapping[str, str | None]) -> str:
    times = [f"{name} {str(row[f'{name}_at'])[:16]}" for name in ("made", "retired") if row[f"{name}_at"]]
    return f"{row['id']}  {row['state']:<8}  {', '.join(times)}".rstrip()


@keys_command.command("rotate", short_help="Make a new key.")
@config_option
@sample_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--forget-erasures", is_flag=True,
              help="Continue although only a lost key recognises people who were erased.")  # fmt: skip
def rotate_command(pipeline: str, sample: int | None, yes: bool, forget_erasures: bool) -> None:
    """Make a new key; the old one is kept to recognise what was made under it, such as erasures.

    The next run recomputes everything keyed: customer keys, pseudonyms, hashes, and the ids of conversations whose
    source gives none or a personal one, so that every dataset changes. Those conversations also get new families, and
    may change their split; all others keep theirs.
    """
    store = opened(pipeline, sample).store
    if not yes:
        click.confirm("The next run computes every dataset again, under a new key. Continue?", abort=True, err=True)
    folder = store.root / "keys"
    if folder.is_dir() and not (folder / CURRENT).exists():
        key = store.rotate_key(_given_up(store, forget_erasures))  # no run can be active: the store would not open
    else:
        with store.locked():
            key = store.rotate_key()
    echo(f"{key.id} is the current key; {len(store.keys()) - 1} retired")


def _given_up(store: "Store", forget_erasures: bool) -> list[str]:
    """Ids of the lost keys that erasures need.

    Raises:
        ConfigError: there are some, and the user did not say that these erasures may be forgotten.
    """
    from deskloop.store.key_checks import needed

    there = {path.stem.removeprefix("hmac-") for path in (store.root / "keys").glob("hmac-*.json")}
    lost = {name: count for name, count in needed(store.root).items() if name not in there}
    if lost and not forget_erasures:
        raise ConfigError(
            f"{sum(lost.values()):,} erasures can be recognised by the lost key alone: under a new one these people "
            "come back with the next run. Restore the key from a backup; or add --forget-erasures, and erase each of "
            "them again after that run",
            "the store",
        )
    return sorted(lost)
