"""The Delta tables of a store: how versions are read, created, appended to and merged.

Every dataset's table has one more column, `_hash` (deskloop.store.digest). The rejected rows of a step are in
`clean/<step>.rejects`.
Workers write Parquet files (`write_part`); then the driver either commits them as they are (`append_parts`) or merges
them as a difference (`merge`). Both are one Delta commit.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.store import zones
from deskloop.store.catalog import Version
from deskloop.store.changes import Changes, net_changes
from deskloop.store.checksums import DAMAGED, damage, marked
from deskloop.store.commit import PLAIN, committing, forget_damaged
from deskloop.store.digest import row_hashes
from deskloop.store.parts import Part, as_stream, write_rows
from deskloop.store.snapshot import Snapshot, has_commits, snapshot

REJECTS = pa.schema([("row_id", pa.string()), ("step", pa.string()), ("reason", pa.string())])
QUARANTINE = pa.schema([("row_id", pa.string()), ("reason", pa.string()), ("raw", pa.binary()), ("batch", pa.int32())])
PROPERTIES = {"delta.enableChangeDataFeed": "true", **PLAIN}


class DeltaTables:
    """The tables of the raw and the clean zone under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, zone: str, dataset: str) -> Path:
        """Return the folder of a dataset's table."""
        return self.root / zone / dataset

    def staging(self, zone: str) -> Path:
        """Return the folder of staged parts; it is inside the zone, since parts hold the same rows."""
        return self.root / zone / ".staging"

    def exists(self, zone: str, dataset: str) -> bool:
        """Return whether the table has a Delta log.

        Raises:
            DamageError: a table of the raw zone has lost its log.
        """
        folder = self.folder(zone, dataset)
        return has_commits(folder) if zone == zones.RAW else (folder / "_delta_log").is_dir()

    def snapshot(self, zone: str, dataset: str, delta_version: int | None = None) -> Snapshot:
        """Open one commit of a table, by default the last one, and compare its log with the recorded checksums.

        Raises:
            DamageError: the log differs from what was written, or there is no such table.
        """
        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        if not (folder / "_delta_log").is_dir():
            raise damage(folder, "its log is missing" if folder.is_dir() else "the whole table is missing")
        return snapshot(folder, delta_version)

    def check(self, version: Version, thorough: bool = False) -> None:
        """Check that the tables of a version are complete: their logs, and each file with its size.

        Args:
            thorough: also compare each of the version's files with its checksum. Otherwise this is done only for a
                table that was found damaged before, and then for every file that has a checksum.
        Raises:
            DamageError: a file is missing or differs.
        """
        tables = [(version.zone, version.dataset, version.delta_version)]
        if version.rejects_version >= 0:
            tables.append(("clean", f"{version.step}.rejects", version.rejects_version))
        for zone, dataset, delta_version in tables:
            commit = self.snapshot(zone, dataset, delta_version)
            commit.check_sizes()
            if thorough:
                commit.check()
            elif (commit.folder / DAMAGED).exists():
                commit.check_recorded()
                (commit.folder / DAMAGED).unlink(missing_ok=True)  # it was restored

    def delta_version(self, zone: str, dataset: str) -> int:
        """Return the latest Delta commit, published or not; -1 if there is no table."""
        zones.check(zone, dataset)
        return self.snapshot(zone, dataset).version if self.exists(zone, dataset) else -1

    def read(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of one Delta commit, without `_hash` unless `columns` names it."""
        commit = self.snapshot(zone, dataset, delta_version)
        return commit.table(columns or _data_columns(commit.schema))

    def batches(
        self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None, rows: int = 65_536
    ) -> Iterator[pa.Table]:
        """Like `read`, as a stream of tables of at most `rows` rows; memory holds one file.

        Raises:
            DamageError: a file is missing, or differs from what was written.
        """
        commit = self.snapshot(zone, dataset, delta_version)
        yield from commit.batches(columns or _data_columns(commit.schema), rows)

    def rows(self, zone: str, dataset: str, delta_version: int, row_ids: Sequence[str]) -> pa.Table:
        """Read the rows of one Delta commit that have one of these ids, without `_hash`."""
        import pyarrow.compute as pc

        ids = pa.array(row_ids, pa.string())
        batches = self.batches(zone, dataset, delta_version)
        matching = [batch.filter(pc.is_in(batch["row_id"], value_set=ids)) for batch in batches]
        return pa.concat_tables([self.schema(zone, dataset, delta_version).empty_table(), *matching])

    def schema(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Schema:
        """Return the Arrow schema of the table in the order of `columns`, by default all but `_hash`."""
        full = self.snapshot(zone, dataset, delta_version).schema
        return pa.schema([full.field(name) for name in columns or _data_columns(full)])

    def write_part(self, folder: Path, table: pa.Table) -> Part:
        """Write rows with their hashes as one Parquet file; may run in a worker."""
        return write_rows(folder, table.append_column("_hash", row_hashes(table)))

    def create(self, zone: str, dataset: str, schema: pa.Schema, overwrite: bool = False) -> None:
        """Create an empty table; an existing table of another schema is emptied and gets this one.

        Args:
            overwrite: empty the table in any case, without reading its files. Earlier commits stay if the log can be
                read, and are deleted otherwise.
        """
        from deltalake import DeltaTable

        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        if overwrite:
            _clear_damaged(folder)
        elif self.exists(zone, dataset) and self.fits(zone, dataset, schema):
            return
        with zones.owner_only(zone, folder), committing(folder):
            DeltaTable.create(
                str(folder),
                schema=schema.append(pa.field("_hash", pa.binary())),
                mode="overwrite",
                name=dataset,
                configuration=PROPERTIES,
                commit_properties=marked(),
            )

    def fits(self, zone: str, dataset: str, schema: pa.Schema) -> bool:
        """Return whether an existing table has this schema, so that `create` keeps its rows."""
        full = schema.append(pa.field("_hash", pa.binary()))
        existing = self.snapshot(zone, dataset).schema
        return existing.names == full.names and all(existing.field(f.name).type == f.type for f in full)

    def append_parts(self, zone: str, dataset: str, parts: Sequence[Part]) -> int:
        """Move staged parts into the table's folder and commit them as they are; return the Delta version."""
        from deltalake.transaction import AddAction

        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        now = int(time.time() * 1000)
        actions, checksums = [], {}
        for part in parts:
            if part.rows:
                path = folder / Path(part.path).name
                os.replace(part.path, path)
                if zone == zones.RAW:
                    path.chmod(0o600)
                rows = orjson.dumps({"numRecords": part.rows}).decode()
                actions.append(AddAction(path.name, path.stat().st_size, {}, now, True, rows))
                checksums[path.name] = part.checksum
        if actions:
            with zones.owner_only(zone, folder), committing(folder, checksums) as table:
                table.create_write_transaction(
                    actions, mode="append", schema=table.schema(), commit_properties=marked()
                )
        return self.delta_version(zone, dataset)

    def merge(
        self, zone: str, dataset: str, parts: Sequence[Part], deleted: Sequence[str] | None, keep: Sequence[str] = ()
    ) -> int:
        """Run one MERGE on `row_id`: insert, update rows whose hash differs, delete; commit only if rows change.

        Existing files are verified first, since a merge would copy damaged rows into new files.

        Args:
            parts: the new rows, as staged files.
            deleted: ids to delete; None deletes every row that is not in `parts`.
            keep: columns that an update does not change.
        Returns:
            The Delta version afterwards.
        """
        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        with zones.owner_only(zone, folder), committing(folder, reads=True) as table:
            source = as_stream(parts, pa.schema(table.schema().to_arrow()), deleted or ())
            merger = table.merge(
                source=source,
                predicate="t.row_id = s.row_id",
                source_alias="s",
                target_alias="t",
                commit_properties=marked(),
            )
            if deleted:
                merger = merger.when_matched_delete("s._gone")
            merger = merger.when_matched_update_all("s._hash <> t._hash", except_cols=["_gone", *keep])
            merger = merger.when_not_matched_insert_all("NOT s._gone", except_cols=["_gone"])
            if deleted is None:
                merger = merger.when_not_matched_by_source_delete()
            merger.execute()
        return self.delta_version(zone, dataset)

    def changes(self, zone: str, dataset: str, start: int, end: int) -> Changes | None:
        """Return the net changes after Delta commit `start` up to and including `end`, from the change data feed.

        A row that was changed and changed back counts as changed.

        Returns:
            None if the feed cannot be followed: the table was emptied in between, or an earlier version of deskloop
            wrote it without checksums.
        Raises:
            DamageError: the feed differs from what was written.
        """
        schema = self.schema(zone, dataset, end)
        if start == end:
            return Changes(schema.empty_table(), [], True)
        feed = self.snapshot(zone, dataset, end).changes(start)
        return net_changes(feed, schema) if feed is not None else None

    def clear_staging(self) -> None:
        """Delete staged parts, which are merged or left over from a killed run; raw ones only inside `allow_raw`."""
        for zone in ("raw", "clean") if zones.raw_is_open() else ("clean",):
            shutil.rmtree(self.staging(zone), ignore_errors=True)


def can_stay(folder: Path) -> bool:
    """Return whether the log of a damaged table is intact, so that new rows can be committed to it."""
    if not (folder / "_delta_log").is_dir():
        return False
    try:
        commit = snapshot(folder)
        commit.check_log()
    except DamageError:
        return False
    return commit.record is not None and commit.record.version == commit.version


def _clear_damaged(folder: Path) -> None:
    """Delete the damaged files of a table, or the whole table if its log is damaged."""
    if folder.is_dir():
        if can_stay(folder):
            forget_damaged(folder)
        else:
            shutil.rmtree(folder)
        (folder / DAMAGED).unlink(missing_ok=True)


def _data_columns(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name != "_hash"]
