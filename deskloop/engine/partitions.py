"""Partitions of a step: what a worker does with one, and the pool that hands them out.

A worker gets Arrow rows, runs the stage's pure function, writes what is kept and what is rejected as Parquet parts,
and returns paths and counts. No customer text travels back, not even in an exception.
"""

import atexit
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for_all
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError, DataError
from deskloop.contract.schema import to_frame, to_table
from deskloop.contract.stage import Context, DataStage, RowStage, StageConfig
from deskloop.engine import firewall as foreign
from deskloop.engine.crash import hush
from deskloop.store import zones
from deskloop.store.delta import QUARANTINE, REJECTS
from deskloop.store.parts import Part
from deskloop.store.store import Store

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """What is the same for every partition of a step.

    Attributes:
        folders: split (None where rows are not routed) -> folder for the parts of that dataset.
        rejects, quarantine: folders for those parts.
    """

    step: str
    stage: DataStage
    config: StageConfig
    context: Context
    folders: Mapping[str | None, Path]
    rejects: Path
    quarantine: Path | None = None


@dataclass
class Outcome:
    """What became of rows: parts by split, rejects, and counts."""

    parts: dict[str | None, list[Part]] = field(default_factory=dict)
    rejects: list[Part] = field(default_factory=list)
    quarantine: list[Part] = field(default_factory=list)
    rows_in: int = 0
    written: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Outcome") -> None:
        """Count another partition's outcome in."""
        for split, parts in other.parts.items():
            self.parts.setdefault(split, []).extend(parts)
        self.rejects += other.rejects
        self.quarantine += other.quarantine
        self.rows_in += other.rows_in
        self.written += other.written
        self.rejected += other.rejected
        self.reasons += other.reasons


class Executor(Protocol):
    """Where partitions are worked on: this process, a process pool, a cluster."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in any order; `function` and items must be picklable."""
        ...

    def close(self, at_once: bool = False) -> None:
        """Let the workers go.

        Args:
            at_once: do not wait for the partitions that they work on.
        """
        ...


class Inline:
    """One worker: this process."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """One after the other."""
        return map(function, items)

    def close(self, at_once: bool = False) -> None:
        """Nothing to let go."""


class ProcessPool:
    """Worker processes on this machine, started on first use; at most two partitions a worker are in flight."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """In the order of the items; memory holds a few partitions, however many there are. One alone stays here.

        Raises:
            DataError: a worker was killed, most likely by the system for want of memory.
        """
        items = iter(items)
        first = list(islice(items, 2))
        if len(first) < 2:
            # A worker would have to load the libraries first, which takes longer than one partition.
            yield from map(function, first)
            return
        items = chain(first, items)
        pool = self._started()
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except DamageError:
            wait_for_all(waiting)  # their parts must not appear after the staging folder was cleared
            raise
        except BrokenProcessPool:
            raise DataError(
                f"one of {self.workers} workers was killed, most likely for want of memory; "
                f"set fewer `workers` or a smaller `partition_rows` in the pipeline file and run again"
            ) from None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            spawn = get_context("spawn")
            workers_end, self._lifeline = spawn.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(self.workers, spawn, _follow_parent, (workers_end,))
        return self._pool

    def close(self, at_once: bool = False) -> None:
        """End the worker processes."""
        if self._pool is not None:
            if at_once and self._lifeline is not None:
                self._lifeline.close()
            self._pool.shutdown(wait=not at_once, cancel_futures=True)
            self._pool = None


def _follow_parent(lifeline: Connection) -> None:
    """End this worker when its parent is gone, killed included; a pool's workers would wait forever.

    It also leaves without the destructors of C++ libraries, which now and then abort at the end of a process; and
    counts with one thread, since there is a worker for each core: threads beyond that wait for each other.

    Args:
        lifeline: the reading end of a pipe whose other end only the parent has; nothing is ever written to it.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    def watch() -> None:
        connection.wait([lifeline])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent acts on it
    hush()
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    threadpool_limits(1)  # of what is loaded already
    atexit.register(os._exit, 0)


def run_partition(task: tuple[Job, pa.Table, pa.Table | None]) -> Outcome:
    """Work on one partition.

    Args:
        task: the job, its rows in the parent's schema, and for a table stage the columns it decided on, by row.
    Raises:
        StepError: the stage's function failed; carries ids only.
        DataError: it lost rows (P7).
    """
    with zones.for_step(task[0].stage.zone, task[0].step):
        return _work(*task)


def _work(job: Job, rows: pa.Table, verdict: pa.Table | None) -> Outcome:
    ids = rows.column("row_id").to_pylist()
    frame = to_frame(rows)
    if verdict is not None:
        decided = to_frame(verdict).set_index("row_id").loc[ids]
        result = frame.assign(**{name: decided[name].to_numpy() for name in decided.columns})
    elif isinstance(stage := job.stage, RowStage):
        result = guarded(job, ids, lambda: stage.run(frame, job.config, job.context))
    else:
        raise TypeError(f"step {job.step!r} does not work by row")
    return guarded(job, ids, lambda: write_outcome(job, result, ids))


def guarded(job: Job, ids: list[str], function: Callable[[], Any]) -> Any:
    """Run a stage's code; a foreign exception loses its message, which may quote a conversation.

    Raises:
        StepError: in its place, with the type and the ids.
    """
    with foreign.guarded(job.step, ids, _store_of(job)):
        return function()


def _store_of(job: Job) -> Path | None:
    """Root of the store that a job writes to: its parts wait in `<root>/<zone>/.staging/...`."""
    return next((one.parent.parent for one in job.rejects.parents if one.name == ".staging"), None)


def write_outcome(job: Job, result: pd.DataFrame, ids: list[str] | None) -> Outcome:
    """Part the result into kept and rejected rows and write both.

    Args:
        ids: row ids that went in; None for a source, where every record is its own.
    """
    reject = result["reject"] if "reject" in result.columns else pd.Series([None] * len(result), dtype=object)
    taken = reject.notna().to_numpy()
    kept, rejected = result[~taken], result[taken]
    outcome = Outcome(rows_in=len(ids) if ids is not None else len(result))
    outcome.written = kept["row_id"].tolist()
    outcome.rejected = rejected["row_id"].tolist()
    if ids is not None:
        check_conservation(job.step, ids, outcome.written, outcome.rejected)
    reasons = reject[taken].tolist()
    outcome.reasons = Counter(reasons)
    if None not in job.folders and not kept["split"].isin(list(job.folders)).all():
        raise DataError(f"step {job.step!r}: every row needs a split of {', '.join(map(str, job.folders))}")
    store = Store(Path())
    for split, folder in job.folders.items():
        rows = kept if split is None else kept[kept["split"] == split]
        if len(rows):
            outcome.parts[split] = [store.write_part(folder, to_table(rows, job.stage.schema))]
    if len(rejected):
        columns = {"row_id": outcome.rejected, "step": [job.step] * len(rejected), "reason": reasons}
        outcome.rejects = [store.write_part(job.rejects, pa.table(columns, schema=REJECTS))]
    if job.quarantine is not None and "raw" in rejected.columns and rejected["raw"].notna().any():
        held = rejected[rejected["raw"].notna()]
        columns = {
            "row_id": held["row_id"].tolist(),
            "reason": held["reject"].tolist(),
            "raw": held["raw"].tolist(),
            "batch": held["batch"].tolist(),
        }
        outcome.quarantine = [store.write_part(job.quarantine, pa.table(columns, schema=QUARANTINE))]
    return outcome


def origin_of(row_id: str, known: set[str]) -> str:
    """The input row that an output row comes from: itself, or what stands before its last "/"."""
    return row_id if row_id in known or "/" not in row_id else row_id.rpartition("/")[0]


def check_conservation(step: str, ids_in: Iterable[str], written: Iterable[str], rejected: Iterable[str]) -> int:
    """P7: ids in = ids out + rejects; rows that a step adds must name the row they come from.

    An added row may be rejected too, which says nothing about the row it comes from.

    Returns:
        How many rows were added, those that were rejected at once included.
    Raises:
        DataError: with counts and the first few ids.
    """
    known, out, taken_out = set(ids_in), list(written), list(rejected)
    gone = set(taken_out)
    origins = {origin_of(row_id, known) for row_id in out}
    wrong = {
        "neither kept nor rejected": known - origins - gone,
        "both kept and rejected": (origins & gone) | (gone & set(out)),
        "out of nowhere": (origins | {origin_of(row_id, known) for row_id in gone}) - known,
    }
    found = {what: ids for what, ids in wrong.items() if ids}
    for what, listed in {"written twice": out, "rejected twice": taken_out}.items():
        if len(listed) != len(set(listed)):
            found[what] = {row_id for row_id, count in Counter(listed).items() if count > 1}
    if found:
        told = "; ".join(f"{len(ids)} {what} ({', '.join(sorted(map(str, ids))[:3])})" for what, ids in found.items())
        raise DataError(
            f"step {step!r} does not account for every row: {told}. A stage returns each input row, rejected ones "
            f"with a reason in the column `reject`, and names an added row <input row_id>/<suffix>."
        )
    return len(out) + len(taken_out) - len(known)
