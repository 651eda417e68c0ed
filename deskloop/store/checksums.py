"""Checksums of the files of a Delta table, so that damage is detected before a step reads the table.

Delta's log lists the files of a commit, but not their contents. `_checksums.json`, beside `_delta_log`, holds the size
and the BLAKE2b hash of every data file, and for every commit a digest of its file list and of its log entry.

`deskloop.store.commit.committing` wraps every commit and keeps the file up to date. A process that is killed between a
commit and its checksums leaves `writing` set; the next commit adds the missing entries. Every commit carries a mark,
which distinguishes a lost `_checksums.json` from a table that an earlier version of deskloop wrote without one.
"""

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.store.digest import text_digest
from deskloop.store.durable import replace_file

NAME = "_checksums.json"
TABLES = ".tables.json"  # in `ledger` and `raw`: required tables that the catalog does not list
DAMAGED = "_damaged"  # a file beside the log: this table was found damaged and has not been rebuilt yet
MARK = "deskloop.checksums"


@dataclass
class Checksums:
    """Checksums of a table's files, as they were written.

    Attributes:
        table: the folder's name, so that exchanged tables are detected.
        version: the last Delta commit that is covered.
        writing: a later commit may exist.
        files: path -> [bytes, BLAKE2b-128], of data files and of the change feed's.
        commits: Delta version -> [digest of its list of files and its schema, BLAKE2b-128 of its log entry].
    """

    table: str
    version: int = -1
    writing: bool = False
    files: dict[str, list[Any]] = field(default_factory=dict)
    commits: dict[str, list[str]] = field(default_factory=dict)


def marked() -> Any:
    """Return the properties that mark a commit made inside `committing`."""
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={MARK: "1"})


def checksum(content: bytes) -> str:
    """Return the BLAKE2b-128 hash as 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def place_of(folder: Path) -> str:
    """Return a table's name for messages, such as `clean/scrubbed`; the catalog has no zone."""
    return folder.name if folder.name == "catalog" else f"{folder.parent.name}/{folder.name}"


def damage(folder: Path, problem: str) -> DamageError:
    """Return the error to raise; a table that can be rebuilt is marked, so that the next run rebuilds it."""
    if folder.parent.name == "clean":
        with suppress(OSError):  # a reader without write permission still reports the damage
            (folder / DAMAGED).touch()
    return DamageError(place_of(folder), problem)


def load(folder: Path) -> Checksums | None:
    """Read the checksums of a table; None if it has none yet.

    Raises:
        DamageError: the file was changed, or belongs to another table.
    """
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    recorded, _, payload = content.partition(b"\n")
    if checksum(payload).encode() != recorded:
        raise damage(folder, f"{NAME} does not match its own checksum")
    checksums = Checksums(**orjson.loads(payload))
    if checksums.table != folder.name:
        raise damage(folder, f"its files belong to the table {checksums.table!r}")
    return checksums


def save(folder: Path, checksums: Checksums) -> None:
    """Write the checksums of a table atomically."""
    _write(folder / NAME, orjson.dumps(asdict(checksums)), 0o600 if folder.parent.name == "raw" else 0o644)


def _write(path: Path, payload: bytes, mode: int) -> None:
    """Write a file whose first line is the checksum of the rest."""
    replace_file(path, checksum(payload).encode() + b"\n" + payload, mode)


def opened(folder: Path, version: int | None = None) -> Any:
    """Open the DeltaTable at a commit, by default the last one.

    Raises:
        DamageError: the log cannot be read, or does not reach that commit.
        OSError: a file of the log cannot be opened (permissions, for instance).
    """
    from deltalake import DeltaTable

    try:
        return DeltaTable(str(folder), version=version)
    except BaseException as error:  # a damaged log may make the library panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
    for entry in (folder / "_delta_log").glob("*"):
        entry.open("rb").close()
    raise damage(folder, "its log cannot be read" if version is None else f"its log does not lead to commit {version}")


def state_of(table: Any) -> str:
    """Return a digest of the file list and the schema of an open DeltaTable."""
    return text_digest(sorted(active_files(table)), table.schema().to_json())


def active_files(table: Any) -> list[str]:
    """Return the paths of the data files of an open DeltaTable, relative to its folder."""
    names: list[str] = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return names


def file_checksum(path: Path) -> str:
    """Return the `checksum` of a file, which is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def log_entry(folder: Path, version: int) -> Path:
    """Return the path of a commit's JSON file."""
    return folder / "_delta_log" / f"{version:020}.json"


def is_marked(folder: Path, version: int) -> bool:
    """Return whether a commit was made inside `committing`; False if its log entry no longer exists."""
    try:
        return MARK.encode() in log_entry(folder, version).read_bytes()
    except FileNotFoundError:
        return False


def actions(content: bytes) -> list[dict[str, Any]]:
    """Return the actions of a log entry, each as `{kind: fields}`."""
    return [orjson.loads(line) for line in content.splitlines() if line.strip()]


def expected(zone: Path) -> list[str]:
    """Return the names of the tables that must exist in the ledger or the raw zone.

    Raises:
        DamageError: the list was changed since it was written.
    """
    try:
        recorded, _, payload = (zone / TABLES).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return []
    if checksum(payload).encode() != recorded:
        raise DamageError(f"{zone.name}/{TABLES}", "it does not match its own checksum")
    names: list[str] = orjson.loads(payload)
    return names


def expect_table(folder: Path) -> None:
    """Record that a table must exist from now on."""
    names = expected(folder.parent)
    if folder.name not in names:
        _write(folder.parent / TABLES, orjson.dumps(sorted([*names, folder.name])), 0o600)
