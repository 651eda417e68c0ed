"""Checksums of the files of a Delta table, so that damage is noticed before anything is made from it.

Delta's log says which files a commit consists of, but not what was in them. `_checksums.json`, beside `_delta_log`,
holds the size and the BLAKE2b of every data file, and for every commit a digest of its file list and of its log entry.

Commits are made under `deskloop.store.commit.committing`, which keeps the file up to date. A process that is killed
between a commit and its checksums leaves `writing` set; the next commit adds what is missing. Every commit carries a
mark, so that a lost `_checksums.json` is told apart from a table of an earlier deskloop.
"""

import hashlib
import os
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.store.digest import text_digest

NAME = "_checksums.json"
TABLES = ".tables.json"  # in a zone: the tables that must be there, of those that no catalog entry names
DAMAGED = "_damaged"  # a file beside the log: this table was found damaged, and has not been rebuilt yet
MARK = "deskloop.checksums"


@dataclass
class Checksums:
    """What a table's files were when they were written.

    Attributes:
        table: the folder's name, so that two tables cannot change places.
        version: the last Delta commit that is covered.
        writing: a commit after it may be there.
        files: path -> [bytes, BLAKE2b-128], of data files and of the change feed's.
        commits: Delta version -> [digest of its list of files and its schema, BLAKE2b-128 of its log entry].
    """

    table: str
    version: int = -1
    writing: bool = False
    files: dict[str, list[Any]] = field(default_factory=dict)
    commits: dict[str, list[str]] = field(default_factory=dict)


def marked() -> Any:
    """Properties of a commit that is made under `committing`."""
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={MARK: "1"})


def checksum(content: bytes) -> str:
    """BLAKE2b-128 as 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def place_of(folder: Path) -> str:
    """How messages name a table: `clean/scrubbed`; the catalog has no zone."""
    return folder.name if folder.name == "catalog" else f"{folder.parent.name}/{folder.name}"


def damage(folder: Path, problem: str) -> DamageError:
    """The error to raise; a table that can be rebuilt is marked, so that the next run does."""
    if folder.parent.name == "clean":
        with suppress(OSError):  # a reader that may not write reports the damage all the same
            (folder / DAMAGED).touch()
    return DamageError(place_of(folder), problem)


def load(folder: Path) -> Checksums | None:
    """The checksums of a table; None where none were written yet.

    Raises:
        DamageError: the file is not as it was written, or is another table's.
    """
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    own, _, payload = content.partition(b"\n")
    if checksum(payload).encode() != own:
        raise damage(folder, f"{NAME} does not match its own checksum")
    found = Checksums(**orjson.loads(payload))
    if found.table != folder.name:
        raise damage(folder, f"its files belong to the table {found.table!r}")
    return found


def save(folder: Path, checksums: Checksums) -> None:
    """Write the file whole and durably, or not at all."""
    _write(folder / NAME, orjson.dumps(asdict(checksums)), 0o600 if folder.parent.name == "raw" else 0o644)


def _write(path: Path, payload: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(checksum(payload).encode() + b"\n" + payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def opened(folder: Path, version: int | None = None) -> Any:
    """The DeltaTable at a commit, by default the last one.

    Raises:
        DamageError: its log cannot be read, or does not reach that commit.
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
    """Digest of the list of files and the schema of an open DeltaTable."""
    return text_digest(sorted(active_files(table)), table.schema().to_json())


def active_files(table: Any) -> list[str]:
    """Paths of the data files of an open DeltaTable, relative to its folder."""
    names: list[str] = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return names


def file_checksum(path: Path) -> str:
    """`checksum` of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def log_entry(folder: Path, version: int) -> Path:
    """The JSON file of a commit."""
    return folder / "_delta_log" / f"{version:020}.json"


def is_marked(folder: Path, version: int) -> bool:
    """Whether a commit was made under `committing`; False where its log entry is gone."""
    try:
        return MARK.encode() in log_entry(folder, version).read_bytes()
    except FileNotFoundError:
        return False


def actions(content: bytes) -> list[dict[str, Any]]:
    """The actions of a log entry, one `{kind: fields}` each."""
    return [orjson.loads(line) for line in content.splitlines() if line.strip()]


def expected(zone: Path) -> list[str]:
    """Names of the tables in the ledger or the raw zone that were made and must still be there.

    Raises:
        DamageError: the list is not as it was written.
    """
    try:
        own, _, payload = (zone / TABLES).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return []
    if checksum(payload).encode() != own:
        raise DamageError(f"{zone.name}/{TABLES}", "it does not match its own checksum")
    names: list[str] = orjson.loads(payload)
    return names


def expect_table(folder: Path) -> None:
    """Note that a table must be there from now on."""
    names = expected(folder.parent)
    if folder.name not in names:
        _write(folder.parent / TABLES, orjson.dumps(sorted([*names, folder.name])), 0o600)
