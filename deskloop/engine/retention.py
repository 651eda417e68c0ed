"""Retention: raw rows older than `raw_days` are deleted from every version; rows that derive from them stay.

    arrivals   time of each arrival number                                      (ledger/arrivals)
    expired    ids of deleted rows by dataset, which are rejected if read again (ledger/expired)

A row's age is the time since its arrival, not since `started_at`: a log of last year may be read today, and its rows
must stay long enough to be scrubbed. A row that changes keeps its arrival number. Rows are recorded as expired, then
deleted, published and vacuumed, in this order, so that the next run completes a run that was killed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from deskloop.contract.errors import DataError
from deskloop.engine.decide import fingerprint_of
from deskloop.pipeline.pipeline import Pipeline
from deskloop.store.catalog import Catalog, Parent, Version
from deskloop.store.checksums import marked
from deskloop.store.commit import committing, forget_missing, write_state
from deskloop.store.digest import table_digest
from deskloop.store.snapshot import state_rows
from deskloop.store.store import Store
from deskloop.store.zones import RAW, allow_raw, owner_only

REASON = "expired"  # of the reject, if the source still has such a row
MODE = "expired"  # of a version that retention published
QUARANTINE = "quarantine"
_ARRIVALS = pa.schema([("dataset", pa.string()), ("batch", pa.int32()), ("at", pa.timestamp("us", tz="UTC"))])
_EXPIRED = pa.schema([("dataset", pa.string()), ("row_id", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])


@dataclass(frozen=True)
class Due:
    """The expired rows of one raw table."""

    dataset: str
    row_ids: list[str]


def expire(
    pipeline: Pipeline, store: Store, now: datetime | None = None, dry_run: bool = False, run_id: str = ""
) -> dict[str, int]:
    """Delete the raw rows, including unreadable records, that arrived more than `raw_days` ago.

    The caller holds the store's lock.

    Args:
        now: UTC; the current time by default.
        dry_run: count the rows only.
    Returns:
        Dataset -> number of rows deleted (or to be deleted); empty if `raw_days` is not set.
    Raises:
        DataError: expired rows have not been scrubbed yet, so that their conversations would be lost.
    """
    days = pipeline.settings.raw_days
    if days is None:
        return {}
    now = now or datetime.now(UTC)
    catalog, ledger = Catalog(store.root / "catalog"), store.root / "ledger"
    datasets = [name for name in pipeline.raw_datasets if catalog.latest(name) is not None]
    with allow_raw("expire"):
        store.clear_staging()
        last = _last_expired(ledger, now - timedelta(days=days), now)
        due = [_due(store, name, last) for name in (*datasets, QUARANTINE) if store.exists(RAW, name)]
        if not dry_run:
            _check_processed(pipeline, store, catalog, due)
            _record(ledger, due, now)
            for table in due:
                _delete(store, table, last)
            why = f"retention: raw rows are kept for {days} days"
            _publish(pipeline, store, catalog, why, run_id)
            for table in due:
                _vacuum(store.folder(RAW, table.dataset))
    return {table.dataset: len(table.row_ids) for table in due}


def expired_ids(ledger: Path, datasets: Iterable[str]) -> set[str]:
    """Return the ids of rows that retention deleted from raw datasets."""
    wanted = set(datasets)
    table = state_rows(ledger / "expired", _EXPIRED)
    pairs = zip(table["dataset"].to_pylist(), table["row_id"].to_pylist(), strict=True)
    return {row_id for dataset, row_id in pairs if dataset in wanted}


def forget(ledger: Path, row_ids: Iterable[str]) -> int:
    """Remove the ids of an erased person from the expired ones; return their number."""
    erased = set(row_ids)
    table = state_rows(ledger / "expired", _EXPIRED)
    others = [row for row in table.to_pylist() if row["row_id"] not in erased]
    if len(others) < table.num_rows:
        write_state(ledger / "expired", pa.Table.from_pylist(others, schema=_EXPIRED), "overwrite")
        _vacuum(ledger / "expired")
    return table.num_rows - len(others)


def next_batch(ledger: Path, dataset: str, last: int) -> int:
    """Return a new arrival number for rows that are about to be read, and record its time.

    All sources of a store share one count, since their unreadable records share a table and a number has one time.

    Args:
        last: the highest number in the dataset; its rows may have expired.
    """
    recorded = state_rows(ledger / "arrivals", _ARRIVALS)["batch"].to_pylist()
    batch = 1 + max(last, *recorded, 0)
    row = {"dataset": dataset, "batch": batch, "at": datetime.now(UTC)}
    write_state(ledger / "arrivals", pa.Table.from_pylist([row], schema=_ARRIVALS))
    return batch


def _last_expired(ledger: Path, before: datetime, now: datetime) -> int:
    """Return the highest arrival number whose rows arrived before a time; 0 if there is none.

    Numbers are in the order of arrival even if the clock was wrong: times in the future are ignored, and a batch did
    not arrive earlier than those before it.
    """
    rows = state_rows(ledger / "arrivals", _ARRIVALS).to_pylist()
    last, latest = 0, None
    for row in sorted(rows, key=lambda row: row["batch"]):
        if row["at"] <= now:
            latest = row["at"] if latest is None else max(latest, row["at"])
        if latest is not None and latest <= before:
            last = row["batch"]
    return int(last)


def _due(store: Store, dataset: str, last: int) -> Due:
    rows = store.read(RAW, dataset, store.delta_version(RAW, dataset), ["row_id", "batch"]).to_pylist()
    return Due(dataset, sorted(row["row_id"] for row in rows if row["batch"] <= last))


def _check_processed(pipeline: Pipeline, store: Store, catalog: Catalog, due: Sequence[Due]) -> None:
    """Check that the steps that read raw tables have processed exactly their latest versions.

    Raises:
        DataError: a version has not been processed; no row was deleted.
    """
    waiting = set()
    for step in pipeline.data_steps:
        if step.data.zone[0] == RAW:
            outputs = [latest for name in step.datasets.values() if (latest := catalog.latest(name)) is not None]
            read = {parent.name for parent in outputs[0].parents} if outputs else set()
            names = [reference.dataset for reference in step.references]
            inputs = [latest for name in names if (latest := catalog.latest(name)) is not None]
            waiting |= {each.dataset for each in inputs if each.name not in read or not _is_published(store, each)}
    count = sum(len(table.row_ids) for table in due if table.dataset in waiting)
    if count:
        raise DataError(
            f"{count:,} raw rows are older than raw_days = {pipeline.settings.raw_days}, but the latest ones were not "
            f"scrubbed yet; no row was deleted. Complete a run of `deskloop prepare`, then try again."
        )


def _is_published(store: Store, version: Version) -> bool:
    """Return whether a raw table is at its latest version, except for rows that a killed retention has deleted."""
    commits = store.delta_version(RAW, version.dataset), version.delta_version
    if commits[0] == commits[1]:
        return True
    tables = (store.read(RAW, version.dataset, commit, ["row_id", "_hash"]) for commit in commits)
    now, then = (set(zip(rows["row_id"].to_pylist(), rows["_hash"].to_pylist(), strict=True)) for rows in tables)
    expired = expired_ids(store.root / "ledger", [version.dataset])
    return now <= then and {row_id for row_id, _ in then - now} <= expired


def _record(ledger: Path, due: Sequence[Due], now: datetime) -> None:
    table = state_rows(ledger / "expired", _EXPIRED)
    recorded = set(zip(table["dataset"].to_pylist(), table["row_id"].to_pylist(), strict=True))
    pairs = {(each.dataset, row_id) for each in due for row_id in each.row_ids} - recorded
    if pairs:
        rows = [{"dataset": dataset, "row_id": row_id, "at": now} for dataset, row_id in sorted(pairs)]
        write_state(ledger / "expired", pa.Table.from_pylist(rows, schema=_EXPIRED))


def _delete(store: Store, due: Due, last: int) -> None:
    folder = store.folder(RAW, due.dataset)
    if due.row_ids:
        with owner_only(RAW, folder), committing(folder, reads=True) as table:
            table.delete(f"batch <= {last}", commit_properties=marked())


def _publish(pipeline: Pipeline, store: Store, catalog: Catalog, why: str, run_id: str) -> None:
    """Publish the raw tables without expired rows, and their children with the new parents, in one commit.

    The children keep their rows and digests, so that no later step is recomputed.
    """
    new: dict[str, Version] = {}
    for step in pipeline.steps:
        outputs = [latest for name in step.datasets.values() if (latest := catalog.latest(name)) is not None]
        parents = [_parent(parent, new) for parent in outputs[0].parents] if outputs else []
        moved = bool(outputs) and parents != outputs[0].parents
        for version in outputs:
            marks: dict[str, Any] = {"run_id": run_id, "why": why, "mode": MODE, "touched": 0}
            if moved:
                fingerprint = fingerprint_of(version.recipe, version.artifact, [], parents, "")
                marks |= {"parents": parents, "fingerprint": fingerprint}
            if version.zone == RAW and store.delta_version(RAW, version.dataset) != version.delta_version:
                marks |= _counted(store, version)
            if moved or "digest" in marks:
                new[version.dataset] = replace(version, **marks)
    if new:
        catalog.publish(list(new.values()))
    newest = {each.dataset: each.version for each in catalog.versions if each.mode == MODE and each.zone == RAW}
    at = datetime.now(UTC).isoformat()
    gone = [
        replace(version, gone=True, erased_at=at, details=version.details | {"expired": True})
        for version in catalog.versions
        if version.version < newest.get(version.dataset, 0) and not version.gone
    ]
    if gone:
        catalog.supersede(gone)


def _parent(parent: Parent, new: Mapping[str, Version]) -> Parent:
    """Return a parent as it will be published: the next version if it is raw and retention has changed it."""
    changed = new.get(parent.dataset)
    if changed is None or changed.zone != RAW:
        return parent
    return Parent(parent.dataset, changed.version + 1, changed.digest)


def _counted(store: Store, version: Version) -> dict[str, Any]:
    at = store.delta_version(RAW, version.dataset)
    hashes = store.read(RAW, version.dataset, at, ["_hash"])["_hash"]
    rows = len(hashes)
    counts = {"rows": rows, "rows_out": rows, "rows_in": rows + version.rejected - version.added}
    return {"delta_version": at, "digest": table_digest(hashes), **counts}


def _vacuum(folder: Path) -> None:
    """Delete the files of all earlier versions, including the change feed's."""
    with committing(folder) as table:  # a vacuum commits its start and its end to the log
        table.vacuum(
            retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True, commit_properties=marked()
        )
    forget_missing(folder)
