"""All rows of a partition are accounted for, errors contain no text, and workers end with their run."""

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskloop.contract.errors import DataError, StepError
from deskloop.contract.schema import CONVERSATION, conversations, to_table
from deskloop.contract.stage import Context, RowStage, StageConfig
from deskloop.engine.partitions import (
    Inline,
    Job,
    Outcome,
    ProcessPool,
    check_conservation,
    run_partition,
    write_outcome,
)

ROOT = Path(__file__).parents[3]
SECRET = "secret words of a customer"


def failing(rows: pd.DataFrame, config: StageConfig, context: Context) -> pd.DataFrame:
    raise ValueError(rows["turns"][0][0]["text"])


def losing(rows: pd.DataFrame, config: StageConfig, context: Context) -> pd.DataFrame:
    return rows.iloc[1:]


def rejecting(rows: pd.DataFrame, config: StageConfig, context: Context) -> pd.DataFrame:
    return rows.assign(reject=["too_odd" if row_id == "b" else None for row_id in rows["row_id"]])


def job(folder: Path, run: object = rejecting, by_split: bool = False) -> Job:
    stage = RowStage(name="odd", dataset="odd", config=StageConfig, run=run)  # type: ignore[arg-type]
    names = ("train", "test") if by_split else (None,)
    folders = {name: folder / str(name) for name in names}
    return Job("odd", stage, StageConfig(), Context("odd"), folders, folder / "rejects", folder / "quarantine")


def rows(*ids: str, split: str | None = None) -> pd.DataFrame:
    turns = [{"role": "customer", "text": SECRET}]
    return conversations([{"conversation_id": one, "turns": turns, "split": split} for one in ids])


def read(parts: list) -> list[dict]:
    return [row for part in parts for row in pq.read_table(part.path).drop_columns("_hash").to_pylist()]


def test_kept_and_rejected_rows_are_written_and_counted(tmp_path: Path) -> None:
    table = to_table(rows("a", "b", "c"), CONVERSATION)
    outcome = run_partition((job(tmp_path), table, None))
    assert [row["row_id"] for row in read(outcome.parts[None])] == outcome.written == ["a", "c"]
    assert read(outcome.rejects) == [{"row_id": "b", "step": "odd", "reason": "too_odd"}]
    assert (outcome.rows_in, outcome.rejected, outcome.reasons) == (3, ["b"], Counter(too_odd=1))
    assert outcome.quarantine == []


def test_a_verdict_replaces_the_columns_it_has(tmp_path: Path) -> None:
    table = to_table(rows("a", "b", "c"), CONVERSATION)
    verdict = pa.table({"row_id": ["c", "a", "b"], "family": ["3", "1", "2"], "reject": ["twice", None, None]})
    outcome = run_partition((job(tmp_path, failing), table, verdict))
    assert {row["row_id"]: row["family"] for row in read(outcome.parts[None])} == {"a": "1", "b": "2"}
    assert outcome.rejected == ["c"]


def test_rows_are_routed_to_their_split_and_need_one(tmp_path: Path) -> None:
    routed = job(tmp_path, by_split=True)
    frame = pd.concat([rows("a", split="train"), rows("b", split="test")], ignore_index=True)
    outcome = write_outcome(routed, frame, ["a", "b"])
    assert {split: [row["row_id"] for row in read(parts)] for split, parts in outcome.parts.items()} == {
        "train": ["a"], "test": ["b"],
    }  # fmt: skip
    with pytest.raises(DataError, match="every row needs a split of train, test"):
        write_outcome(routed, rows("a", split="validation"), ["a"])


def test_outcomes_add_up(tmp_path: Path) -> None:
    total, table = Outcome(), to_table(rows("a", "b"), CONVERSATION)
    for _ in range(2):
        total.add(run_partition((job(tmp_path), table, None)))
    assert (total.rows_in, total.written, total.reasons) == (4, ["a", "a"], Counter(too_odd=2))
    assert len(total.parts[None]) == len(total.rejects) == 2


@pytest.mark.parametrize(
    ("written", "rejected", "expected"),
    [
        (["a"], ["c"], "1 neither returned nor rejected (b)"),
        (["a", "b", "c"], ["c"], "1 both returned and rejected (c)"),
        (["a", "b", "c/copy"], ["c"], "1 both returned and rejected (c)"),
        (["a", "b", "c", "d"], [], "1 not derived from an input row (d)"),
        (["a", "b", "c", "d/1"], [], "1 not derived from an input row (d)"),
        (["a", "b", "c"], ["d"], "1 not derived from an input row (d)"),
        (["a", "b", "c", "c"], [], "1 returned twice (c)"),
        (["a", "b"], ["c", "c"], "1 rejected twice (c)"),
        ([], [], "3 neither returned nor rejected (a, b, c)"),
    ],
)
def test_every_row_is_accounted_for(written: list[str], rejected: list[str], expected: str) -> None:
    with pytest.raises(DataError) as caught:
        check_conservation("odd", ["a", "b", "c"], written, rejected)
    assert expected in str(caught.value)
    assert "step 'odd'" in str(caught.value)


@given(st.sets(st.text("abc/", min_size=1, max_size=4)), st.data())
def test_a_good_account_is_counted(ids: set[str], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(ids)))) if ids else set()
    kept = sorted(ids - gone)
    copies = data.draw(st.sets(st.tuples(st.sampled_from(kept), st.sampled_from(["w1", "w2"])))) if kept else set()
    added = {f"{one}/{suffix}" for one, suffix in copies} - ids
    unfit = data.draw(st.sets(st.sampled_from(sorted(added)))) if added else set()
    assert check_conservation("odd", ids, [*kept, *(added - unfit)], gone | unfit) == len(added)


def test_at_most_three_ids_of_many_are_named() -> None:
    with pytest.raises(DataError, match=r"100 neither returned nor rejected \(0, 1, 10\)"):
        check_conservation("odd", map(str, range(100)), [], [])


def test_a_step_that_loses_rows_is_stopped(tmp_path: Path) -> None:
    table = to_table(rows("a", "b"), CONVERSATION)
    with pytest.raises(DataError, match=r"1 neither returned nor rejected \(a\)"):
        run_partition((job(tmp_path, losing), table, None))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_foreign_exception_loses_its_message_in_a_worker(tmp_path: Path, workers: int) -> None:
    executor = Inline() if workers == 1 else ProcessPool(workers)
    table = to_table(rows("a", "b"), CONVERSATION)
    try:
        with pytest.raises(StepError) as caught:
            list(executor.map(run_partition, [(job(tmp_path, failing), table, None)]))
    finally:
        executor.close()
    error = caught.value
    assert (error.step, error.cause, error.ids) == ("odd", "ValueError", ("a", "b"))
    assert SECRET not in "".join(traceback.format_exception(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_debug_shows_the_exception_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKLOOP_DEBUG", "1")
    with pytest.raises(ValueError, match=SECRET):
        run_partition((job(tmp_path, failing), to_table(rows("a"), CONVERSATION), None))


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_pool_keeps_the_order_and_takes_few_items_ahead() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(12):
            taken.append(number)
            yield number

    pool = ProcessPool(2)
    try:
        results = pool.map(double, items())  # type: ignore[arg-type]
        assert next(results) == 0
        assert len(taken) == 4
        assert list(results) == list(range(2, 24, 2))
        assert list(pool.map(double, [7])) == [14]
    finally:
        pool.close()


def test_a_killed_worker_is_an_error_that_says_what_to_do() -> None:
    pool = ProcessPool(1)
    try:
        with pytest.raises(DataError, match="fewer `workers` or a smaller `partition_rows`"):
            list(pool.map(die, [1, 2]))
    finally:
        pool.close()


def report_and_sleep(folder: str) -> None:
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(60)


PARENT = """
import sys
from deskloop.engine.partitions import ProcessPool
from tests.deskloop.engine.test_partitions import report_and_sleep
list(ProcessPool(2).map(report_and_sleep, [sys.argv[1]] * 2))
"""


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    until(lambda: not any(map(alive, pids)))


def until(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
