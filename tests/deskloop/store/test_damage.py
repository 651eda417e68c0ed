"""P13: damaged files are never read as rows; datasets are rebuilt, and a damaged raw zone or ledger is refused."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deskloop.contract.errors import DamageError, DataError, DeskloopError
from deskloop.erase.erase import preview
from deskloop.erase.search import ErasureRequest
from deskloop.store.catalog import Catalog
from deskloop.store.zones import allow_raw
from tests.deskloop import toy
from tests.deskloop.store.damage import active, delete, entries, flip, parts, swap, truncate, zero
from tests.deskloop.toy import Toy, digests, rows, suites

LOG = {"a": "one", "bb": "two!", "ccc": "three", "dddd": "four", "e": "five5", "x": "broken", "long": "y" * 30}
FIRST, SECOND = {**LOG, "e": "five"}, {**LOG, "bb": "two", "f": "six"}
CHANGED = {**LOG, "a": "ONE!", "new": "row"}
Run = dict[str, tuple[str, list]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """A store with three versions of each dataset, its digests, and the digests after the next change of the log."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        suites(monkeypatch)
        folder = tmp_path_factory.mktemp("built")
        made = Toy(folder)
        for log in (FIRST, SECOND, LOG):
            made.write(log)
            now = digests(made.run(longest=20))
        beside = Toy(Path(shutil.copytree(folder, tmp_path_factory.mktemp("beside") / "copy")))
        beside.write(CHANGED)
        then = digests(beside.run(longest=20))
        yield folder, now, then


@pytest.fixture
def pipeline(built: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    return Toy(Path(shutil.copytree(built[0], tmp_path / "copy")))


def run(pipeline: Toy) -> Run:
    return pipeline.run(longest=20)


def actions(results: Run) -> list[str]:
    return [action for action, _ in results.values()]


def also(*names: str) -> list:
    """Tables that are handled like another one: for the long tests."""
    return [pytest.param(name, marks=pytest.mark.long) for name in names]


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit flipped": lambda table: flip(active(table)[0]),
    "a file truncated": lambda table: truncate(active(table)[0]),
    "a file zeroed": lambda table: zero(active(table)[0]),
    "a file deleted": lambda table: delete(active(table)[0]),
    "two files swapped": lambda table: swap(*active(table)[:2]),
    "the last log entry deleted": lambda table: delete(entries(table)[-1]),
    "the first log entry truncated": lambda table: truncate(entries(table)[0]),
    "the log deleted": lambda table: delete(table / "_delta_log"),
    "everything deleted": delete,
    "the checksums flipped": lambda table: flip(table / "_checksums.json"),
}


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
def test_no_flipped_bit_is_read_as_other_rows(pipeline: Toy, built: tuple, seed: int) -> None:
    """For any bit of any table, the next versions are correct, or none is published."""
    drawn = random.Random(seed)
    for zone in ("raw", "clean"):
        table = drawn.choice(sorted(path for path in (pipeline.folder / "store" / zone).iterdir() if parts(path)))
        part = drawn.choice(parts(table))
        flip(part, drawn.randrange(8 * part.stat().st_size))
    pipeline.write(CHANGED)
    before = {one.name: one.digest for one in Catalog(pipeline.folder / "store" / "catalog").versions}
    message, after = "", {}
    try:
        after = digests(run(pipeline))
    except DamageError as error:
        message = str(error)
    published = [one for one in Catalog(pipeline.folder / "store" / "catalog").versions if one.name not in before]
    assert {one.digest for one in published} <= {*built[1].values(), *built[2].values()}
    assert after == built[2] or "deskloop data restore" in message  # of the raw zone


@pytest.mark.parametrize("name", ["uppered", *also("upper.rejects", "assigned", "train_copied")])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_dataset_is_rebuilt_for_the_next_version(pipeline: Toy, built: tuple, name: str, damage: str) -> None:
    table = pipeline.folder / "store" / "clean" / name
    if damage == "two files swapped" and len(active(table)) < 2:
        pytest.skip("one file")
    DAMAGES[damage](table)
    pipeline.write(CHANGED)
    assert digests(run(pipeline)) == built[2]
    assert actions(run(pipeline)) == ["reuse"] * 4


@pytest.mark.parametrize("damage", ["a file deleted", "a file truncated", "the log deleted", "everything deleted"])
def test_what_is_missing_is_rebuilt_where_it_would_be_reused(pipeline: Toy, built: tuple, damage: str) -> None:
    """Under the same name and digest, so that later steps are reused."""
    before = {one.name for one in pipeline.engine(longest=20).catalog.versions}
    for name in ("uppered", "copy.rejects"):
        DAMAGES[damage](pipeline.folder / "store" / "clean" / name) if name == "uppered" else delete(
            pipeline.folder / "store" / "clean" / name
        )
    results = run(pipeline)
    assert actions(results) == ["reuse", "compute", "reuse", "compute"]
    assert digests(results) == built[1]
    (upper,) = results["upper"][1]
    assert upper.why.startswith("uppered was damaged: ")
    assert {one.name for one in pipeline.engine(longest=20).catalog.versions} == before
    assert rows(pipeline, upper)["row_id"].to_pylist() == ["a", "bb", "ccc", "dddd", "e"]


def test_a_damaged_parent_is_rebuilt_within_the_run_and_said(pipeline: Toy, built: tuple) -> None:
    """The size is the same, so that only the step that reads the table detects it; its own parent is damaged too."""
    store = pipeline.folder / "store" / "clean"
    for name in ("uppered", "assigned"):
        for part in parts(store / name):
            flip(part)
    delete(store / "train_copied")
    engine = pipeline.engine(longest=20)
    results = {}
    for step in engine.pipeline.steps:
        made = engine.run(step)
        results[step.name] = (made.decision.action, made.versions)
    assert digests(results) == built[1]
    assert {name: made.decision.why.split(":")[0] for name, made in engine.rebuilt.items()} == {
        "upper": "uppered was damaged", "assign": "assigned was damaged",
    }  # fmt: skip
    assert digests(pipeline.run(longest=20)) == built[1]


def test_versions_that_nothing_can_rebuild_say_so(pipeline: Toy) -> None:
    engine = pipeline.engine(longest=20)
    assert engine.catalog.get("uppered@1").rows == 5
    delete(pipeline.folder / "store" / "clean" / "uppered")
    run(pipeline)
    catalog = pipeline.engine(longest=20).catalog
    with pytest.raises(DeskloopError, match=r"uppered@2 was deleted on .*: its files were damaged.*data restore"):
        catalog.get("uppered@2")
    assert catalog.get("uppered@3") == catalog.get("uppered")


def test_an_earlier_version_that_is_reused_again_is_the_one_to_rebuild(pipeline: Toy) -> None:
    pipeline.write(SECOND)
    before = digests(run(pipeline))
    for name in ("uppered", "assigned"):
        for part in parts(pipeline.folder / "store" / "clean" / name):
            flip(part)
    delete(pipeline.folder / "store" / "clean" / "train_copied")
    results = run(pipeline)
    assert digests(results) == before
    assert results["copy"][1][0].name == "train_copied@2"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["logged", *also("quarantine")])
def test_a_damaged_raw_table_is_refused(pipeline: Toy, name: str, damage: str) -> None:
    table = pipeline.folder / "store" / "raw" / name
    if damage == "two files swapped" and len(active(table)) < 2:
        pytest.skip("one file")
    DAMAGES[damage](table)
    pipeline.write(CHANGED)
    with pytest.raises(DamageError, match=f"raw/{name} is damaged: .*deskloop data restore"):
        run(pipeline)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["ledger/families", *also("ledger/arrivals"), "catalog"])
def test_a_damaged_ledger_or_catalog_is_refused(pipeline: Toy, name: str, damage: str) -> None:
    if (name, damage) == ("catalog", "everything deleted"):
        pytest.skip("then every dataset is made from raw and the ledger, as after a restore of these")
    table = pipeline.folder / "store" / name
    if damage == "two files swapped" and len(active(table)) < 2:
        pytest.skip("one file")
    DAMAGES[damage](table)
    pipeline.write(CHANGED)
    with pytest.raises(DamageError, match=f"{name} is damaged: .*deskloop data restore"):
        run(pipeline)


def test_a_ledger_that_is_gone_is_refused(pipeline: Toy) -> None:
    delete(pipeline.folder / "store" / "ledger")
    with pytest.raises(DamageError, match="ledger is damaged: all of its tables are missing"):
        run(pipeline)


def test_tables_cannot_change_places(pipeline: Toy) -> None:
    store = pipeline.folder / "store" / "clean"
    swap(store / "train", store / "test") if (store / "train").exists() else swap(
        store / "train_copied", store / "test_copied"
    )
    results = run(pipeline)
    assert actions(results) == ["reuse", "reuse", "reuse", "compute"]


def test_an_earlier_deskloop_left_no_checksums(pipeline: Toy, built: tuple) -> None:
    """Its tables are verified row by row and by their digests."""
    store = pipeline.folder / "store"
    for path in [*store.rglob("_checksums.json"), *store.rglob(".tables.json")]:
        path.unlink()
    for path in store.rglob("_delta_log/*.json"):
        path.write_bytes(path.read_bytes().replace(b'"deskloop.checksums"', b'"earlier"'))
    copy = Path(shutil.copytree(pipeline.folder, pipeline.folder.parent / "damaged"))
    pipeline.write(CHANGED)
    assert digests(run(pipeline)) == built[2]
    for part in parts(copy / "store" / "clean" / "uppered"):
        flip(part)
    damaged = Toy(copy)
    damaged.write(CHANGED)
    assert digests(run(damaged)) == built[2]


def test_a_damaged_change_feed_is_not_followed(pipeline: Toy, built: tuple) -> None:
    """Only the next extension reads it."""
    pipeline.write({**LOG, "a": "ONE", "bb": "too long" * 9})
    pipeline.run(longest=20)
    feeds = [path for path in parts(pipeline.folder / "store" / "clean" / "assigned") if "_change_data" in path.parts]
    assert feeds
    engine = pipeline.engine(longest=20)
    before, after = engine.catalog.get("assigned@1"), engine.catalog.get("assigned")
    for path in feeds:
        flip(path)
    with pytest.raises(DamageError, match=r"clean/assigned is damaged: _change_data.*does not match its checksum"):
        engine.store.changes("clean", "assigned", before.delta_version, after.delta_version)
    pipeline.write(CHANGED)
    assert digests(run(pipeline)) == built[2]


def test_a_staged_part_is_compared_before_it_is_merged(pipeline: Toy) -> None:
    store = pipeline.engine(longest=20).store
    at = store.delta_version("clean", "uppered")
    part = store.write_part(store.staging("clean"), store.read("clean", "uppered", at))
    flip(Path(part.path))
    with pytest.raises(DataError, match="differs from what was just written"):
        store.merge("clean", "uppered", [part], [])
    assert store.delta_version("clean", "uppered") == at


def test_the_next_commit_adds_checksums_that_a_kill_left_out(
    pipeline: Toy, built: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.write(CHANGED)
    for place in ("deskloop.store.commit._with_new_commits", "deskloop.store.catalog.Catalog.publish"):
        with monkeypatch.context() as patch:
            patch.setattr(place, lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                run(pipeline)
    assert digests(run(pipeline)) == built[2]


def test_an_erasure_looks_at_no_damaged_table(pipeline: Toy) -> None:
    flip(active(pipeline.folder / "store" / "clean" / "uppered")[0])
    with allow_raw("test"), pytest.raises(DamageError, match="clean/uppered is damaged"):
        preview(pipeline.engine(longest=20).store, ErasureRequest(conversations=frozenset({"a"})))


def test_nothing_reads_through_a_file_system_in_python() -> None:
    """Arrow's threads would call into it, and the process would abort if the interpreter ended then (exit code 134)."""
    root = Path(toy.__file__).parents[2]
    files = [path for folder in ("deskloop", "deployments", "flows", "tasks") for path in (root / folder).rglob("*.py")]
    forbidden = ("to_pyarrow_dataset", "to_pyarrow_table", "load_cdf")
    assert [path.name for path in files if any(word in path.read_text() for word in forbidden)] == []


def test_a_store_without_its_ledger_is_refused(pipeline: Toy) -> None:
    """Without it, splits would be assigned again and erased people would return."""
    store = pipeline.engine().store
    shutil.rmtree(store.root / "ledger")
    with pytest.raises(DamageError, match="ledger is damaged: all of its tables are missing") as caught, store.locked():
        pytest.fail("the store was opened")
    assert "deskloop data restore" in str(caught.value)
