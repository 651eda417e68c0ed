"""Which files of a store a backup holds.

    always      keys, ledger, raw, memo: what cannot be derived from anything else
    clean       the other datasets, and the catalog that knows the versions
    models      model folders, without checkpoints
    registry    MLflow's database in the store: which model is the champion
    reports     the pages of past runs

A registry names models, and a model the versions that it was made from: `registry` brings `models`, and that `clean`.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deskloop.contract.errors import ConfigError

ALWAYS = ("keys", "ledger", "raw", "memo")
OPTIONAL = ("clean", "models", "registry", "reports")
FOLDERS = {
    **{name: (name,) for name in (*ALWAYS, "reports")},
    "clean": ("clean", "catalog"),
    "models": ("models",),
    "registry": ("mlflow.db",),
}
BRINGS = {"registry": ("models", "clean"), "models": ("clean",)}
SKIPPED = frozenset([".staging", ".work"])  # of a run that was killed
PRIVATE = frozenset(["keys", "raw", "memo"])  # for the owner alone, once restored


@dataclass(frozen=True)
class Entry:
    """A file of the store.

    Attributes:
        part: which of the parts it belongs to.
        name: its path inside the store, with slashes.
    """

    part: str
    name: str
    path: Path
    size: int


def parts_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """The parts of a backup, those included that the wanted ones bring; `all` is everything.

    Raises:
        ConfigError: there is no such part.
    """
    wrong = [name for name in wanted if name not in (*OPTIONAL, "all")]
    if wrong:
        raise ConfigError(f"--with {wrong[0]}: choose from {', '.join(OPTIONAL)}, all", "the command")
    chosen = set(OPTIONAL) if "all" in wanted else {two for one in wanted for two in (one, *BRINGS.get(one, ()))}
    return (*ALWAYS, *(name for name in OPTIONAL if name in chosen))


def entries(root: Path, parts: Collection[str]) -> Iterator[Entry]:
    """Every file of these parts, in a fixed order.

    Raises:
        ConfigError: something in the store is neither a file nor a folder.
    """
    for part in parts:
        for top in FOLDERS[part]:
            yield from _below(part, root, root / top)


def _below(part: str, root: Path, path: Path) -> Iterator[Entry]:
    if not os.path.lexists(path):
        return
    name = path.relative_to(root).as_posix()
    if path.is_symlink() or not (path.is_dir() or path.is_file()):
        raise ConfigError(f"{path} is neither a file nor a folder; a backup holds nothing else. Move it", "the store")
    if path.is_dir():
        for one in sorted(path.iterdir()):
            if one.name not in SKIPPED:
                yield from _below(part, root, one)
    else:
        yield Entry(part, name, path, path.stat().st_size)


def part_of(name: str) -> str | None:
    """The part that a path inside a store belongs to; None: to none, or the path leads out of the store."""
    pieces = name.split("/")
    if any(piece in ("", ".", "..") or "\0" in piece or "\\" in piece for piece in pieces):
        return None
    owners = {top: part for part, tops in FOLDERS.items() for top in tops}
    return owners.get(pieces[0]) if len(pieces) > 1 or pieces[0] == "mlflow.db" else None
