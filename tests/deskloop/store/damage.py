"""Functions that damage files, for tests of detection and repair."""

import shutil
from pathlib import Path

from deltalake import DeltaTable

from deskloop.store.checksums import active_files


def flip(path: Path, bit: int | None = None) -> None:
    """Flip one bit, by default in the middle."""
    content = bytearray(path.read_bytes())
    at = len(content) * 4 if bit is None else bit % (8 * len(content))
    content[at // 8] ^= 1 << (at % 8)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Keep the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    """Zeros for the second half, as a file system leaves them after a crash."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2].ljust(size, b"\0"))


def delete(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def swap(one: Path, other: Path) -> None:
    """Exchange two files or folders."""
    aside = one.with_name(".aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def parts(table: Path) -> list[Path]:
    """Return the data files of a table, including the change feed's and those that no commit refers to."""
    return [path for path in sorted(table.rglob("*.parquet")) if "_delta_log" not in path.parts]


def active(table: Path) -> list[Path]:
    """The data files of a table's last commit."""
    return sorted(table / path for path in active_files(DeltaTable(str(table))))


def entries(table: Path) -> list[Path]:
    """The log entries of a table, the last one last."""
    return sorted((table / "_delta_log").glob("*.json"))
