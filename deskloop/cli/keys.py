"""`deskloop data keys`: the secret keys behind customer keys, pseudonyms and hashes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskloop.keys import CURRENT, rotate
from deskloop.terminal import echo

if TYPE_CHECKING:
    from deskloop.store import Store

_config = click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)


@click.group("keys", short_help="The secret keys: list, rotate.")
def keys_command() -> None:
    """The secret keys behind customer keys, pseudonyms and hashes. No command shows a secret."""


@keys_command.command("list", short_help="List the keys.")
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def list_command(pipeline: str, as_json: bool) -> None:
    """List the keys by id, the one in use first."""
    store = _store(pipeline)
    store.prepare()
    rows = [
        {
            "id": key.id,
            "state": "retired" if place else "in use",
            "made_at": key.made_at.isoformat() if key.made_at else None,
            "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        }
        for place, key in enumerate(store.keys())
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        times = [f"{name} {str(row[f'{name}_at'])[:16]}" for name in ("made", "retired") if row[f"{name}_at"]]
        echo(f"{row['id']}  {row['state']:<8}  {', '.join(times)}".rstrip())


@keys_command.command("rotate", short_help="Make a new key.")
@_config
@click.option("--yes", is_flag=True, help="Do not ask.")
def rotate_command(pipeline: str, yes: bool) -> None:
    """Make a new key; the old one is kept to find what was made under it, as erasures.

    Everything keyed is computed again by the next run: customer keys, pseudonyms, hashes, and the ids of conversations
    whose source gives none or a personal one, so that every dataset is new. Those conversations also get new families,
    and may change their split; all others keep theirs.
    """
    store = _store(pipeline)
    if not yes:
        click.confirm("The next run computes every dataset again, under a new key. Go on?", abort=True, err=True)
    folder = store.root / "keys"
    if folder.is_dir() and not (folder / CURRENT).exists():
        key = rotate(folder)  # it is lost: no run can be going on, and the store would not open
    else:
        with store.locked():
            key = rotate(folder)
    echo(f"{key.id} is the key in use; {len(store.keys()) - 1} retired")


def _store(pipeline: str) -> "Store":
    from deskloop.config import load_pipeline
    from deskloop.store import Store
    from tasks import sections, stages

    return Store(load_pipeline(Path(pipeline), stages(), sections()).store)
