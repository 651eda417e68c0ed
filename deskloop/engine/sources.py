"""Sources: frames are streamed into parts as they are read; rows that are new get the next arrival number."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from deskloop.contract.errors import DataError, InputError
from deskloop.contract.stage import SourceStage
from deskloop.engine import retention
from deskloop.engine.partitions import Job, Outcome, guarded, write_outcome
from deskloop.pipeline.pipeline import Step
from deskloop.store.store import QUARANTINE

if TYPE_CHECKING:
    from deskloop.engine.engine import Engine


def read_source(engine: "Engine", step: Step, stage: SourceStage, job: Job, commit: Callable[..., None]) -> Outcome:
    """Read a source into its table, its rejects and the quarantine.

    Raises:
        InputError: no record could be kept.
        DataError: two rows have one id.
    """
    (dataset,) = step.datasets.values()
    fresh = {None: not engine.store.exists("raw", dataset)}
    ledger, sample = engine.ledger.folder, engine.pipeline.sample
    batch = retention.next_batch(ledger, dataset, _last_batch(engine, dataset))
    expired, unreadable = (retention.expired_ids(ledger, [name]) for name in (dataset, retention.QUARANTINE))
    outcome = Outcome()
    frames: Iterator[pd.DataFrame] = guarded(job, [], lambda: stage.read(job.config, job.context))
    while (frame := guarded(job, [], partial(next, frames, None))) is not None:
        frame = frame.head(sample - outcome.rows_in) if sample is not None else frame
        frame = _known_as_expired(frame.assign(batch=batch), expired, unreadable)
        outcome.add(guarded(job, [], partial(write_outcome, job, frame, None)))
        engine.progress(step.name, outcome.rows_in, sample or 0, "records")
        if outcome.rows_in == sample:
            break
    if not outcome.written and not outcome.reasons[retention.REASON]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in outcome.reasons.most_common())
        raise InputError(
            f"step {step.name!r} found no conversation to keep in {outcome.rows_in:,} records ({reasons or 'none'}). "
            f"Look at the sources in {engine.pipeline.file.name}: their format and column names."
        )
    twice = sorted(row_id for row_id, count in Counter(outcome.written).items() if count > 1)
    if twice:
        told = f"{len(twice):,} row ids twice ({', '.join(twice[:3])})"
        raise DataError(f"step {step.name!r}: the source gave {told}; a row_id must be unique")
    resolved = _resolved(engine, step, outcome)
    commit(outcome, fresh, deleted=None, gone=None, keep=("batch",))
    if outcome.quarantine or engine.store.exists("raw", "quarantine"):
        engine.store.create("raw", "quarantine", QUARANTINE)
        engine.store.merge("raw", "quarantine", outcome.quarantine, resolved, keep=("batch",))
    return outcome


def _resolved(engine: "Engine", step: Step, outcome: Outcome) -> list[str] | None:
    """Quarantined records of this source that are no longer rejected; None (all others) where it is the only one."""
    if sum(isinstance(one.stage, SourceStage) for one in engine.pipeline.steps) == 1:
        return None
    if not engine.store.exists("clean", step.rejects):
        return []
    before = engine.store.read("clean", step.rejects, engine.store.delta_version("clean", step.rejects), ["row_id"])
    return sorted(set(before["row_id"].to_pylist()) - set(outcome.rejected))


def _last_batch(engine: "Engine", dataset: str) -> int:
    """The highest arrival number in a raw table; 0 where there is none."""
    if not engine.store.exists("raw", dataset):
        return 0
    version = engine.store.delta_version("raw", dataset)
    batches = engine.store.read("raw", dataset, version, ["batch"])["batch"].to_pylist()
    return max(batches, default=0)


def _known_as_expired(frame: pd.DataFrame, expired: set[str], unreadable: set[str]) -> pd.DataFrame:
    """Rows that the source still holds though retention deleted them: not new, and not kept again."""
    again = frame["row_id"].isin(expired) & frame["reject"].isna()
    hidden = again | frame["row_id"].isin(unreadable)
    if not hidden.any():
        return frame
    return frame.assign(reject=frame["reject"].mask(again, retention.REASON), raw=frame["raw"].mask(hidden, None))
