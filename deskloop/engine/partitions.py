"""Partitions of a step: how a worker processes one, and the pool that distributes them.

A worker receives Arrow rows, runs the stage's pure function, writes output and rejected rows as Parquet parts, and
returns paths and counts. It returns no customer text, not even in an exception.
"""

import atexit
import os
import re
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for_all
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, TypeVar

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError, DataError
from deskloop.contract.schema import to_frame, to_table
from deskloop.contract.stage import Context, DataStage, RowStage, StageConfig
from deskloop.engine import firewall
from deskloop.engine.crash import hush
from deskloop.store import zones
from deskloop.store.delta import QUARANTINE, REJECTS
from deskloop.store.parts import Part
from deskloop.store.store import Store

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """The settings that all partitions of a step share.

    Attributes:
        folders: split -> folder for the parts of its dataset; the split is None if rows are not routed.
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
    """The result of partitions: parts by split, rejects, and counts."""

    parts: dict[str | None, list[Part]] = field(default_factory=dict)
    rejects: list[Part] = field(default_factory=list)
    quarantine: list[Part] = field(default_factory=list)
    rows_in: int = 0
    written: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Outcome") -> None:
        """Add another partition's outcome."""
        for split, parts in other.parts.items():
            self.parts.setdefault(split, []).extend(parts)
        self.rejects += other.rejects
        self.quarantine += other.quarantine
        self.rows_in += other.rows_in
        self.written += other.written
        self.rejected += other.rejected
        self.reasons += other.reasons


class Executor(Protocol):
    """An execution backend for partitions: this process, a process pool or a cluster."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results in any order; `function` and items must be picklable."""
        ...

    def close(self, at_once: bool = False) -> None:
        """End the workers.

        Args:
            at_once: do not wait for running partitions.
        """
        ...


class Inline:
    """An executor that runs partitions in this process."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results one after the other."""
        return map(function, items)

    def close(self, at_once: bool = False) -> None:
        """Do nothing, since there are no workers."""


class ProcessPool:
    """Worker processes on this machine, started on first use; at most two partitions per worker are in flight."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results in the order of the items; memory holds a few partitions. A single item runs in this process.

        Raises:
            DataError: a worker was killed, most likely because memory ran out.
        """
        items = iter(items)
        first = list(islice(items, 2))
        if len(first) < 2:
            # Starting a worker, which must import the libraries, takes longer than one partition.
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
            wait_for_all(waiting)  # they must not write parts after the staging folder is cleared
            raise
        except BrokenProcessPool:
            raise DataError(
                f"one of {self.workers} workers was killed, most likely because memory ran out; "
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
    """Set up a worker so that it ends with its parent, even if that is killed; otherwise it would wait forever.

    The worker also exits without running the destructors of C++ libraries, which sometimes abort, and computes with
    one thread, since there is a worker for each core and more threads would compete for them.

    Args:
        lifeline: the reading end of a pipe whose other end only the parent has; no data is ever written to it.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    def watch() -> None:
        connection.wait([lifeline])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent handles it
    hush()
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    threadpool_limits(1)  # for libraries that are loaded already
    atexit.register(os._exit, 0)


def run_partition(task: tuple[Job, pa.Table, pa.Table | None]) -> Outcome:
    """Process one partition.

    Args:
        task: the job, its rows in the parent's schema, and for a table stage the columns that it computed, by row.
    Raises:
        StepError: the stage's function failed; the error names ids only.
        DataError: the function lost rows (P7).
    """
    job, rows, new_columns = task
    stage, ids, frame = job.stage, rows.column("row_id").to_pylist(), to_frame(rows)
    with zones.for_step(stage.zone, job.step), guarded(job, ids):
        if new_columns is not None:
            values = to_frame(new_columns).set_index("row_id").loc[ids]
            result = frame.assign(**{name: values[name].to_numpy() for name in values.columns})
        elif isinstance(stage, RowStage):
            result = stage.run(frame, job.config, job.context)
        else:
            raise DataError(f"step {job.step!r} does not process single rows")
        return write_outcome(job, result, ids)


def guarded(job: Job, ids: Sequence[str] = ()) -> AbstractContextManager[None]:
    """Let no message of a foreign exception of a stage's code through, since it may quote a conversation.

    Raises:
        StepError: in its place; it names the type of the exception and the ids.
    """
    return firewall.guarded(job.step, ids, _store_of(job))


def _store_of(job: Job) -> Path | None:
    """Return the root of the store that a job writes to, whose parts are in `<root>/<zone>/.staging/...`."""
    return next((folder.parent.parent for folder in job.rejects.parents if folder.name == ".staging"), None)


def write_outcome(job: Job, result: pd.DataFrame, ids: list[str] | None) -> Outcome:
    """Split the result into output and rejected rows and write both.

    Args:
        ids: row ids of the input; None for a source, which has no input rows.
    """
    reject = result["reject"] if "reject" in result.columns else pd.Series([None] * len(result), dtype=object)
    is_rejected = reject.notna().to_numpy()
    accepted, rejected = result[~is_rejected], result[is_rejected]
    outcome = Outcome(rows_in=len(ids) if ids is not None else len(result))
    outcome.written = accepted["row_id"].tolist()
    outcome.rejected = rejected["row_id"].tolist()
    if ids is not None:
        check_conservation(job.step, ids, outcome.written, outcome.rejected)
    reasons = reject[is_rejected].tolist()
    unfit = [row_id for row_id, reason in zip(outcome.rejected, reasons, strict=True) if not _is_code(reason)]
    if unfit:
        raise DataError(
            f"step {job.step!r}: the reason of {len(unfit):,} rejected rows ({', '.join(map(str, unfit[:3]))}) is not "
            "a snake_case code of at most 40 characters; reasons are published, and must not quote a conversation"
        )
    outcome.reasons = Counter(reasons)
    if None not in job.folders and not accepted["split"].isin(list(job.folders)).all():
        raise DataError(f"step {job.step!r}: every row needs a split of {', '.join(map(str, job.folders))}")
    store = Store(Path())
    for split, folder in job.folders.items():
        rows = accepted if split is None else accepted[accepted["split"] == split]
        if len(rows):
            outcome.parts[split] = [store.write_part(folder, to_table(rows, job.stage.schema))]
    if len(rejected):
        columns = {"row_id": outcome.rejected, "step": [job.step] * len(rejected), "reason": reasons}
        outcome.rejects = [store.write_part(job.rejects, pa.table(columns, schema=REJECTS))]
    if job.quarantine is not None and "raw" in rejected.columns and rejected["raw"].notna().any():
        unreadable = rejected[rejected["raw"].notna()].rename(columns={"reject": "reason"})
        columns = {name: unreadable[name].tolist() for name in QUARANTINE.names}
        outcome.quarantine = [store.write_part(job.quarantine, pa.table(columns, schema=QUARANTINE))]
    return outcome


def _is_code(reason: object) -> bool:
    return isinstance(reason, str) and re.fullmatch("[a-z][a-z0-9_]{0,39}", reason) is not None


def origin_of(row_id: str, input_ids: set[str]) -> str:
    """Return the id of the input row that an output row derives from: its own, or the part before its last "/"."""
    return row_id if row_id in input_ids or "/" not in row_id else row_id.rpartition("/")[0]


def check_conservation(step: str, ids_in: Iterable[str], written: Iterable[str], rejected: Iterable[str]) -> int:
    """P7: ids in = ids out + rejects; the id of an added row must name the row it derives from.

    An added row may be rejected, independently of the row it derives from.

    Returns:
        The number of added rows, including those that were rejected.
    Raises:
        DataError: rows are missing, duplicate or unknown; the message has counts and the first few ids.
    """
    inputs, out, rejects = set(ids_in), list(written), list(rejected)
    removed = set(rejects)
    origins = {origin_of(row_id, inputs) for row_id in out}
    problems = {
        "neither returned nor rejected": inputs - origins - removed,
        "both returned and rejected": (origins & removed) | (removed & set(out)),
        "not derived from an input row": (origins | {origin_of(row_id, inputs) for row_id in removed}) - inputs,
        "returned twice": _repeated(out),
        "rejected twice": _repeated(rejects),
    }
    listed = {name: sorted(map(str, ids)) for name, ids in problems.items() if ids}
    if listed:
        details = "; ".join(f"{len(ids)} {name} ({', '.join(ids[:3])})" for name, ids in listed.items())
        raise DataError(
            f"step {step!r} does not account for every row: {details}. A stage must return each input row, rejected "
            f"ones with a reason in the column `reject`, and name an added row <input row_id>/<suffix>."
        )
    return len(out) + len(rejects) - len(inputs)


def _repeated(ids: Sequence[str]) -> set[str]:
    return {row_id for row_id, count in Counter(ids).items() if count > 1} if len(set(ids)) < len(ids) else set()
