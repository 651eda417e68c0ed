"""The store: Delta tables in two zones, written so that a reader sees a version whole or not at all.

    raw/       personal data, mode 0700: `ingested`, its rejects, and the quarantine of unreadable records
    clean/     everything else
    catalog/   which Delta commits are versions            (deskloop.catalog)
    ledger/    decisions that are state: families, artifacts (deskloop.ledger)
    memo/      outputs of neural generators, so that none is made twice (deskloop.memo)
    models/    model folders, and checkpoints of the run in progress
    reports/   one folder a run
    keys/      the HMAC keys, mode 0600                      (deskloop.keys)

Every dataset's table has one more column, `_hash` (deskloop.digest). Its rejects live beside it in `<dataset>.rejects`.
Writers put Parquet parts down first (`write_part`); then the driver either commits them as they are (`append_parts`)
or merges them as a difference (`merge`). Both are one Delta commit.
"""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop import key_checks, zones
from deskloop.backup.place import remove_leftovers
from deskloop.digest import row_hashes
from deskloop.errors import ConfigError
from deskloop.keys import Key, all_keys, current, rotate

REJECTS = pa.schema([("row_id", pa.string()), ("step", pa.string()), ("reason", pa.string())])
QUARANTINE = pa.schema([("row_id", pa.string()), ("reason", pa.string()), ("raw", pa.binary()), ("batch", pa.int32())])
_FEED = pa.schema([("_change_type", pa.string()), ("_commit_version", pa.int64())])
# Statistics would put values of the first columns into the log, where an erasure cannot reach them.
PROPERTIES = {"delta.enableChangeDataFeed": "true", "delta.dataSkippingNumIndexedCols": "0"}


@dataclass(frozen=True)
class Part:
    """A Parquet file that a worker wrote, not yet visible to anyone."""

    path: str
    rows: int


@dataclass(frozen=True)
class Changes:
    """What happened to a table between two of its commits: whole rows that are new or changed, ids that are gone."""

    upserts: pa.Table
    deleted: list[str]
    only_inserts: bool


class Store:
    """Paths and tables of one store; holds no state but its root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the folders with their modes; existing ones are tightened.

        Raises:
            ConfigError: the root is a file or cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for name, mode in {
                "raw": 0o700,
                "clean": 0o755,
                "keys": 0o700,
                "memo": 0o700,
                "models": 0o755,
                "reports": 0o755,
            }.items():
                folder = self.root / name
                folder.mkdir(mode=mode, exist_ok=True)
                folder.chmod(mode)
            for secret in (*(self.root / "keys").iterdir(), *(self.root / "memo").iterdir()):
                with suppress(FileNotFoundError):  # another process's temporary file
                    secret.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"{self.root} cannot be used as a folder: {error.strerror}", "the store") from None
        self.key()

    @contextmanager
    def locked(self, erasing: bool = False) -> Iterator[None]:
        """Keep other runs off this store; the lock goes with the process, however that ends.

        Args:
            erasing: the caller finishes erasures, of which one may be half done.
        Raises:
            ConfigError: another run has the lock, or an erasure was interrupted.
        """
        remove_leftovers(self.root)
        self.prepare()
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another run is working on {self.root}; wait for it to end", "the store") from None
            if not erasing and (self.root / "ledger" / "erasure.json").exists():
                raise ConfigError(
                    f"an erasure in {self.root} was interrupted; finish it first: deskloop data erase", "the store"
                )
            keys = self.keys()
            key_checks.verify_erasures(self.root, keys)
            key_checks.record(self.root, keys)
            self.clear_staging()
            yield

    def key(self) -> tuple[str, bytes]:
        """The HMAC key in use as (id, secret); made on first use.

        Raises:
            ConfigError: the file is damaged or lost, or holds another key than the data was made under; a new key would
                give every customer a new name.
        """
        key = current(self.root / "keys", new=not (self.root / "catalog" / "_delta_log").is_dir())
        key_checks.verify(self.root, [key])
        return key.id, key.secret

    def keys(self) -> list[Key]:
        """Every HMAC key, the one in use first, then the retired ones, the latest first.

        Raises:
            ConfigError: a file is damaged or lost, or holds another key than the store's.
        """
        self.key()
        found = all_keys(self.root / "keys")
        key_checks.verify(self.root, found)
        return found

    def rotate_key(self, given_up: Sequence[str] = ()) -> Key:
        """Retire the key in use, if there is one, and make a new one; the store is locked by the caller.

        Killed in between, either key is in use, and both are the store's.

        Args:
            given_up: ids of lost keys whose erasures cannot be recognised any more.
        """
        key = rotate(self.root / "keys", lambda new: key_checks.announce(self.root, new, given_up))
        key_checks.record(self.root, self.keys())
        return key

    def folder(self, zone: str, dataset: str) -> Path:
        """Where a dataset's table lies."""
        return self.root / zone / dataset

    def staging(self, zone: str) -> Path:
        """Parts that wait for their merge; inside the zone, since they hold the same rows."""
        return self.root / zone / ".staging"

    def exists(self, zone: str, dataset: str) -> bool:
        """Whether the table has a Delta log."""
        return (self.folder(zone, dataset) / "_delta_log").is_dir()

    def delta_version(self, zone: str, dataset: str) -> int:
        """Latest Delta commit, published or not; -1 where there is no table."""
        zones.check(zone, dataset)
        return int(_open(self.folder(zone, dataset)).version()) if self.exists(zone, dataset) else -1

    def read(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of one Delta commit, without `_hash` unless it is asked for."""
        batches = list(self.batches(zone, dataset, delta_version, columns))
        return (
            pa.concat_tables(batches) if batches else self.schema(zone, dataset, delta_version, columns).empty_table()
        )

    def batches(
        self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None, rows: int = 65_536
    ) -> Iterator[pa.Table]:
        """Like `read`, as a stream of tables of at most `rows` rows; bounded memory."""
        schema = self.schema(zone, dataset, delta_version, columns)
        data = _open(self.folder(zone, dataset), delta_version).to_pyarrow_dataset()
        for batch in data.to_batches(columns=schema.names, batch_size=rows):
            if batch.num_rows:
                yield pa.Table.from_batches([batch]).cast(schema)

    def rows(self, zone: str, dataset: str, delta_version: int, row_ids: Sequence[str]) -> pa.Table:
        """The rows of one Delta commit that have one of these ids, without `_hash`."""
        import pyarrow.compute as pc

        wanted = pa.array(row_ids, pa.string())
        batches = self.batches(zone, dataset, delta_version)
        found = [batch.filter(pc.is_in(batch["row_id"], value_set=wanted)) for batch in batches]
        return pa.concat_tables([self.schema(zone, dataset, delta_version).empty_table(), *found])

    def schema(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Schema:
        """Arrow schema of the table, in the order of `columns`, `_hash` left out by default."""
        zones.check(zone, dataset)
        table = pa.schema(_open(self.folder(zone, dataset), delta_version).schema().to_arrow())
        return pa.schema([table.field(name) for name in columns or table.names if columns or name != "_hash"])

    def write_part(self, folder: Path, table: pa.Table) -> Part:
        """Write rows with their hashes as one Parquet file; may run in a worker."""
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"part-{uuid.uuid4().hex}.parquet"
        pq.write_table(
            table.append_column("_hash", row_hashes(table)), path, compression="zstd", write_statistics=False
        )
        return Part(str(path), table.num_rows)

    def create(self, zone: str, dataset: str, schema: pa.Schema) -> None:
        """Make an empty table, or bring an existing one to `schema` (which then starts anew, empty)."""
        from deltalake import DeltaTable

        zones.check(zone, dataset)
        full = schema.append(pa.field("_hash", pa.binary()))
        if self.exists(zone, dataset) and self.fits(zone, dataset, schema):
            return
        with zones.owner_only(zone):
            DeltaTable.create(
                str(self.folder(zone, dataset)), schema=full, mode="overwrite", name=dataset, configuration=PROPERTIES
            )

    def fits(self, zone: str, dataset: str, schema: pa.Schema) -> bool:
        """Whether an existing table has a schema, so that `create` leaves its rows where they are."""
        zones.check(zone, dataset)
        full = schema.append(pa.field("_hash", pa.binary()))
        present = pa.schema(_open(self.folder(zone, dataset)).schema().to_arrow())
        return present.names == full.names and all(present.field(f.name).type == f.type for f in full)

    def append_parts(self, zone: str, dataset: str, parts: Sequence[Part]) -> int:
        """Move staged parts into the table's folder and commit them as they are; returns the Delta version."""
        from deltalake.transaction import AddAction

        zones.check(zone, dataset)
        table = _open(self.folder(zone, dataset))
        now = int(time.time() * 1000)
        actions = []
        for part in parts:
            if part.rows:
                place = self.folder(zone, dataset) / Path(part.path).name
                os.replace(part.path, place)
                if zone == zones.RAW:
                    place.chmod(0o600)
                rows = orjson.dumps({"numRecords": part.rows}).decode()
                actions.append(AddAction(place.name, place.stat().st_size, {}, now, True, rows))
        if actions:
            with zones.owner_only(zone):
                table.create_write_transaction(actions, mode="append", schema=table.schema())
        return self.delta_version(zone, dataset)

    def merge(
        self, zone: str, dataset: str, parts: Sequence[Part], deleted: Sequence[str] | None, keep: Sequence[str] = ()
    ) -> int:
        """One MERGE on `row_id`: insert, update where the hash differs, delete; no commit where nothing changes.

        Args:
            parts: rows to have, as staged files.
            deleted: ids to delete; None: everything that is not in `parts`.
            keep: columns that an update leaves as they are.
        Returns:
            The Delta version afterwards.
        """
        zones.check(zone, dataset)
        table = _open(self.folder(zone, dataset))
        source = _source(parts, pa.schema(table.schema().to_arrow()), deleted or ())
        merger = table.merge(source=source, predicate="t.row_id = s.row_id", source_alias="s", target_alias="t")
        if deleted:
            merger = merger.when_matched_delete("s._gone")
        merger = merger.when_matched_update_all("s._hash <> t._hash", except_cols=["_gone", *keep])
        merger = merger.when_not_matched_insert_all("NOT s._gone", except_cols=["_gone"])
        if deleted is None:
            merger = merger.when_not_matched_by_source_delete()
        with zones.owner_only(zone):
            merger.execute()
        return self.delta_version(zone, dataset)

    def changes(self, zone: str, dataset: str, start: int, end: int) -> Changes:
        """Net changes after Delta commit `start` up to and including `end`, from the change data feed.

        A row that was changed and changed back counts as changed.
        """
        schema = self.schema(zone, dataset, end)
        if start == end:
            return Changes(schema.empty_table(), [], True)
        feed = pa.table(_open(self.folder(zone, dataset), end).load_cdf(starting_version=start + 1, ending_version=end))
        feed = feed.select([*schema.names, *_FEED.names]).cast(pa.schema([*schema, *_FEED])).sort_by("_commit_version")
        last: dict[str, tuple[int, bool]] = {}
        kinds = feed.column("_change_type").to_pylist()
        for position, (row_id, kind) in enumerate(zip(feed.column("row_id").to_pylist(), kinds, strict=True)):
            # Within a commit a row may appear as delete and insert; the insert is what remains.
            if kind != "update_preimage" and not (kind == "delete" and _same_commit(feed, last.get(row_id), position)):
                last[row_id] = (position, kind == "delete")
        kept = sorted(position for position, gone in last.values() if not gone)
        gone = sorted(row_id for row_id, (_, is_gone) in last.items() if is_gone)
        upserts = feed.take(pa.array(kept, pa.int64())).select(schema.names).cast(schema)
        return Changes(upserts, gone, all(kind == "insert" for kind in kinds))

    def clear_staging(self) -> None:
        """Drop staged parts: they are merged, or were left by a run that was killed; raw ones, if raw may be opened."""
        for zone in ("raw", "clean") if zones.raw_is_open() else ("clean",):
            shutil.rmtree(self.staging(zone), ignore_errors=True)


def _open(folder: Path, version: int | None = None) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(str(folder), version=version)


def _same_commit(feed: pa.Table, earlier: tuple[int, bool] | None, position: int) -> bool:
    commits = feed.column("_commit_version")
    return earlier is not None and not earlier[1] and commits[earlier[0]].as_py() == commits[position].as_py()


def _source(parts: Sequence[Part], schema: pa.Schema, deleted: Sequence[str]) -> pa.RecordBatchReader:
    """Staged rows and deletions as one stream with the column `_gone`."""
    import pyarrow.dataset as ds

    full = schema.append(pa.field("_gone", pa.bool_()))

    def stream() -> Iterator[pa.RecordBatch]:
        files = [part.path for part in parts if part.rows]
        if files:
            for batch in ds.dataset(files, format="parquet").to_batches():
                table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                table = table.append_column("_gone", pa.array([False] * table.num_rows))
                yield from table.cast(full).to_batches()
        if deleted:
            columns: Mapping[str, pa.Array] = {"row_id": pa.array(deleted), "_gone": pa.array([True] * len(deleted))}
            arrays = [columns.get(field.name, pa.nulls(len(deleted), field.type)) for field in full]
            yield pa.RecordBatch.from_arrays(arrays, schema=full)

    return pa.RecordBatchReader.from_batches(full, stream())
