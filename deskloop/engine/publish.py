"""From an output on disk to its publication: count (P7), digest, measure, validate."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop.contract.errors import ExpectationError
from deskloop.contract.schema import to_frame
from deskloop.contract.stage import DataStage, Measure, SourceStage
from deskloop.engine import expect, retention
from deskloop.engine.decide import Decision
from deskloop.engine.partitions import Job, Outcome, check_conservation, guarded, origin_of
from deskloop.engine.recipe import library_versions
from deskloop.pipeline.pipeline import Step
from deskloop.store import zones
from deskloop.store.catalog import Version
from deskloop.store.digest import table_digest
from deskloop.store.store import Store

SHARED_LIBRARIES = ("deltalake", "pandas", "pyarrow")


def describe_output(
    step: Step, parents: Sequence[Version], decision: Decision, kind: str, run: tuple[str, str]
) -> Version:
    """Return the version of a model or of figures, without what it holds.

    Args:
        kind: see `Version.kind`.
        run: run id and flow run id.
    """
    return Version(
        dataset=step.output,
        version=0,
        kind=kind,
        zone="models",
        step=step.name,
        stage=step.stage.name,
        fingerprint=decision.fingerprint,
        recipe=decision.recipe,
        digest="",
        rows=0,
        parents=[parent.as_parent() for parent in parents],
        inputs=[list(entry) for entry in decision.inputs],
        artifact=decision.artifact,
        rows_in=sum(parent.rows for parent in parents),
        mode="extended" if decision.action == "extend" else "full",
        why=decision.why,
        run_id=run[0],
        flow_run_id=run[1],
        config=step.config.model_dump(mode="json"),
        libraries=library_versions(step.stage.libraries),
        details={"equipment": dict(decision.equipment)} if decision.equipment else {},
    )


def describe(
    store: Store, step: Step, parents: Sequence[Version], decision: Decision, outcome: Outcome, run: tuple[str, str]
) -> list[Version]:
    """Return the step's tables on disk as versions that are yet to be published.

    Args:
        outcome: what this run worked on; the counts of a version are of the whole table.
        run: run id and flow run id.
    Raises:
        DataError: ids in are not ids out + rejects.
    """
    zone = step.data.zone[1]
    latest = {name: store.delta_version(zone, name) for name in step.datasets.values()}
    present = {name: store.read(zone, name, at, ["row_id", "_hash"]) for name, at in latest.items()}
    rejects_version = store.delta_version("clean", step.rejects)
    rejects = store.read("clean", step.rejects, rejects_version, ["row_id", "reason"])
    written = [row_id for rows in present.values() for row_id in rows["row_id"].to_pylist()]
    rejected = rejects["row_id"].to_pylist()
    is_source = isinstance(step.stage, SourceStage)
    ids_in = written + outcome.rejected if is_source else _ids(store, parents, written + rejected)
    added = check_conservation(step.name, ids_in, written, rejected)
    common = replace(
        describe_output(step, parents, decision, "dataset", run),
        zone=zone,
        rejects_version=rejects_version,
        rows_in=len(ids_in),
        rows_out=len(written),
        added=added,
        rejected=rejects.num_rows,
        reasons=dict(Counter(rejects["reason"].to_pylist()).most_common()),
        touched=outcome.rows_in,
        libraries=library_versions((*SHARED_LIBRARIES, *step.stage.libraries)),
    )
    return [
        replace(common, dataset=name, digest=table_digest(rows["_hash"]), rows=len(rows), delta_version=latest[name])
        for name, rows in present.items()
    ]


def measure_some(store: Store, job: Job, measure: Measure, parents: Sequence[Version], size: int) -> dict[str, Any]:
    """Return the figures of the stage's `measure` on a sample of the whole table, also when it was extended.

    The rows are chosen by a hash of seed, step and row id: a table that grew by a few keeps almost all of its sample.

    Args:
        size: rows to measure on, at most.
    Raises:
        StepError: the measurement failed; carries ids only.
    """

    def drawn(row_id: str) -> bytes:
        return hashlib.blake2b(f"{job.context.seed}\x1f{job.step}\x1f{row_id}".encode(), digest_size=8).digest()

    chosen = sorted(heapq.nsmallest(size, _ids(store, parents, ()), key=drawn))
    wanted = pa.array(chosen, pa.string())
    first = parents[0]
    tables = [store.schema(first.zone, first.dataset, first.delta_version).empty_table()] + [
        batch.filter(pc.is_in(batch["row_id"], value_set=wanted))
        for parent in parents
        for batch in store.batches(parent.zone, parent.dataset, parent.delta_version)
    ]
    rows = to_frame(pa.concat_tables(tables).sort_by("row_id"))
    with guarded(job, chosen):
        measured = measure(rows, job.config, job.context)
    return measured


def validate(store: Store, step: Step, versions: Sequence[Version]) -> list[Version]:
    """Run the suite of a step on its rows, with the expectations that the pipeline file declares.

    Returns:
        The versions with the results in them.

    Raises:
        ExpectationError: a critical expectation failed.
    """
    if not step.stage.suite or not isinstance(step.stage, DataStage):
        return list(versions)
    first = versions[0]
    options = {name: value for name, value in first.config.items() if isinstance(value, int | float)}
    facts = {name: getattr(first, name) for name in ("rows_in", "rows_out", "rejected", "added")}
    measured = {name: value for name, value in first.details.items() if isinstance(value, int | float)}
    rows = (batch for each in versions for batch in store.batches(each.zone, each.dataset, each.delta_version))
    tables: chain[pa.Table] = chain([step.stage.schema.empty_table()], rows)
    validation = expect.validate(step.stage.suite, tables, {**options, **measured, **facts}, step.expect)
    if validation.critical:
        failures = "; ".join(_failure(result) for result in validation.critical)
        failures += f" (measured: {first.details['told']})" if "told" in first.details else ""
        if first.version:
            raise ExpectationError(
                f"step {step.name!r}: {first.name}, which is published, fails a critical expectation: {failures}. "
                "Correct the data, or change `expect` of the step"
            )
        raise ExpectationError(
            f"step {step.name!r} left data that fails a critical expectation, so it was not published: {failures}. "
            f"The last published version remains the current one."
        )
    results = [asdict(result) for result in validation.results]
    details = {"validation": validation.document, "expect": declared_by(step)}
    return [replace(version, expectations=results, details=version.details | details) for version in versions]


def declared_by(step: Step) -> list[dict[str, Any]]:
    """Return the expectations that the pipeline file declares for a step, in the types of JSON."""
    return [declaration.model_dump(mode="json") for declaration in step.expect]


def _failure(result: expect.Result) -> str:
    if result.error:
        return f"{result.description} (could not be evaluated: {result.error})"
    if result.unexpected or result.observed is None:
        return f"{result.description} ({result.unexpected:,} of {result.rows:,} rows)"
    return f"{result.description} (observed {result.observed:g})"


def _ids(store: Store, parents: Sequence[Version], out: Sequence[str] = ()) -> list[str]:
    """Return the ids of a step's input: those of its parents, and of raw rows that have expired since.

    Args:
        out: ids that it kept or rejected.
    """
    tables = [store.read(each.zone, each.dataset, each.delta_version, ["row_id"]) for each in parents]
    ids = [row_id for table in tables for row_id in table["row_id"].to_pylist()]
    raw = [parent.dataset for parent in parents if parent.zone == zones.RAW]
    expired = retention.expired_ids(store.root / "ledger", raw) - set(ids) if raw else set()
    known = expired | set(ids)
    return ids + sorted(expired & {origin_of(row_id, known) for row_id in out})
