"""Commits to Delta tables, with checksums of the files that they add.

with committing(folder, reads=True):            # the caller holds the store's lock
    table.delete("...", commit_properties=marked())
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from deskloop.store.checksums import (
    Checksums,
    actions,
    active_files,
    checksum,
    expect_table,
    file_checksum,
    load,
    log_entry,
    marked,
    opened,
    save,
    state_of,
)
from deskloop.store.snapshot import has_commits, snapshot

# Statistics would copy values of the first columns into the log, where an erasure cannot remove them.
PLAIN = {"delta.dataSkippingNumIndexedCols": "0"}


@contextmanager
def committing(folder: Path, checksums: Mapping[str, str] | None = None, reads: bool = False) -> Iterator[Any]:
    """Record the checksums of the files that commits inside this block add to one table.

    Args:
        checksums: file name -> checksum, for files whose contents were hashed before they were written.
        reads: the commit rewrites existing files, which are therefore compared with their checksums first.
    Yields:
        The DeltaTable before the commits; None if the table does not exist yet.
    Raises:
        DamageError: the table is already damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record, table = _so_far(folder, reads)
    record.writing = True
    save(folder, record)
    yield table
    if (folder / "_delta_log").is_dir():
        save(folder, _with_new_commits(folder, opened(folder), record, checksums or {}))
    if folder.parent.name == "ledger" or folder.name == "quarantine":
        expect_table(folder)


def _so_far(folder: Path, reads: bool) -> tuple[Checksums, Any]:
    """Return the checksums before a commit and the open table.

    Files without a checksum, from a killed process or an earlier version of deskloop, are verified row by row.
    """
    record = load(folder)
    if not has_commits(folder):
        return Checksums(folder.name), None
    before = snapshot(folder)
    if record is None:
        before.check()
        files = {path: [(folder / path).stat().st_size, file_checksum(folder / path)] for path in before.files}
        return Checksums(folder.name, before.version, False, files, {}), before.table_handle
    if reads:
        before.check()
    if before.version > record.version:
        new = [path for path in _added(folder, record.version, before.version) if path not in record.files]
        before.check_files(new)
        record = _with_new_commits(folder, before.table_handle, record, {})
    return record, before.table_handle


def _with_new_commits(folder: Path, table: Any, record: Checksums, checksums: Mapping[str, str]) -> Checksums:
    """Add the commits that are not covered yet; covered files keep their checksums."""
    files, commits = dict(record.files), dict(record.commits)
    for path in {*_added(folder, record.version, table.version()), *active_files(table)} - files.keys():
        file = folder / path
        files[path] = [file.stat().st_size, checksums.get(path) or file_checksum(file)]
    for checkpoint in (folder / "_delta_log").glob("*.checkpoint*.parquet"):
        if (name := f"_delta_log/{checkpoint.name}") not in files:
            files[name] = [checkpoint.stat().st_size, file_checksum(checkpoint)]
    for version in range(record.version + 1, table.version() + 1):
        at = table if version == table.version() else opened(folder, version)
        commits[str(version)] = [state_of(at), checksum(log_entry(folder, version).read_bytes())]
    return Checksums(folder.name, table.version(), False, files, commits)


def _added(folder: Path, start: int, end: int) -> list[str]:
    """Return the existing files, including the change feed's, that commits after `start` up to `end` added."""
    entries = (log_entry(folder, version) for version in range(start + 1, end + 1))
    added = [action for entry in entries if entry.exists() for action in actions(entry.read_bytes())]
    paths = [(action.get("add") or action.get("cdc") or {}).get("path") for action in added]
    return [path for path in paths if path and (folder / path).exists()]


def forget_missing(folder: Path) -> None:
    """Delete the checksums of files that a vacuum has removed."""
    record = load(folder)
    if record is not None:
        record.files = {path: entry for path, entry in record.files.items() if (folder / path).exists()}
        save(folder, record)


def forget_damaged(folder: Path) -> None:
    """Delete the damaged files of a table that is about to be overwritten; no version refers to them any longer."""
    record = load(folder)
    for path, (_, recorded) in list(record.files.items()) if record is not None else ():
        if not (folder / path).exists() or file_checksum(folder / path) != recorded:
            (folder / path).unlink(missing_ok=True)
    forget_missing(folder)


def write_state(folder: Path, rows: pa.Table, mode: Literal["append", "overwrite"] = "append") -> None:
    """Commit rows to a table of the ledger, which is created if it does not exist."""
    from deltalake import write_deltalake

    with committing(folder):
        write_deltalake(str(folder), rows, mode=mode, configuration=PLAIN, commit_properties=marked())
