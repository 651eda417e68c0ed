"""Sources: frames are streamed into parts while they are read; new rows get the next arrival number."""

from collections import Counter
from collections.abc import Callable, Iterator

import pandas as pd

from deskloop.contract.errors import DataError, InputError
from deskloop.contract.stage import SourceStage
from deskloop.engine import retention
from deskloop.engine.partitions import Job, Outcome, guarded, write_outcome
from deskloop.engine.workspace import Workspace
from deskloop.pipeline.pipeline import Step
from deskloop.store.delta import QUARANTINE


def read_source(work: Workspace, step: Step, stage: SourceStage, job: Job, commit: Callable[..., None]) -> Outcome:
    """Read a source into its table, its rejects and the quarantine.

    Raises:
        InputError: no record was accepted.
        DataError: two rows have the same id.
    """
    (dataset,) = step.datasets.values()
    fresh = {None: not work.store.exists("raw", dataset)}
    ledger, sample = work.ledger.folder, work.pipeline.sample
    batch = retention.next_batch(ledger, dataset, _last_batch(work, dataset))
    expired, unreadable = (retention.expired_ids(ledger, [name]) for name in (dataset, retention.QUARANTINE))
    outcome = Outcome()
    for frame in _frames(stage, job):
        frame = frame.head(sample - outcome.rows_in) if sample is not None else frame
        frame = _reject_expired(frame.assign(batch=batch), expired, unreadable)
        with guarded(job):
            outcome.add(write_outcome(job, frame, None))
        work.progress(step.name, outcome.rows_in, sample or 0, "records")
        if outcome.rows_in == sample:
            break
    if not outcome.written and not outcome.reasons[retention.REASON]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in outcome.reasons.most_common())
        raise InputError(
            f"step {step.name!r} accepted none of {outcome.rows_in:,} records ({reasons or 'none rejected'}). "
            f"Check the format and the column names of the sources in {work.pipeline.file.name}."
        )
    twice = sorted(row_id for row_id, count in Counter(outcome.written).items() if count > 1)
    if twice:
        ids = f"{len(twice):,} row ids twice ({', '.join(twice[:3])})"
        raise DataError(f"step {step.name!r}: the source gave {ids}; a row_id must be unique")
    resolved = _resolved(work, step, outcome)
    commit(outcome, fresh, deleted=None, gone=None, keep=("batch",))
    if outcome.quarantine or work.store.exists("raw", "quarantine"):
        work.store.create("raw", "quarantine", QUARANTINE)
        work.store.merge("raw", "quarantine", outcome.quarantine, resolved, keep=("batch",))
    return outcome


def _frames(stage: SourceStage, job: Job) -> Iterator[pd.DataFrame]:
    """Yield the frames of a source; a foreign exception of its code loses its message."""
    with guarded(job):
        frames = stage.read(job.config, job.context)
    while True:
        with guarded(job):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _resolved(work: Workspace, step: Step, outcome: Outcome) -> list[str] | None:
    """Return the quarantined records that are no longer rejected; None, for all others, if there is only one source."""
    if sum(isinstance(each.stage, SourceStage) for each in work.pipeline.steps) == 1:
        return None
    if not work.store.exists("clean", step.rejects):
        return []
    before = work.store.read("clean", step.rejects, work.store.delta_version("clean", step.rejects), ["row_id"])
    return sorted(set(before["row_id"].to_pylist()) - set(outcome.rejected))


def _last_batch(work: Workspace, dataset: str) -> int:
    """Return the highest arrival number in a raw table; 0 if there is none."""
    if not work.store.exists("raw", dataset):
        return 0
    version = work.store.delta_version("raw", dataset)
    batches = work.store.read("raw", dataset, version, ["batch"])["batch"].to_pylist()
    return max(batches, default=0)


def _reject_expired(frame: pd.DataFrame, expired: set[str], unreadable: set[str]) -> pd.DataFrame:
    """Reject rows that retention has deleted and the source still has, and drop the bytes of unreadable ones."""
    again = frame["row_id"].isin(expired) & frame["reject"].isna()
    hidden = again | frame["row_id"].isin(unreadable)
    if not hidden.any():
        return frame
    return frame.assign(reject=frame["reject"].mask(again, retention.REASON), raw=frame["raw"].mask(hidden, None))
