"""The files of a store that a backup holds.

    always      keys, ledger, raw, memo: data that cannot be derived again
    clean       the other datasets, and the catalog of versions
    models      model folders, without checkpoints
    registry    MLflow's database in the store, with the alias of the champion
    reports     the pages of past runs

The registry refers to models, and a model to the versions that it was trained on: `registry` includes `models`, which
includes `clean`.
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
SKIPPED = frozenset([".staging", ".work"])  # left over from a killed run
PRIVATE = frozenset(["keys", "raw", "memo"])  # restored with mode 0600


@dataclass(frozen=True)
class Entry:
    """A file of the store.

    Attributes:
        part: the part of the backup that it belongs to.
        name: its path inside the store, with slashes.
    """

    part: str
    name: str
    path: Path
    size: int


def parts_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of a backup, including those that the requested ones depend on; `all` selects all parts.

    Raises:
        ConfigError: there is no such part.
    """
    wrong = [name for name in wanted if name not in (*OPTIONAL, "all")]
    if wrong:
        raise ConfigError(f"--with {wrong[0]}: choose from {', '.join(OPTIONAL)}, all", "the command")
    chosen = {part for name in wanted for part in (name, *BRINGS.get(name, ()))} if "all" not in wanted else OPTIONAL
    return (*ALWAYS, *(name for name in OPTIONAL if name in chosen))


def entries(root: Path, parts: Collection[str]) -> Iterator[Entry]:
    """Yield every file of these parts, in a fixed order.

    Raises:
        ConfigError: a path in the store is neither a file nor a folder.
    """
    for part in parts:
        for top in FOLDERS[part]:
            yield from _below(part, root, root / top)


def _below(part: str, root: Path, path: Path) -> Iterator[Entry]:
    if not os.path.lexists(path):
        return
    name = path.relative_to(root).as_posix()
    if path.is_symlink() or not (path.is_dir() or path.is_file()):
        raise ConfigError(f"{path} is neither a file nor a folder; move it out of the store", "the store")
    if path.is_dir():
        for child in sorted(path.iterdir()):
            if child.name not in SKIPPED:
                yield from _below(part, root, child)
    else:
        yield Entry(part, name, path, path.stat().st_size)


def part_of(name: str) -> str | None:
    """Return the part that a path inside a store belongs to; None if there is none, or the path leaves the store."""
    pieces = name.split("/")
    if any(piece in ("", ".", "..") or "\0" in piece or "\\" in piece for piece in pieces):
        return None
    owners = {top: part for part, tops in FOLDERS.items() for top in tops}
    return owners.get(pieces[0]) if len(pieces) > 1 or pieces[0] == "mlflow.db" else None
