"""Retention: raw rows older than `raw_days` are deleted from every version; what was made from them stays.

    arrivals   when the rows of an arrival number came                      (ledger/arrivals)
    expired    ids of rows that were deleted, by dataset: known, not new    (ledger/expired)

A row's age counts from its arrival, not from `started_at`: a log of last year may be read today, and what arrives
must stay long enough to be scrubbed. A row that changes keeps its arrival number. The order of the writes is such that
a run killed between any two of them is made good by the next: known as expired, deleted, published, vacuumed.
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

REASON = "expired"  # of the reject, when the source still holds such a row
MODE = "expired"  # of a version that retention published
QUARANTINE = "quarantine"
_ARRIVALS = pa.schema([("dataset", pa.string()), ("batch", pa.int32()), ("at", pa.timestamp("us", tz="UTC"))])
_EXPIRED = pa.schema([("dataset", pa.string()), ("row_id", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])


@dataclass(frozen=True)
class Due:
    """What of one raw table has expired."""

    dataset: str
    row_ids: list[str]


def expire(
    pipeline: Pipeline, store: Store, now: datetime | None = None, dry_run: bool = False, run_id: str = ""
) -> dict[str, int]:
    """Delete the raw rows, unreadable records included, that arrived more than `raw_days` ago.

    The store must be locked by the caller.

    Args:
        now: UTC; the clock's time by default.
    Returns:
        Dataset -> rows deleted (or that would be); empty where `raw_days` is not set.
    Raises:
        DataError: rows that have expired were not worked on yet, so that their conversations would be lost.
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
            _check_worked_on(pipeline, store, catalog, due)
            _remember(ledger, due, now)
            for one in due:
                _delete(store, one, last)
            why = f"retention: raw rows are kept for {days} days"
            _publish(pipeline, store, catalog, why, run_id)
            for one in due:
                _vacuum(store, one.dataset)
    return {one.dataset: len(one.row_ids) for one in due}


def expired_ids(ledger: Path, datasets: Iterable[str]) -> set[str]:
    """Ids of rows that retention deleted from raw datasets."""
    wanted = set(datasets)
    table = state_rows(ledger / "expired", _EXPIRED)
    pairs = zip(table["dataset"].to_pylist(), table["row_id"].to_pylist(), strict=True)
    return {row_id for dataset, row_id in pairs if dataset in wanted}


def forget(ledger: Path, row_ids: Iterable[str]) -> int:
    """Take ids off the list, as an erasure must; returns how many."""
    known = set(row_ids)
    table = state_rows(ledger / "expired", _EXPIRED)
    kept = [row for row in table.to_pylist() if row["row_id"] not in known]
    if len(kept) < table.num_rows:
        write_state(ledger / "expired", pa.Table.from_pylist(kept, schema=_EXPIRED), "overwrite")
        _empty_out(ledger / "expired")
    return table.num_rows - len(kept)


def next_batch(ledger: Path, dataset: str, last: int) -> int:
    """The arrival number of rows that are about to be read, noted with the time; never one that was used before.

    All sources of a store count on together: their unreadable records share a table, and a number must have one time.

    Args:
        last: the highest number that the dataset holds; its rows may have expired.
    """
    noted = state_rows(ledger / "arrivals", _ARRIVALS)["batch"].to_pylist()
    batch = 1 + max(last, *noted, 0)
    row = {"dataset": dataset, "batch": batch, "at": datetime.now(UTC)}
    write_state(ledger / "arrivals", pa.Table.from_pylist([row], schema=_ARRIVALS))
    return batch


def _last_expired(ledger: Path, before: datetime, now: datetime) -> int:
    """The highest arrival number whose rows came before a time; 0 where there is none.

    Numbers are in the order of arrival even where the clock was wrong: a time in the future is left aside, and a batch
    came no earlier than those before it.
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


def _check_worked_on(pipeline: Pipeline, store: Store, catalog: Catalog, due: Sequence[Due]) -> None:
    """Every raw version, and no other, must have gone through the step that reads it.

    Raises:
        DataError: one has not; nothing was deleted.
    """
    waiting = set()
    for step in pipeline.data_steps:
        if step.data.zone[0] == RAW:
            made = [latest for name in step.datasets.values() if (latest := catalog.latest(name)) is not None]
            read = {parent.name for parent in made[0].parents} if made else set()
            names = [reference.dataset for reference in step.references]
            given = [latest for name in names if (latest := catalog.latest(name)) is not None]
            waiting |= {one.dataset for one in given if one.name not in read or not _is_published(store, one)}
    count = sum(len(one.row_ids) for one in due if one.dataset in waiting)
    if count:
        raise DataError(
            f"{count:,} raw rows are older than raw_days = {pipeline.settings.raw_days}, but the latest ones were not "
            f"scrubbed yet; nothing was deleted. Run `deskloop prepare` to the end, then again."
        )


def _is_published(store: Store, version: Version) -> bool:
    """Whether a raw table is its latest version, but for rows that retention has deleted before it was killed."""
    at = store.delta_version(RAW, version.dataset)
    if at == version.delta_version:
        return True
    now, then = (
        set(map(tuple, zip(*(rows[name].to_pylist() for name in ("row_id", "_hash")), strict=True)))
        for rows in (store.read(RAW, version.dataset, one, ["row_id", "_hash"]) for one in (at, version.delta_version))
    )
    known = expired_ids(store.root / "ledger", [version.dataset])
    return now <= then and {row_id for row_id, _ in then - now} <= known


def _remember(ledger: Path, due: Sequence[Due], now: datetime) -> None:
    known = state_rows(ledger / "expired", _EXPIRED)
    there = set(zip(known["dataset"].to_pylist(), known["row_id"].to_pylist(), strict=True))
    pairs = [(one.dataset, row_id) for one in due for row_id in one.row_ids if (one.dataset, row_id) not in there]
    if pairs:
        rows = [{"dataset": dataset, "row_id": row_id, "at": now} for dataset, row_id in pairs]
        write_state(ledger / "expired", pa.Table.from_pylist(rows, schema=_EXPIRED))


def _delete(store: Store, due: Due, last: int) -> None:
    folder = store.folder(RAW, due.dataset)
    if due.row_ids:
        with owner_only(RAW, folder), committing(folder, reads=True) as table:
            table.delete(f"batch <= {last}", commit_properties=marked())


def _publish(pipeline: Pipeline, store: Store, catalog: Catalog, why: str, run_id: str) -> None:
    """The raw tables as they are now, and the datasets made from them as made from these, in one commit.

    What was made from a raw version keeps its rows and digest, so that nothing made from it is recomputed.
    """
    new: dict[str, Version] = {}
    for step in pipeline.steps:
        own = [latest for name in step.datasets.values() if (latest := catalog.latest(name)) is not None]
        parents = [_parent(parent, new) for parent in own[0].parents] if own else []
        moved = bool(own) and parents != own[0].parents
        for version in own:
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
    newest = {one.dataset: one for one in catalog.versions if one.mode == MODE and one.zone == RAW}
    earlier = [one for one in catalog.versions if one.dataset in newest and one.version < newest[one.dataset].version]
    at = datetime.now(UTC).isoformat()
    gone = [
        replace(one, gone=True, erased_at=at, details=one.details | {"expired": True})
        for one in earlier
        if not one.gone
    ]
    if gone:
        catalog.supersede(gone)


def _parent(parent: Parent, new: Mapping[str, Version]) -> Parent:
    """A parent as it will be published: one version on, where it is raw and retention changed it."""
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


def _vacuum(store: Store, dataset: str) -> None:
    _empty_out(store.folder(RAW, dataset))


def _empty_out(folder: Path) -> None:
    """Delete the files of all earlier versions, the change feed's included."""
    with committing(folder) as table:  # a vacuum notes its beginning and its end in the log
        table.vacuum(
            retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True, commit_properties=marked()
        )
    forget_missing(folder)
