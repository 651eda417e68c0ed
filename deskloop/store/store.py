"""The store: Delta tables in two zones, written so that a reader sees a version whole or not at all.

    raw/       personal data, mode 0700: `ingested`, its rejects, and the quarantine of unreadable records
    clean/     everything else
    catalog/   which Delta commits are versions            (deskloop.store.catalog)
    ledger/    decisions that are state: families, artifacts (deskloop.store.ledger)
    memo/      outputs of neural generators, so that none is made twice (deskloop.store.memo)
    models/    model folders, and checkpoints of the run in progress
    reports/   one folder a run
    keys/      the HMAC keys, mode 0600                      (deskloop.store.keys)

Every dataset's table has one more column, `_hash` (deskloop.store.digest). Its rejects live beside it, in
`<dataset>.rejects`.
Writers put Parquet parts down first (`write_part`); then the driver either commits them as they are (`append_parts`)
or merges them as a difference (`merge`). Both are one Delta commit.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pyarrow as pa

from deskloop.contract.errors import ConfigError, DamageError
from deskloop.store import key_checks, zones
from deskloop.store.catalog import Version
from deskloop.store.changes import Changes, net_changes
from deskloop.store.checksums import DAMAGED, damage, marked
from deskloop.store.commit import committing, forget_damaged
from deskloop.store.digest import row_hashes
from deskloop.store.keys import Key, all_keys, current, rotate
from deskloop.store.parts import Part, as_stream, write_rows
from deskloop.store.replacement import remove_leftovers
from deskloop.store.snapshot import Snapshot, has_commits, snapshot

REJECTS = pa.schema([("row_id", pa.string()), ("step", pa.string()), ("reason", pa.string())])
QUARANTINE = pa.schema([("row_id", pa.string()), ("reason", pa.string()), ("raw", pa.binary()), ("batch", pa.int32())])
# Statistics would put values of the first columns into the log, where an erasure cannot reach them.
PROPERTIES = {"delta.enableChangeDataFeed": "true", "delta.dataSkippingNumIndexedCols": "0"}


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
            DamageError: the ledger is missing.
        """
        remove_leftovers(self.root)
        self.prepare()
        with self.alone():
            if not erasing and (self.root / "ledger" / "erasure.json").exists():
                raise ConfigError(
                    f"an erasure in {self.root} was interrupted; finish it first: deskloop data erase", "the store"
                )
            self.check_ledger()
            keys = self.keys()
            key_checks.verify_erasures(self.root, keys)
            key_checks.record(self.root, keys)
            self.clear_staging()
            yield

    def check_ledger(self) -> None:
        """Refuse a store that has published versions and no ledger.

        Without it every conversation would be given a split anew, and people who were erased would come back.

        Raises:
            DamageError: the ledger is missing.
        """
        if has_commits(self.root / "catalog") and not any((self.root / "ledger").glob("*/_delta_log")):
            raise DamageError("ledger", "all of its tables are missing")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The lock alone; nothing of the store is made, looked at or cleared.

        Raises:
            ConfigError: another run has the lock.
        """
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another run is working on {self.root}; wait for it to end", "the store") from None
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
        """Whether the table has a Delta log.

        Raises:
            DamageError: of the raw zone: it had one.
        """
        folder = self.folder(zone, dataset)
        return has_commits(folder) if zone == zones.RAW else (folder / "_delta_log").is_dir()

    def snapshot(self, zone: str, dataset: str, delta_version: int | None = None) -> Snapshot:
        """One commit of a table, by default the last one, compared with what was recorded of it.

        Raises:
            DamageError: its log is not what was written, or there is no such table.
        """
        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        if not (folder / "_delta_log").is_dir():
            raise damage(folder, "its log is missing" if folder.is_dir() else "the whole table is missing")
        return snapshot(folder, delta_version)

    def check(self, version: Version, thorough: bool = False) -> None:
        """Whether the tables of a version are still there: their logs, and each file with its size.

        Args:
            thorough: compare each of the version's files with its checksum. Otherwise everything that has a checksum is
                compared of a table that was found damaged before, and of others nothing but the sizes.
        Raises:
            DamageError: one is not.
        """
        places = [(version.zone, version.dataset, version.delta_version)]
        places += (
            [("clean", f"{version.step}.rejects", version.rejects_version)] if version.rejects_version >= 0 else []
        )
        for zone, dataset, at in places:
            found = self.snapshot(zone, dataset, at)
            found.check_sizes()
            if thorough:
                found.check()
            elif (found.folder / DAMAGED).exists():
                found.check_recorded()
                (found.folder / DAMAGED).unlink(missing_ok=True)  # it was restored

    def delta_version(self, zone: str, dataset: str) -> int:
        """Latest Delta commit, published or not; -1 where there is no table."""
        zones.check(zone, dataset)
        return self.snapshot(zone, dataset).version if self.exists(zone, dataset) else -1

    def read(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of one Delta commit, without `_hash` unless it is asked for."""
        found = self.snapshot(zone, dataset, delta_version)
        return found.table(columns or _own(found.schema))

    def batches(
        self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None, rows: int = 65_536
    ) -> Iterator[pa.Table]:
        """Like `read`, as a stream of tables of at most `rows` rows; memory holds one file.

        Raises:
            DamageError: a file is missing, or is not what was written.
        """
        found = self.snapshot(zone, dataset, delta_version)
        yield from found.batches(columns or _own(found.schema), rows)

    def rows(self, zone: str, dataset: str, delta_version: int, row_ids: Sequence[str]) -> pa.Table:
        """The rows of one Delta commit that have one of these ids, without `_hash`."""
        import pyarrow.compute as pc

        wanted = pa.array(row_ids, pa.string())
        batches = self.batches(zone, dataset, delta_version)
        found = [batch.filter(pc.is_in(batch["row_id"], value_set=wanted)) for batch in batches]
        return pa.concat_tables([self.schema(zone, dataset, delta_version).empty_table(), *found])

    def schema(self, zone: str, dataset: str, delta_version: int, columns: Sequence[str] | None = None) -> pa.Schema:
        """Arrow schema of the table, in the order of `columns`, `_hash` left out by default."""
        table = self.snapshot(zone, dataset, delta_version).schema
        return pa.schema([table.field(name) for name in columns or _own(table)])

    def write_part(self, folder: Path, table: pa.Table) -> Part:
        """Write rows with their hashes as one Parquet file; may run in a worker."""
        return write_rows(folder, table.append_column("_hash", row_hashes(table)))

    def create(self, zone: str, dataset: str, schema: pa.Schema, afresh: bool = False) -> None:
        """Make an empty table, or bring an existing one to `schema` (which then starts anew, empty).

        Args:
            afresh: start anew in any case, without reading a file that is there; earlier commits stay as far as the
                log can be read, and go where it cannot.
        """
        from deltalake import DeltaTable

        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        if afresh:
            _make_way(folder)
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
        """Whether an existing table has a schema, so that `create` leaves its rows where they are."""
        full = schema.append(pa.field("_hash", pa.binary()))
        present = self.snapshot(zone, dataset).schema
        return present.names == full.names and all(present.field(f.name).type == f.type for f in full)

    def append_parts(self, zone: str, dataset: str, parts: Sequence[Part]) -> int:
        """Move staged parts into the table's folder and commit them as they are; returns the Delta version."""
        from deltalake.transaction import AddAction

        zones.check(zone, dataset)
        folder = self.folder(zone, dataset)
        now = int(time.time() * 1000)
        actions, given = [], {}
        for part in parts:
            if part.rows:
                place = folder / Path(part.path).name
                os.replace(part.path, place)
                if zone == zones.RAW:
                    place.chmod(0o600)
                rows = orjson.dumps({"numRecords": part.rows}).decode()
                actions.append(AddAction(place.name, place.stat().st_size, {}, now, True, rows))
                given[place.name] = part.checksum
        if actions:
            with zones.owner_only(zone, folder), committing(folder, given) as table:
                table.create_write_transaction(
                    actions, mode="append", schema=table.schema(), commit_properties=marked()
                )
        return self.delta_version(zone, dataset)

    def merge(
        self, zone: str, dataset: str, parts: Sequence[Part], deleted: Sequence[str] | None, keep: Sequence[str] = ()
    ) -> int:
        """One MERGE on `row_id`: insert, update where the hash differs, delete; no commit where nothing changes.

        The files that are there are verified first: a merge rewrites them, damage included.

        Args:
            parts: rows to have, as staged files.
            deleted: ids to delete; None: everything that is not in `parts`.
            keep: columns that an update leaves as they are.
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
        """Net changes after Delta commit `start` up to and including `end`, from the change data feed.

        A row that was changed and changed back counts as changed.

        Returns:
            None where the feed cannot be followed: the table was started anew in between, or an earlier deskloop wrote
            it without checksums.
        Raises:
            DamageError: the feed is not what was written.
        """
        schema = self.schema(zone, dataset, end)
        if start == end:
            return Changes(schema.empty_table(), [], True)
        feed = self.snapshot(zone, dataset, end).changes(start)
        return net_changes(feed, schema) if feed is not None else None

    def clear_staging(self) -> None:
        """Drop staged parts: they are merged, or were left by a run that was killed; raw ones, if raw may be opened."""
        for zone in ("raw", "clean") if zones.raw_is_open() else ("clean",):
            shutil.rmtree(self.staging(zone), ignore_errors=True)


def can_stay(folder: Path) -> bool:
    """Whether a damaged table may go on after its rows are replaced: its log is what was written."""
    if not (folder / "_delta_log").is_dir():
        return False
    try:
        found = snapshot(folder)
        found.check_log()
    except DamageError:
        return False
    return found.record is not None and found.record.version == found.version


def _make_way(folder: Path) -> None:
    """Prepare to start a damaged table anew; earlier commits stay if they can."""
    if folder.is_dir():
        if can_stay(folder):
            forget_damaged(folder)
        else:
            shutil.rmtree(folder)
        (folder / DAMAGED).unlink(missing_ok=True)


def _own(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name != "_hash"]
