"""Tables: a step's rows are processed by partition, staged as files, and committed once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DataError
from deskloop.contract.schema import to_frame
from deskloop.contract.stage import Context, FittedStage, SourceStage, TableStage
from deskloop.engine import retention
from deskloop.engine.decide import Decision, fingerprint_of
from deskloop.engine.inputs import Versions, parents_of
from deskloop.engine.partitions import Job, Outcome, check_conservation, guarded, origin_of, run_partition
from deskloop.engine.publish import describe, measure_some
from deskloop.engine.rebuild import check_unrecorded, retire
from deskloop.engine.sources import read_source
from deskloop.engine.workspace import Workspace
from deskloop.pipeline.pipeline import Step
from deskloop.store import zones
from deskloop.store.catalog import Version
from deskloop.store.changes import Changes
from deskloop.store.delta import REJECTS
from deskloop.store.memo import check_memo
from deskloop.store.parts import Part, read_part


def make_table(work: Workspace, step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Write a step's rows and rejects; return the unpublished versions and the final decision."""
    table = _Table(work, step, parents_of(step.stage, inputs))
    decision, changes = table.begin(decision)
    job = table.job(work.decider.context(step, decision.artifact))
    check_memo(job.context.memo)
    verdict: pd.DataFrame | None = None
    if isinstance(step.stage, SourceStage):
        outcome = read_source(work, step, step.stage, job, table.commit)
    else:
        if changes is None:
            decision = replace(decision, why=decision.why + table.lost_rows())
            verdict = table.verdict(step.stage, job) if isinstance(step.stage, TableStage) else None
        total, tasks = table.tasks(job, changes, verdict)
        outcome, progress = Outcome(), partial(work.progress, step.name)
        progress(0, total, "rows")
        for part in work.executor.map(run_partition, tasks):
            outcome.add(part)
            progress(outcome.rows_in, total, "rows")
        table.commit_rows(outcome, changes)
    work.store.clear_staging()
    versions = describe(work.store, step, table.parents, decision, outcome, (work.run_id, work.flow_run_id))
    details = table.measure(job, verdict)
    return [replace(version, details=version.details | details) for version in versions], decision


class _Table:
    """The parts of a step's computation."""

    def __init__(self, work: Workspace, step: Step, parents: Sequence[Version]) -> None:
        self.work, self.step, self.stage, self.parents = work, step, step.data, parents
        self.store, self.zone = work.store, step.data.zone[1]

    def begin(self, decision: Decision) -> tuple[Decision, list[Changes] | None]:
        """Check the parents, retire damaged versions and fit; return the decision and the changes to extend by."""
        self.store.clear_staging()
        for parent in self.parents:
            check_unrecorded(self.store, parent)
        self._check_distinct()
        changes = self._changes(decision) if decision.action == "extend" else None
        if decision.action == "extend" and changes is None:
            why = f"{decision.why}; the changes since then are not available"
            decision = replace(decision, action="compute", why=why)
        broken = [name for name in self.step.tables if name in self.work.decider.broken]
        if broken:
            self._check_rebuildable(broken)
            retire(self.work, self.step, broken)
        return self._fit(decision) if decision.refit else decision, changes

    def measure(self, job: Job, verdict: pd.DataFrame | None) -> dict[str, object]:
        """Measure the quality of the step on a sample; record its proof, and the families for the ledger."""
        details: dict[str, object] = {}
        if self.stage.measure is not None:
            size = self.work.pipeline.settings.measured_rows
            details = measure_some(self.store, job, self.stage.measure, self.parents, size)
        if isinstance(self.stage, TableStage) and verdict is not None:
            if self.stage.proof is not None:
                details["proof"] = self.stage.proof(verdict, self.step.config)
            if self.stage.remember is not None:
                self.work.remembered[self.step.name] = self.stage.remember(verdict)
        return details

    def _check_distinct(self) -> None:
        """Refuse to join outputs of several steps that share a row id.

        Raises:
            DataError: row ids are shared; the message has the count and the first few ids.
        """
        if len({parent.step for parent in self.parents}) < 2:
            return
        counts = Counter(self.work.read(self.parents, ["row_id"])["row_id"].to_pylist())
        shared = sorted(row_id for row_id, count in counts.items() if count > 1)
        if shared:
            names = " and ".join(parent.dataset for parent in self.parents)
            raise DataError(
                f"step {self.step.name!r}: {names} have {len(shared):,} row ids in common ({', '.join(shared[:3])}). "
                f"Read both logs in one ingest step, which rejects the repeated ids, or remove one of them"
            )

    def _fit(self, decision: Decision) -> Decision:
        rows = self.work.read(self.parents, None)
        work, stage = self.work, self.stage
        if not isinstance(stage, FittedStage):
            raise TypeError(f"step {self.step.name!r} has nothing to fit")
        job = self.job(work.decider.context(self.step))
        with guarded(job):
            files = stage.fit(to_frame(rows), job.config, job.context)
        key = work.decider.artifact_key(self.step, decision.recipe, decision.equipment)
        digest = work.ledger.record_artifact(self.step.name, key, files, rows.num_rows, decision.refit)
        parents = [parent.as_parent() for parent in self.parents]
        return replace(decision, artifact=digest, fingerprint=fingerprint_of(decision.recipe, digest, [], parents, ""))

    def verdict(self, stage: TableStage, job: Job) -> pd.DataFrame:
        """Run a table stage on the columns that it reads, in the order of row ids."""
        rows = self.work.read(self.parents, stage.columns)
        with guarded(job):
            result = stage.run(to_frame(rows), job.config, job.context)
        check_conservation(self.step.name, rows["row_id"].to_pylist(), result["row_id"].tolist(), [])
        return result

    def tasks(
        self, job: Job, changes: Sequence[Changes] | None, verdict: pd.DataFrame | None
    ) -> tuple[int, Iterator[tuple[Job, pa.Table, pa.Table | None]]]:
        """Return the number of rows to process, and a task for each partition of them."""
        size = self.work.pipeline.settings.partition_rows
        if changes is not None:
            tables = [each.upserts for each in changes]
            slices = (table.slice(start, size) for table in tables for start in range(0, table.num_rows, size))
            return sum(table.num_rows for table in tables), ((job, rows, None) for rows in slices)
        partitions = (
            rows
            for parent in self.parents
            for rows in self.store.batches(parent.zone, parent.dataset, parent.delta_version, rows=size)
        )
        total = sum(parent.rows for parent in self.parents)
        if verdict is None:
            return total, ((job, rows, None) for rows in partitions)
        columns = self._new_columns(verdict)
        position = {row_id: index for index, row_id in enumerate(columns["row_id"].to_pylist())}
        pairs = ((rows, [position[row_id] for row_id in rows["row_id"].to_pylist()]) for rows in partitions)
        return total, ((job, rows, columns.take(indices)) for rows, indices in pairs)

    def commit_rows(self, outcome: Outcome, changes: Sequence[Changes] | None) -> None:
        """Commit what was computed or extended; rows whose raw rows have expired stay."""
        fresh = {split: not self.store.exists(self.zone, name) for split, name in self.step.datasets.items()}
        if changes is not None:
            fresh = dict.fromkeys(self.step.datasets, all(each.only_inserts for each in changes))
        expired = self._expired()
        if changes is None and not expired:
            self.commit(outcome, fresh, deleted=None, gone=None)
            return
        present = set(self.work.read(self.parents, ["row_id"])["row_id"].to_pylist())
        changed = present
        if changes is not None:
            changed = {row_id for each in changes for row_id in (*each.upserts["row_id"].to_pylist(), *each.deleted)}
        affected = changed - expired
        self.commit(outcome, fresh, *self._removed(outcome, affected | expired | present, affected))

    def _removed(
        self, outcome: Outcome, parent_ids: set[str], affected: set[str]
    ) -> tuple[dict[str | None, list[str]], list[str]]:
        """Return output rows by split, and rejects, that derive from an affected row and were not written again."""
        deleted = {
            split: _without(
                self._present(self.zone, name), parent_ids, affected, _row_ids(outcome.parts.get(split, []))
            )
            for split, name in self.step.datasets.items()
        }
        return deleted, _without(self._present("clean", self.step.rejects), parent_ids, affected, outcome.rejected)

    def _expired(self) -> set[str]:
        """Return the ids of raw rows that retention deleted from the parents, but not from their children."""
        raw = [parent.dataset for parent in self.parents if parent.zone == zones.RAW]
        return retention.expired_ids(self.work.ledger.folder, raw) if raw else set()

    def _check_rebuildable(self, broken: Sequence[str]) -> None:
        """Refuse to rebuild damaged tables if that would lose rows.

        Raises:
            DataError: raw rows that they derive from have expired.
        """
        if self._expired():
            problem = self.work.decider.broken[broken[0]]
            raise DataError(
                f"step {self.step.name!r}: clean/{broken[0]} is damaged ({problem}) and cannot be rebuilt, since raw "
                f"rows that it derives from have expired; restore it from a backup (`deskloop data restore`)"
            )

    def lost_rows(self) -> str:
        """Return a note on the rows that a step cannot recompute because their raw rows have expired; "" if none.

        Raises:
            DataError: the table would have to be recreated, which would lose these rows.
        """
        expired = self._expired()
        if not expired:
            return ""
        step, store, zone = self.step, self.store, self.zone
        tables = list(step.datasets.values())
        present = {origin_of(row_id, expired) for name in tables for row_id in self._present(zone, name)}
        rejected = {origin_of(row_id, expired) for row_id in self._present("clean", step.rejects)}
        unchanged, lost = len(expired & (present - rejected)), len(expired - present - rejected)
        existing = [name for name in tables if store.exists(zone, name)]
        if unchanged and not all(store.fits(zone, name, self.stage.schema) for name in existing):
            raise DataError(
                f"step {step.name!r}: {unchanged:,} rows of {', '.join(existing)} cannot be computed in the new "
                "schema, since their raw rows have expired; use the earlier version of deskloop, or start a new store"
            )
        note = f"; {unchanged:,} rows are kept unchanged, since their raw rows have expired" if unchanged else ""
        return note + (f"; {lost:,} rows cannot be recomputed, since their raw rows have expired" if lost else "")

    def _new_columns(self, verdict: pd.DataFrame) -> pa.Table:
        """Return the columns of a verdict that replace those of the input, and `row_id`, by which they are sorted."""
        read = set(self.stage.columns) if isinstance(self.stage, TableStage) else set()
        unchanged = read - self.stage.provides
        names = ["row_id", *(name for name in verdict.columns if name not in unchanged and name != "row_id")]
        return pa.Table.from_pandas(verdict[names], preserve_index=False).sort_by("row_id")

    def _changes(self, decision: Decision) -> list[Changes] | None:
        """Return the changes of each parent since the last version; None if they are not available."""
        changes = []
        for parent, new in zip(decision.versions[0].parents, self.parents, strict=True):
            old = self.work.catalog.get(parent.name)
            each = self.store.changes(new.zone, new.dataset, old.delta_version, new.delta_version)
            if each is None:
                return None
            changes.append(each)
        return changes

    def _present(self, zone: str, dataset: str) -> list[str]:
        """Return the row ids of a table's last commit; none if there is no table."""
        if not self.store.exists(zone, dataset):
            return []
        rows = self.store.read(zone, dataset, self.store.delta_version(zone, dataset), ["row_id"])
        ids: list[str] = rows["row_id"].to_pylist()
        return ids

    def job(self, context: Context) -> Job:
        """Return the step's job; parts are staged in its output zone, and rejects, which have no text, in `clean`."""
        step = self.step
        staging = self.store.staging(self.zone) / step.name
        folders = {split: staging / name for split, name in step.datasets.items()}
        rejects = self.store.staging("clean") / step.name / "rejects"
        quarantine = staging / "quarantine" if isinstance(self.stage, SourceStage) else None
        return Job(step.name, self.stage, step.config, context, folders, rejects, quarantine)

    def commit(
        self,
        outcome: Outcome,
        fresh: Mapping[str | None, bool],
        deleted: Mapping[str | None, list[str]] | None,
        gone: list[str] | None,
        keep: Sequence[str] = (),
    ) -> None:
        """Write rows and rejects to their tables, in one Delta commit each."""
        store, broken = self.store, self.work.decider.broken
        for split, dataset in self.step.datasets.items():
            parts: list[Part] = outcome.parts.get(split, [])
            damaged = broken.pop(dataset, None) is not None
            store.create(self.zone, dataset, self.stage.schema, overwrite=damaged)
            if fresh.get(split) or damaged:
                store.append_parts(self.zone, dataset, parts)
            else:
                store.merge(self.zone, dataset, parts, None if deleted is None else deleted[split], keep)
        damaged = broken.pop(self.step.rejects, None) is not None
        store.create("clean", self.step.rejects, REJECTS, overwrite=damaged)
        store.merge("clean", self.step.rejects, outcome.rejects, gone)


def _row_ids(parts: Sequence[Part] | None) -> list[str]:
    """Return the row ids in staged parts of one dataset; a row may have moved there from another split."""
    return [row_id for part in parts or () for row_id in read_part(part, ["row_id"])["row_id"].to_pylist()]


def _without(present: Sequence[str], parent_ids: set[str], affected: set[str], written: Sequence[str]) -> list[str]:
    """Return the ids of a table that derive from an affected row and were not written again.

    Args:
        parent_ids: every row id of the parents, now or before.
    """
    new = set(written)
    return sorted(row_id for row_id in present if origin_of(row_id, parent_ids) in affected and row_id not in new)
