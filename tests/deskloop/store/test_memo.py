import multiprocessing
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.store.memo import CHUNK, Item, Memo, text_hash

SECRET = "my parcel has not come"


def test_what_is_remembered_is_recalled_by_identity_text_and_seed(tmp_path: Path) -> None:
    items: dict[Item, str | None] = {(SECRET, 0): "one", (SECRET, 1): "two", ("where is it", 0): None}
    with Memo(str(tmp_path / "memo.sqlite")) as memo:
        assert memo.remember("model a", items) == items
    with Memo(str(tmp_path / "memo.sqlite")) as memo:
        asked = [*items, ("where is it", 1)]
        assert memo.recall("model a", asked) == items
        assert memo.recall("model b", asked) == {}


def test_the_first_output_is_final(tmp_path: Path) -> None:
    path = str(tmp_path / "memo.sqlite")
    with Memo(path) as first, Memo(path) as second:
        first.remember("model", {("a", 0): "first"})
        assert second.remember("model", {("a", 0): "second", ("b", 0): "new"}) == {("a", 0): "first", ("b", 0): "new"}


def test_no_path_keeps_nothing() -> None:
    with Memo("") as memo:
        assert memo.remember("model", {("a", 0): "made"}) == {("a", 0): "made"}
        assert memo.recall("model", [("a", 0)]) == {}
        assert memo.forget([text_hash("a")]) == 0


def test_a_text_is_forgotten_with_all_that_was_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "memo.sqlite"
    with Memo(str(path)) as memo:
        memo.remember("model", {(SECRET, seed): f"a telling answer {seed}" for seed in range(3)} | {("b", 0): "kept"})
        assert memo.forget([text_hash(SECRET), text_hash("never seen")]) == 3
        assert memo.recall("model", [(SECRET, 0), ("b", 0)]) == {("b", 0): "kept"}
        for file in tmp_path.iterdir():  # while it is open too: SQLite's log holds pages of before
            assert b"telling" not in file.read_bytes()


def test_a_text_is_no_key_and_the_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "memo.sqlite"
    with Memo(str(path)) as memo:
        memo.remember("model", {(SECRET, 0): "made"})
        files = list(path.parent.iterdir())
        assert len(files) > 1
        for file in files:
            assert SECRET.encode() not in file.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_more_items_than_a_query_takes(tmp_path: Path) -> None:
    many: dict[Item, str | None] = {(f"text {number}", number % 7): str(number) for number in range(2 * CHUNK + 3)}
    with Memo(str(tmp_path / "memo.sqlite")) as memo:
        assert memo.remember("model", many) == many
        assert memo.recall("model", list(many)) == many
        assert memo.forget({text_hash(text) for text, _ in many}) == len(many)


def _write(path: str, worker: int) -> None:
    for number in range(40):
        with Memo(path) as memo:
            memo.remember("model", {(f"text {number}", 0): f"by {worker}", (f"own {worker} {number}", 0): "made"})


def test_processes_that_write_at_once_agree(tmp_path: Path) -> None:
    path = str(tmp_path / "memo.sqlite")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(path, worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Memo(path) as memo:
        shared = memo.recall("model", [(f"text {number}", 0) for number in range(40)])
        assert len(shared) == 40
        assert set(shared.values()) <= {"by 0", "by 1", "by 2"}
        assert len(memo.recall("model", [(f"own {w} {n}", 0) for w in range(3) for n in range(40)])) == 120


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=30, deadline=None)
@given(made=st.dictionaries(st.tuples(TEXT, st.integers(0, 2**63 - 1)), st.none() | TEXT, max_size=8), identity=TEXT)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, made: dict[Item, str | None], identity: str
) -> None:
    with Memo(str(tmp_path_factory.mktemp("memo") / "memo.sqlite")) as memo:
        assert memo.remember(identity, made) == made
