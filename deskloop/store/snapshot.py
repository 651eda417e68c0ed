"""A Delta commit to read: its files are compared with their checksums, and what is read is what was compared.

A file is read into memory once, hashed, and parsed from there. Files without a checksum (a table of an earlier
deskloop, or a run that was killed between a commit and its checksums) are compared row by row with `_hash` instead;
a table without that column is taken as it is only where no checksum was ever written.
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
        schema: of the whole table, `_hash` included.
        files: paths of its data files, relative to the folder.
        record: the table's checksums; None where it has none.
        table_handle: the open DeltaTable.
    """

    folder: Path
    version: int
    schema: pa.Schema
    files: Sequence[str]
    record: Checksums | None
    table_handle: Any = None

    def batches(self, columns: Sequence[str], rows: int = 65_536) -> Iterator[pa.Table]:
        """Verified rows, at most `rows` at a time; memory holds one file.

        Raises:
            DamageError: a file is missing or is not what was written.
        """
        for path in self.files:
            yield from self._parsed(path, self.content(path), columns, rows, self.schema)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """All rows."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        return pa.concat_tables([wanted.empty_table(), *self.batches(columns)])

    def check(self) -> None:
        """Compare every file with its checksum, without parsing those that have one.

        Raises:
            DamageError: a file is missing or is not what was written.
        """
        self.check_files(self.files)

    def check_files(self, paths: Iterable[str]) -> None:
        """`check`, for some files; those of the change feed have the same columns and may be among them."""
        for path in paths:
            content = self.content(path)
            if not self.knows(path):
                for _ in self._parsed(path, content, self.schema.names, 65_536, self.schema):
                    pass

    def check_sizes(self) -> None:
        """Whether every file is there and as long as it was; reads none of them.

        Raises:
            DamageError: one is not.
        """
        for path in self.files:
            try:
                size = (self.folder / path).stat().st_size
            except FileNotFoundError:
                raise damage(self.folder, f"{path} is missing") from None
            if self.record is not None and self.knows(path) and self.record.files[path][0] != size:
                raise damage(self.folder, f"{path} has another length than it was written with")

    def check_recorded(self) -> None:
        """Compare everything that has a checksum, whether or not this commit needs it: files, the feed, the log.

        Raises:
            DamageError: the first that is missing or is not what was written.
        """
        files = self.record.files if self.record is not None else {}
        for path, (_, known) in files.items():
            if not (self.folder / path).exists():
                raise damage(self.folder, f"{path} is missing")
            if checksums.file_checksum(self.folder / path) != known:
                raise damage(self.folder, f"{path} does not match its checksum")
        self.check_log()

    def check_log(self) -> None:
        """Compare the log's entries; those before a checkpoint may be gone, as Delta deletes old ones.

        Raises:
            DamageError: one is missing or is not what was written.
        """
        log = self.folder / "_delta_log"
        last = max((int(path.name.partition(".")[0]) for path in log.glob("*.checkpoint*")), default=-1)
        for number in map(int, self.record.commits if self.record is not None else ()):
            if number > last or checksums.log_entry(self.folder, number).exists():
                self._entry(number)

    def content(self, path: str) -> bytes:
        """The bytes of a file, compared with its checksum where it has one."""
        try:
            content = (self.folder / path).read_bytes()
        except FileNotFoundError:
            raise damage(self.folder, f"{path} is missing") from None
        known = self.record.files.get(path) if self.record is not None else None
        if known is not None and checksums.checksum(content) != known[1]:
            raise damage(self.folder, f"{path} does not match its checksum")
        return content

    def changes(self, start: int) -> pa.Table | None:
        """The change feed after commit `start` up to this one, with the columns of `FEED`, in the order of commits.

        Returns:
            None where the feed cannot be followed: the table was started anew in between, or a log entry or a file has
            no checksum.
        Raises:
            DamageError: a log entry or a file is missing or is not what was written.
        """
        wanted = pa.schema([field for field in self.schema if field.name != HASH])
        parts = [pa.schema([*wanted, *FEED]).empty_table()]
        for version in range(start + 1, self.version + 1):
            entry = self._entry(version)
            if entry is None:
                return None
            found = checksums.actions(entry)
            if any("metaData" in action for action in found):
                return None
            feed = [("", action["cdc"]["path"]) for action in found if "cdc" in action] or [
                (kind, action[key]["path"])
                for key, kind in (("add", "insert"), ("remove", "delete"))
                for action in found
                if key in action and action[key]["dataChange"]
            ]
            if not all(self.knows(path) for _, path in feed):
                return None
            parts += [part for kind, path in feed for part in self._fed(path, kind, version, wanted)]
        return pa.concat_tables(parts)

    def _fed(self, path: str, kind: str, version: int, wanted: pa.Schema) -> Iterator[pa.Table]:
        """Rows of one file of the feed; `kind` is empty where the file says it itself."""
        names = [*wanted.names, *(() if kind else ("_change_type",))]
        schema = pa.schema([*wanted, *([] if kind else [FEED.field("_change_type")])])
        for batch in self._parsed(path, self.content(path), names, 65_536, schema):
            kinds = batch["_change_type"] if not kind else pa.array([kind] * batch.num_rows, pa.string())
            versions = pa.array([version] * batch.num_rows, pa.int64())
            yield pa.table([*batch.select(wanted.names).columns, kinds, versions], schema=pa.schema([*wanted, *FEED]))

    def _entry(self, version: int) -> bytes | None:
        """The log entry of a commit, compared with its checksum; None where it has none."""
        known = self.record.commits.get(str(version)) if self.record is not None else None
        if known is None:
            return None
        path = checksums.log_entry(self.folder, version)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise damage(self.folder, f"{path.name} is missing from its log") from None
        if checksums.checksum(content) != known[1]:
            raise damage(self.folder, f"{path.name} in its log does not match its checksum")
        return content

    @property
    def is_recorded(self) -> bool:
        """Whether the commit's list of files was recorded when it was made."""
        return self.record is not None and str(self.version) in self.record.commits

    def knows(self, path: str) -> bool:
        """Whether a file has a checksum."""
        return self.record is not None and path in self.record.files

    def _parsed(
        self, path: str, content: bytes, columns: Sequence[str], rows: int, schema: pa.Schema
    ) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        by_row = not self.knows(path) and HASH in schema.names
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
    """A commit of a table, by default the last one; its list of files is compared with what was recorded.

    Raises:
        DamageError: the log is damaged, or is not the one that was written.
    """
    table, record = opened(folder, version), load(folder)
    for _ in range(2):  # another process may have committed between the two reads
        if version is None and record is not None and table.version() < record.version:
            table, record = opened(folder, version), load(folder)
    at: int = table.version()
    if version is None and record is not None and at < record.version:
        raise damage(folder, f"its log ends at commit {at}, before the last one, {record.version}")
    known = record.commits.get(str(at)) if record is not None else None
    if known is not None and known[0] != state_of(table):
        raise damage(folder, f"its log lists other files than commit {at} had")
    schema = pa.schema(table.schema().to_arrow())
    if known is None and HASH not in schema.names and is_marked(folder, at) and not (record and record.writing):
        raise damage(folder, f"{checksums.NAME} is missing, or lacks commit {at}")
    return Snapshot(folder, at, schema, active_files(table), record, table)


def state_rows(folder: Path, schema: pa.Schema) -> pa.Table:
    """The rows of a table of the ledger as they are now; none before its first commit.

    Raises:
        DamageError: it is not what was written.
    """
    if not has_commits(folder):
        return schema.empty_table()
    found = snapshot(folder)
    if not set(schema.names) <= set(found.schema.names):
        raise damage(folder, "its columns are another table's")
    return found.table(schema.names).cast(schema)


def has_commits(folder: Path) -> bool:
    """Whether a table was ever made.

    Raises:
        DamageError: it was, and its log or all of it is gone.
    """
    if (folder / "_delta_log").is_dir():
        return True
    record = load(folder) if folder.is_dir() else None
    if record is not None and record.version >= 0:
        raise damage(folder, "its log is missing")
    if folder.name in checksums.expected(folder.parent):
        raise damage(folder, "the whole table is missing")
    return False
