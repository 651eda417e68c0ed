"""The plan predicts the decisions of a run and changes no data."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deskloop.engine.plan import plan
from deskloop.store.erasures import Journal, record
from tests.deskloop.toy import Toy, suites

LOG = {"a": "one", "bb": "two!", "ccc": "three", "dddd": "four"}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    made = Toy(tmp_path)
    made.write(LOG)
    return made


def planned(toy: Toy, **options: object) -> list[tuple[str, str, str]]:
    return [(entry["step"], entry["action"], entry["why"]) for entry in plan(toy.pipeline(**options))]


def behind(step: str) -> str:
    return f"depends on the output of {step}; reused if its digest stays the same"


def test_before_the_first_run_all_is_to_be_computed(toy: Toy) -> None:
    assert planned(toy) == [
        ("log", "compute", "first run"),
        ("upper", "unknown", behind("log")),
        ("assign", "unknown", behind("upper")),
        ("copy", "unknown", behind("assign")),
    ]
    assert toy.engine().catalog.versions == []


def test_after_a_run_all_is_reused(toy: Toy) -> None:
    toy.run()
    entries = plan(toy.pipeline())
    assert [entry["action"] for entry in entries] == ["reuse"] * 4
    assert [entry["versions"] for entry in entries] == [
        ["logged@1"], ["uppered@1"], ["assigned@1"],
        ["train_copied@1", "validation_copied@1", "test_copied@1"],
    ]  # fmt: skip


def test_a_changed_option_is_where_it_starts(toy: Toy) -> None:
    toy.run()
    assert planned(toy, longest=4) == [
        ("log", "reuse", "nothing it depends on has changed"),
        ("upper", "compute", "its options have changed"),
        ("assign", "unknown", behind("upper")),
        ("copy", "unknown", behind("assign")),
    ]


def test_a_grown_log_is_where_it_starts(toy: Toy) -> None:
    toy.run()
    toy.write({**LOG, "new": "row"})
    assert planned(toy)[0] == ("log", "compute", "its input has changed")


def test_the_difference_is_planned_once_the_source_is_known(toy: Toy) -> None:
    toy.run()
    toy.write({**LOG, "new": "row"})
    engine = toy.engine()
    engine.run(engine.pipeline.steps[0])
    assert [action for _, action, _ in planned(toy)] == ["reuse", "extend", "unknown", "unknown"]


def test_a_plan_publishes_nothing_and_writes_no_rows(toy: Toy) -> None:
    toy.run()
    toy.write({**LOG, "new": "row"})
    folder = toy.folder / "store"
    before = sorted(path for path in folder.rglob("*") if path.is_file())
    plan(toy.pipeline(longest=2))
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == before


def test_an_erasure_is_where_it_starts_though_the_log_is_as_it_was(toy: Toy) -> None:
    toy.run()
    when = datetime(2024, 5, 1, tzinfo=UTC).isoformat()
    record(toy.folder / "store" / "ledger", Journal("1", when, when, "r", "k", ["c"], [], [], [], {}, {}))
    assert planned(toy)[0] == ("log", "compute", "its input has changed")
