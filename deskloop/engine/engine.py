"""The engine: makes a step's version and publishes it.

decide   reuse, extend or compute                                   (deskloop.engine.decide)
make     partitions are worked on; rows and rejects are written, one Delta commit each
account  ids in = ids out + rejects, digests, expectations           (deskloop.engine.publish)
publish  what the step remembers goes to the ledger, then one commit to the catalog
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError, DataError, InputError
from deskloop.contract.progress import tick
from deskloop.contract.schema import to_frame
from deskloop.contract.stage import Context
from deskloop.engine import retention
from deskloop.engine.decide import Decider, Decision, tables_of
from deskloop.engine.partitions import (
    Executor,
    Job,
    Outcome,
    check_conservation,
    guarded,
    origin_of,
    run_partition,
    write_outcome,
)
from deskloop.engine.publish import describe, hold_against_expectations, measure_some
from deskloop.engine.rebuild import check_unrecorded, rebuild, retire, revive
from deskloop.pipeline.load import Pipeline, Step
from deskloop.store import zones
from deskloop.store.catalog import Version
from deskloop.store.changes import Changes
from deskloop.store.digest import text_digest
from deskloop.store.memo import Memo
from deskloop.store.parts import Part, read_part
from deskloop.store.store import QUARANTINE, REJECTS, Store

Result = TypeVar("Result")


class Engine:
    """Runs the steps of one pipeline against one store."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        executor: Executor,
        run_id: str,
        refit: Sequence[str] = (),
        rebuild: Sequence[str] = (),
    ) -> None:
        self.pipeline, self.store, self.executor, self.run_id = pipeline, store, executor, run_id
        self.decider = Decider(pipeline, store, refit, rebuild)
        self.catalog, self.ledger = self.decider.catalog, self.decider.ledger
        self.rebuild = self.decider.rebuild
        self.flow_run_id = ""
        self.standing: dict[str, Version] = {}  # step -> what it stands for in this run
        self.attempted: set[str] = set()  # damaged tables that this run has tried to rebuild
        self.rebuilt: dict[str, tuple[list[Version], Decision]] = {}  # steps whose damaged tables were rebuilt

    def run(self, step: Step, parents: Sequence[Version]) -> tuple[list[Version], Decision]:
        """Bring a step up to date.

        Args:
            parents: the versions it reads; empty for a source.
        Returns:
            The versions it stands for now, and what was decided.
        Raises:
            ExpectationError: a critical expectation failed; nothing was published.
            DataError, InputError, StepError: nothing was published.
        """
        made = self.mended(lambda: self._bring_up(step, [self.catalog.get(one.name) for one in parents]), step)
        self.standing[step.name] = made[0][0]
        return made

    def mended(self, function: Callable[[], Result], under_way: Step | None = None) -> Result:
        """Call a function that reads versions; rebuild a damaged one that it comes across, and call it again.

        Args:
            function: resolves the versions that it reads by name, each time: a rebuilt one lies elsewhere.
            under_way: the step that the function brings up to date.
        Raises:
            DamageError: of what cannot be rebuilt.
        """
        while True:
            try:
                return function()
            except DamageError as damage:
                rebuild(self, damage, under_way)

    def _bring_up(self, step: Step, parents: Sequence[Version]) -> tuple[list[Version], Decision]:
        began = time.monotonic()
        decision = self.decider.decide(step, parents)
        if decision.action == "reuse":
            return list(decision.versions), decision
        with zones.for_step(step.stage.zone, step.name):
            return self._make(step, parents, decision, began)

    def _make(
        self, step: Step, parents: Sequence[Version], decision: Decision, began: float
    ) -> tuple[list[Version], Decision]:
        """Make and publish a version that is not there yet."""
        self.store.clear_staging()
        for parent in parents:
            check_unrecorded(self.store, parent)
        changes = self._changes(parents, decision) if decision.action == "extend" else None
        if decision.action == "extend" and changes is None:
            why = f"{decision.why}; the changes since then cannot be followed"
            decision = replace(decision, action="compute", why=why)
        broken = [name for name in tables_of(step) if name in self.decider.broken]
        if broken:
            self._check_rebuildable(step, parents, broken)
            retire(self, step, broken)
        if decision.refit:
            decision = self._fit(step, parents, decision)
        context = self.decider.context(step, decision.artifact)
        if Path(context.memo).exists():
            with Memo(context.memo) as memo:
                memo.check()
        verdict: pd.DataFrame | None = None
        if step.stage.source is not None:
            outcome = self._from_source(step, context)
        elif changes is not None:
            outcome = self._extend(step, parents, changes, context)
        else:
            decision = replace(decision, why=decision.why + self._told_expired(step, parents))
            if step.stage.kind == "table":
                verdict = self._verdict(step, parents, context)
            outcome = self._compute(step, parents, context, verdict)
        self.store.clear_staging()
        versions = describe(self.store, step, parents, decision, outcome, (self.run_id, self.flow_run_id))
        if step.stage.measure is not None:
            measured = measure_some(self.store, self._job(step, context), parents, self.pipeline.settings.measured_rows)
            versions = [replace(one, details=one.details | measured) for one in versions]
        versions = hold_against_expectations(self.store, step, versions)
        if step.stage.proof is not None and verdict is not None:
            proof = {"proof": step.stage.proof(verdict, step.config)}
            versions = [replace(one, details=one.details | proof) for one in versions]
        if step.stage.remember is not None and verdict is not None:
            self.ledger.remember_families(step.stage.remember(verdict))
        seconds = round(time.monotonic() - began, 3)
        versions = [replace(one, seconds=seconds) for one in versions]
        return revive(self.catalog, versions) if broken else self.catalog.publish(versions), decision

    def _fit(self, step: Step, parents: Sequence[Version], decision: Decision) -> Decision:
        rows = self._read(parents, None)
        job = self._job(step, self.decider.context(step))
        files: Mapping[str, bytes] = guarded(
            job,
            [],
            lambda: step.stage.fit(to_frame(rows), step.config, job.context),  # type: ignore[misc]
        )
        key = self.decider.artifact_key(step, decision.recipe, decision.equipment)
        digest = self.ledger.record_artifact(step.name, key, files, rows.num_rows, decision.refit)
        fingerprint = text_digest(decision.recipe, digest, [parent.digest for parent in parents])
        return replace(decision, artifact=digest, fingerprint=fingerprint)

    def _from_source(self, step: Step, context: Context) -> Outcome:
        """Stream the source's frames into parts; conversations that are new get the next arrival number."""
        source = step.stage.source
        if source is None:
            raise TypeError(f"step {step.name!r} has no source")
        (dataset,) = step.datasets.values()
        fresh: dict[str | None, bool] = {None: not self.store.exists("raw", dataset)}
        job = self._job(step, context)
        ledger, sample = self.ledger.folder, self.pipeline.sample
        batch = retention.next_batch(ledger, dataset, self._last_batch(dataset))
        expired, unreadable = (retention.expired_ids(ledger, [name]) for name in (dataset, retention.QUARANTINE))
        outcome = Outcome()
        frames: Iterator[pd.DataFrame] = guarded(job, [], lambda: source.read(step.config, context))
        while (frame := guarded(job, [], partial(next, frames, None))) is not None:
            frame = frame.head(sample - outcome.rows_in) if sample is not None else frame
            frame = _known_as_expired(frame.assign(batch=batch), expired, unreadable)
            outcome.add(guarded(job, [], partial(write_outcome, job, frame, None)))
            tick(f"  {step.name}: {outcome.rows_in:,} records read")
            if outcome.rows_in == sample:
                break
        if not outcome.written and not outcome.reasons[retention.REASON]:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in outcome.reasons.most_common())
            raise InputError(
                f"step {step.name!r} found no conversation to keep in {outcome.rows_in:,} records "
                f"({reasons or 'none'}). "
                f"Look at the sources in {self.pipeline.file.name}: their format and column names."
            )
        twice = sorted(row_id for row_id, count in Counter(outcome.written).items() if count > 1)
        if twice:
            told = f"{len(twice):,} row ids twice ({', '.join(twice[:3])})"
            raise DataError(f"step {step.name!r}: the source gave {told}; a row_id must be unique")
        self._commit(step, outcome, fresh, deleted=None, gone=None, keep=("batch",))
        if outcome.quarantine or self.store.exists("raw", "quarantine"):
            self.store.create("raw", "quarantine", QUARANTINE)
            self.store.merge("raw", "quarantine", outcome.quarantine, deleted=None, keep=("batch",))
        return outcome

    def _last_batch(self, dataset: str) -> int:
        if not self.store.exists("raw", dataset):
            return 0
        version = self.store.delta_version("raw", dataset)
        batches = self.store.read("raw", dataset, version, ["batch"])["batch"].to_pylist()
        return max(batches, default=0)

    def _verdict(self, step: Step, parents: Sequence[Version], context: Context) -> pd.DataFrame:
        """A table stage's result on the columns it reads, in the order of row ids."""
        rows = self._read(parents, step.stage.columns)
        job = self._job(step, context)
        result: pd.DataFrame = guarded(
            job,
            [],
            lambda: step.stage.run(to_frame(rows), step.config, context),  # type: ignore[misc]
        )
        check_conservation(step.name, rows["row_id"].to_pylist(), result["row_id"].tolist(), [])
        return result

    def _compute(
        self, step: Step, parents: Sequence[Version], context: Context, verdict: pd.DataFrame | None = None
    ) -> Outcome:
        zone = step.stage.zone[1]
        fresh = {split: not self.store.exists(zone, name) for split, name in step.datasets.items()}
        job = self._job(step, context)
        decided = self._decided(step, verdict) if verdict is not None else None
        outcome = Outcome()
        for one in self.executor.map(run_partition, self._tasks(job, self._partitions(parents), decided)):
            outcome.add(one)
            tick(f"  {step.name}: {outcome.rows_in:,} of {sum(parent.rows for parent in parents):,} rows")
        expired = self._expired(parents)
        if not expired:
            self._commit(step, outcome, fresh, deleted=None, gone=None)
            return outcome
        known = expired | set(self._read(parents, ["row_id"])["row_id"].to_pylist())
        affected = known - expired
        deleted = {
            split: _without(self._present(zone, name), known, affected, _row_ids(outcome.parts.get(split, [])))
            for split, name in step.datasets.items()
        }
        rejected = _without(self._present("clean", step.rejects), known, affected, outcome.rejected)
        self._commit(step, outcome, fresh, deleted, rejected)
        return outcome

    def _expired(self, parents: Sequence[Version]) -> set[str]:
        """Ids of raw rows that retention deleted: gone from the parents, not from what was made of them."""
        raw = [one.dataset for one in parents if one.zone == zones.RAW]
        return retention.expired_ids(self.ledger.folder, raw) if raw else set()

    def _check_rebuildable(self, step: Step, parents: Sequence[Version], broken: Sequence[str]) -> None:
        """Refuse to start damaged tables anew where that would lose rows.

        Raises:
            DataError: raw rows that they were made from have expired.
        """
        if self._expired(parents):
            raise DataError(
                f"step {step.name!r}: clean/{broken[0]} is damaged ({self.decider.broken[broken[0]]}) and cannot be "
                f"rebuilt, since raw rows that it was made from have expired; restore it from a backup "
                f"(`deskloop data restore`)"
            )

    def _told_expired(self, step: Step, parents: Sequence[Version]) -> str:
        """What a step that is made anew cannot make anew, since its raw rows have expired; "" where it can.

        Raises:
            DataError: its table would have to be started anew, which would lose the rows that are left.
        """
        expired = self._expired(parents)
        if not expired:
            return ""
        zone, tables = step.stage.zone[1], list(step.datasets.values())
        present = {origin_of(row_id, expired) for name in tables for row_id in self._present(zone, name)}
        rejected = {origin_of(row_id, expired) for row_id in self._present("clean", step.rejects)}
        kept, lost = len(expired & (present - rejected)), len(expired - present - rejected)
        there = [name for name in tables if self.store.exists(zone, name)]
        if kept and not all(self.store.fits(zone, name, step.stage.schema) for name in there):
            raise DataError(
                f"step {step.name!r}: {kept:,} rows of {', '.join(there)} cannot be made in the new schema, since "
                f"their raw rows have expired; keep the earlier version of deskloop for them, or start with a new store"
            )
        told = f"; {kept:,} rows stay as they were made before, their raw rows have expired" if kept else ""
        return told + (f"; {lost:,} rows cannot be made again, their raw rows have expired" if lost else "")

    def _decided(self, step: Step, verdict: pd.DataFrame) -> pa.Table:
        """The columns of a verdict that replace a row's own, keyed by row_id and sorted by it."""
        own = set(step.stage.columns) - step.stage.provides
        names = ["row_id", *(name for name in verdict.columns if name not in own and name != "row_id")]
        return pa.Table.from_pandas(verdict[names], preserve_index=False).sort_by("row_id")

    def _tasks(
        self, job: Job, partitions: Iterable[pa.Table], decided: pa.Table | None
    ) -> Iterator[tuple[Job, pa.Table, pa.Table | None]]:
        position = (
            {row_id: at for at, row_id in enumerate(decided["row_id"].to_pylist())} if decided is not None else {}
        )
        for rows in partitions:
            own = (
                decided.take([position[row_id] for row_id in rows["row_id"].to_pylist()])
                if decided is not None
                else None
            )
            yield job, rows, own

    def _partitions(self, parents: Sequence[Version]) -> Iterator[pa.Table]:
        size = self.pipeline.settings.partition_rows
        for parent in parents:
            yield from self.store.batches(parent.zone, parent.dataset, parent.delta_version, rows=size)

    def _changes(self, parents: Sequence[Version], decision: Decision) -> list[Changes] | None:
        """What has happened to each parent since the last version was made; None where it cannot be followed."""
        before = [self.catalog.get(one.name) for one in decision.versions[0].parents]
        pairs = zip(before, parents, strict=True)
        changes = [
            self.store.changes(new.zone, new.dataset, old.delta_version, new.delta_version) for old, new in pairs
        ]
        found = [one for one in changes if one is not None]
        return found if len(found) == len(changes) else None

    def _extend(self, step: Step, parents: Sequence[Version], changes: Sequence[Changes], context: Context) -> Outcome:
        """Work on the rows that changed since the last version; everything else stays as it is."""
        fresh = dict.fromkeys(step.datasets, all(one.only_inserts for one in changes))
        job = self._job(step, context)
        outcome = Outcome()
        size = self.pipeline.settings.partition_rows
        slices = (one.upserts.slice(at, size) for one in changes for at in range(0, one.upserts.num_rows, size))
        for part in self.executor.map(run_partition, self._tasks(job, slices, None)):
            outcome.add(part)
        expired = self._expired(parents)
        affected = _affected(changes) - expired
        known = affected | expired | set(self._read(parents, ["row_id"])["row_id"].to_pylist())
        zone = step.stage.zone[1]
        gone = {
            split: _without(self._present(zone, name), known, affected, _row_ids(outcome.parts.get(split, [])))
            for split, name in step.datasets.items()
        }
        rejected = self._present("clean", step.rejects)
        unrejected = _without(rejected, known, affected, outcome.rejected)
        self._commit(step, outcome, fresh, deleted=gone, gone=unrejected)
        return outcome

    def _present(self, zone: str, dataset: str) -> list[str]:
        """Row ids of a table's last commit; none where there is no table."""
        if not self.store.exists(zone, dataset):
            return []
        ids: list[str] = self.store.read(zone, dataset, self.store.delta_version(zone, dataset), ["row_id"])[
            "row_id"
        ].to_pylist()
        return ids

    def _job(self, step: Step, context: Context) -> Job:
        """The parts of a step are staged in the zone that it writes to; its rejects, which hold no text, in `clean`."""
        staging = self.store.staging(step.stage.zone[1]) / step.name
        folders = {split: staging / name for split, name in step.datasets.items()}
        rejects = self.store.staging("clean") / step.name / "rejects"
        quarantine = staging / "quarantine" if step.stage.source else None
        return Job(step.name, step.stage, step.config, context, folders, rejects, quarantine)

    def _commit(
        self,
        step: Step,
        outcome: Outcome,
        fresh: Mapping[str | None, bool],
        deleted: Mapping[str | None, list[str]] | None,
        gone: list[str] | None,
        keep: Sequence[str] = (),
    ) -> None:
        """Bring rows and rejects into their tables: one Delta commit each."""
        zone = step.stage.zone[1]
        for split, dataset in step.datasets.items():
            parts: list[Part] = outcome.parts.get(split, [])
            broken = self.decider.broken.pop(dataset, None) is not None
            self.store.create(zone, dataset, step.stage.schema, afresh=broken)
            if fresh.get(split) or broken:
                self.store.append_parts(zone, dataset, parts)
            else:
                self.store.merge(zone, dataset, parts, None if deleted is None else deleted[split], keep)
        broken = self.decider.broken.pop(step.rejects, None) is not None
        self.store.create("clean", step.rejects, REJECTS, afresh=broken)
        self.store.merge("clean", step.rejects, outcome.rejects, gone)

    def table(self, version: Version) -> pa.Table:
        """All rows of a version, sorted by row_id."""
        return self.mended(lambda: self._read([self.catalog.get(version.name)], None))

    def _read(self, parents: Sequence[Version], columns: Sequence[str] | None) -> pa.Table:
        """Rows of all parents, sorted by row_id so that nothing depends on how a table was built up."""
        tables = [self.store.read(one.zone, one.dataset, one.delta_version, columns) for one in parents]
        return pa.concat_tables(tables).sort_by("row_id")


def _known_as_expired(frame: pd.DataFrame, expired: set[str], unreadable: set[str]) -> pd.DataFrame:
    """Rows that the source still holds though retention deleted them: not new, and not kept again."""
    again = frame["row_id"].isin(expired) & frame["reject"].isna()
    hidden = again | frame["row_id"].isin(unreadable)
    if not hidden.any():
        return frame
    return frame.assign(reject=frame["reject"].mask(again, retention.REASON), raw=frame["raw"].mask(hidden, None))


def _affected(changes: Sequence[Changes]) -> set[str]:
    """Ids that were inserted, changed or deleted in any of the parents."""
    return {row_id for one in changes for row_id in (*one.upserts["row_id"].to_pylist(), *one.deleted)}


def _row_ids(parts: Sequence[Part]) -> list[str]:
    """Ids of the rows in staged parts: of one dataset alone, since a row may have moved to another split."""
    return [row_id for part in parts for row_id in read_part(part, ["row_id"])["row_id"].to_pylist()]


def _without(present: Sequence[str], known: set[str], affected: set[str], again: Sequence[str]) -> list[str]:
    """Ids of a table that came from an affected row and were not written again.

    Args:
        known: every row id of the parents, now or before.
    """
    written = set(again)
    return sorted(one for one in present if origin_of(one, known) in affected and one not in written)
