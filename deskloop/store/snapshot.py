"""Verified reads of a Delta commit: every file is compared with its checksum before its rows are used.

A file is read into memory once, hashed, and parsed from there. Files without a checksum (from an earlier version of
deskloop, or from a run that was killed between a commit and its checksums) are verified row by row with `_hash`.
Rows without that column are accepted unverified only if the table never had checksums.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from deskloop.store import checksums
from deskloop.store.checksums import Checksums, active_files, damage, is_marked, load, opened, state_of
from deskloop.store.digest import row_hashes

HASH = "_hash"
FEED = pa.schema([("_change_type", pa.string()), ("_commit_version", pa.int64())])


@dataclass(frozen=True)
class Snapshot:
    """One commit of a table.

    Attributes:
        schema: of the table, including `_hash`.
        files: paths of its data files, relative to the folder.
        record: the table's checksums; None if it has none.
        table_handle: the open DeltaTable.
    """

    folder: Path
    version: int
    schema: pa.Schema
    files: Sequence[str]
    record: Checksums | None
    table_handle: Any = None

    def batches(self, columns: Sequence[str], rows: int = 65_536) -> Iterator[pa.Table]:
        """Read verified rows, at most `rows` at a time; memory holds one file.

        Raises:
            DamageError: a file is missing or differs from what was written.
        """
        for path in self.files:
            yield from self._parsed(path, self.content(path), columns, rows, self.schema)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Read all rows, verified."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *self.batches(columns)])

    def check(self) -> None:
        """Compare every file with its checksum, without parsing the files that have one.

        Raises:
            DamageError: a file is missing or differs from what was written.
        """
        self.check_files(self.files)

    def check_files(self, paths: Iterable[str]) -> None:
        """Like `check`, for these files; they may include the change feed's, which have the same columns."""
        for path in paths:
            content = self.content(path)
            if not self.has_checksum(path):
                for _ in self._parsed(path, content, self.schema.names, 65_536, self.schema):
                    pass

    def check_sizes(self) -> None:
        """Check that every file exists and has its recorded size, without reading it.

        Raises:
            DamageError: a file is missing or has another size.
        """
        for path in self.files:
            try:
                size = (self.folder / path).stat().st_size
            except FileNotFoundError:
                raise damage(self.folder, f"{path} is missing") from None
            if self.record is not None and self.has_checksum(path) and self.record.files[path][0] != size:
                raise damage(self.folder, f"{path} has another size than recorded")

    def check_recorded(self) -> None:
        """Compare all files of the table that have a checksum: data files of any commit, the change feed, the log.

        Raises:
            DamageError: a file is missing or differs from what was written.
        """
        files = self.record.files if self.record is not None else {}
        for path, (_, recorded) in files.items():
            if not (self.folder / path).exists():
                raise damage(self.folder, f"{path} is missing")
            if checksums.file_checksum(self.folder / path) != recorded:
                raise damage(self.folder, f"{path} does not match its checksum")
        self.check_log()

    def check_log(self) -> None:
        """Compare the log's entries; those before a checkpoint may be missing, since Delta deletes old ones.

        Raises:
            DamageError: an entry is missing or differs from what was written.
        """
        log = self.folder / "_delta_log"
        last = max((int(path.name.partition(".")[0]) for path in log.glob("*.checkpoint*")), default=-1)
        for number in map(int, self.record.commits if self.record is not None else ()):
            if number > last or checksums.log_entry(self.folder, number).exists():
                self._entry(number)

    def content(self, path: str) -> bytes:
        """Read the bytes of a file and compare them with its checksum, if it has one."""
        try:
            content = (self.folder / path).read_bytes()
        except FileNotFoundError:
            raise damage(self.folder, f"{path} is missing") from None
        recorded = self.record.files.get(path) if self.record is not None else None
        if recorded is not None and checksums.checksum(content) != recorded[1]:
            raise damage(self.folder, f"{path} does not match its checksum")
        return content

    def changes(self, start: int) -> pa.Table | None:
        """Read the change feed after commit `start` up to this one, with the columns of `FEED`, in commit order.

        Returns:
            None if the feed cannot be followed: the table was emptied in between, or a log entry or a file has no
            checksum.
        Raises:
            DamageError: a log entry or a file is missing or differs from what was written.
        """
        schema = pa.schema([field for field in self.schema if field.name != HASH])
        parts = [pa.schema([*schema, *FEED]).empty_table()]
        for version in range(start + 1, self.version + 1):
            entry = self._entry(version)
            if entry is None:
                return None
            actions = checksums.actions(entry)
            if any("metaData" in action for action in actions):
                return None
            feed = [("", action["cdc"]["path"]) for action in actions if "cdc" in action] or [
                (kind, action[key]["path"])
                for key, kind in (("add", "insert"), ("remove", "delete"))
                for action in actions
                if key in action and action[key]["dataChange"]
            ]
            if not all(self.has_checksum(path) for _, path in feed):
                return None
            parts += [part for kind, path in feed for part in self._fed(path, kind, version, schema)]
        return pa.concat_tables(parts)

    def _fed(self, path: str, kind: str, version: int, wanted: pa.Schema) -> Iterator[pa.Table]:
        """Read the rows of one file of the feed; `kind` is empty if the file has a column `_change_type`."""
        names = [*wanted.names, *(() if kind else ("_change_type",))]
        schema = pa.schema([*wanted, *([] if kind else [FEED.field("_change_type")])])
        for batch in self._parsed(path, self.content(path), names, 65_536, schema):
            kinds = batch["_change_type"] if not kind else pa.array([kind] * batch.num_rows, pa.string())
            versions = pa.array([version] * batch.num_rows, pa.int64())
            yield pa.table([*batch.select(wanted.names).columns, kinds, versions], schema=pa.schema([*wanted, *FEED]))

    def _entry(self, version: int) -> bytes | None:
        """Read the log entry of a commit and compare it with its checksum; None if it has none."""
        recorded = self.record.commits.get(str(version)) if self.record is not None else None
        if recorded is None:
            return None
        path = checksums.log_entry(self.folder, version)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise damage(self.folder, f"{path.name} is missing from its log") from None
        if checksums.checksum(content) != recorded[1]:
            raise damage(self.folder, f"{path.name} in its log does not match its checksum")
        return content

    @property
    def is_recorded(self) -> bool:
        """Whether the checksums cover this commit's list of files."""
        return self.record is not None and str(self.version) in self.record.commits

    def has_checksum(self, path: str) -> bool:
        """Return whether a file has a checksum."""
        return self.record is not None and path in self.record.files

    def _parsed(
        self, path: str, content: bytes, columns: Sequence[str], rows: int, schema: pa.Schema
    ) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        by_row = not self.has_checksum(path) and HASH in schema.names
        wanted = list(schema.names) if by_row else list(columns)
        full = pa.schema([schema.field(name) for name in wanted])
        try:
            file = pq.ParquetFile(pa.BufferReader(content))
            for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=False):
                if batch.num_rows:
                    table = pa.Table.from_batches([batch]).select(wanted).cast(full)
                    if by_row and not row_hashes(table).equals(table[HASH].combine_chunks()):
                        raise damage(self.folder, f"rows of {path} do not match their hashes")
                    yield table.select(list(columns))
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
            raise damage(self.folder, f"{path} cannot be read") from None


def snapshot(folder: Path, version: int | None = None) -> Snapshot:
    """Open a commit of a table, by default the last one, and compare its list of files with the recorded digest.

    Raises:
        DamageError: the log is damaged, or differs from what was written.
    """
    table, record = opened(folder, version), load(folder)
    for _ in range(2):  # another process may have committed between the two reads
        if version is None and record is not None and table.version() < record.version:
            table, record = opened(folder, version), load(folder)
    at: int = table.version()
    if version is None and record is not None and at < record.version:
        raise damage(folder, f"its log ends at commit {at}, before the last one, {record.version}")
    recorded = record.commits.get(str(at)) if record is not None else None
    if recorded is not None and recorded[0] != state_of(table):
        raise damage(folder, f"its log does not list the files of commit {at}")
    schema = pa.schema(table.schema().to_arrow())
    if recorded is None and HASH not in schema.names and is_marked(folder, at) and not (record and record.writing):
        raise damage(folder, f"{checksums.NAME} is missing, or lacks commit {at}")
    return Snapshot(folder, at, schema, active_files(table), record, table)


def state_rows(folder: Path, schema: pa.Schema) -> pa.Table:
    """Read the current rows of a table of the ledger; none before its first commit.

    Raises:
        DamageError: the table differs from what was written.
    """
    if not has_commits(folder):
        return schema.empty_table()
    commit = snapshot(folder)
    if not set(schema.names) <= set(commit.schema.names):
        raise damage(folder, "its columns are those of another table")
    return commit.table(schema.names).cast(schema)


def has_commits(folder: Path) -> bool:
    """Return whether a table was ever created.

    Raises:
        DamageError: it was, but its log or the entire table is missing.
    """
    if (folder / "_delta_log").is_dir():
        return True
    record = load(folder) if folder.is_dir() else None
    if record is not None and record.version >= 0:
        raise damage(folder, "its log is missing")
    if folder.name in checksums.expected(folder.parent):
        raise damage(folder, "the whole table is missing")
    return False
