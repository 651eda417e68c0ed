"""The engine on a toy pipeline: reuse, extension, recomputation, rejects and publication."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deskloop.contract.errors import DataError, ExpectationError, InputError, StepError
from deskloop.engine import expect
from deskloop.store.zones import allow_raw
from tests.deskloop import toy
from tests.deskloop.toy import Toy, digests, rows, suites

LOG = {"a": "one", "bb": "two!", "ccc": "three", "dddd": "four", "e": "five5"}


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    made = Toy(tmp_path)
    made.write(LOG)
    return made


def actions(results: dict) -> list[str]:
    return [action for action, _ in results.values()]


def test_the_same_again_is_reused_and_nothing_is_published(pipeline: Toy) -> None:
    first = pipeline.run()
    assert actions(first) == ["compute"] * 4
    published = len(pipeline.engine().catalog.versions)
    second = pipeline.run()
    assert actions(second) == ["reuse"] * 4
    assert digests(second) == digests(first)
    assert len(pipeline.engine().catalog.versions) == published
    assert toy.seen == []


def test_rows_are_counted_and_rejects_keep_their_reason(pipeline: Toy) -> None:
    pipeline.write({**LOG, "x": "broken"})
    result = pipeline.run(longest=4)
    (logged,), (upper,) = result["log"][1], result["upper"][1]
    assert (logged.rows_in, logged.rows_out, logged.rejected, logged.reasons) == (6, 5, 1, {"bad_turns": 1})
    assert (upper.rows_in, upper.rows_out, upper.rejected, upper.reasons) == (5, 3, 2, {"too_long": 2})
    store = pipeline.engine().store
    with allow_raw("test"):
        quarantined = store.read("raw", "quarantine", store.delta_version("raw", "quarantine"))
    assert quarantined.to_pylist() == [{"row_id": "x", "reason": "bad_turns", "raw": b"{", "batch": 1}]
    copied = result["copy"][1]
    assert [version.dataset for version in copied] == ["train_copied", "validation_copied", "test_copied"]
    assert copied[0].added == 2  # the second windows of bb and dddd


def test_a_changed_option_recomputes_from_there(pipeline: Toy) -> None:
    pipeline.run()
    assert actions(pipeline.run(longest=99)) == ["reuse", "compute", "reuse", "reuse"]  # rejects no row: same digest
    assert actions(pipeline.run(longest=4))[:3] == ["reuse", "compute", "compute"]
    back = pipeline.run()
    assert actions(back) == ["reuse"] * 4


def test_only_the_difference_is_processed(pipeline: Toy) -> None:
    pipeline.run()
    pipeline.write({**LOG, "a": "ONE", "bb": "changed", "new": "row", "x": "broken"} | {})
    grown = pipeline.run()
    assert actions(grown) == ["compute", "extend", "compute", "extend"]
    assert sorted(toy.seen) == ["a", "bb", "new"]
    del grown["log"]
    rebuilt = pipeline.run(rebuild=True)
    del rebuilt["log"]
    assert actions(rebuilt) == ["compute"] * 3
    assert digests(rebuilt) == digests(grown)


def test_deleted_rows_go_everywhere_and_windows_with_them(pipeline: Toy) -> None:
    pipeline.run()
    pipeline.write({"a": "one", "bb": "two!", "dddd": "4"})
    shrunk = pipeline.run()
    train, _, _ = shrunk["copy"][1]
    assert rows(pipeline, train)["row_id"].to_pylist() == ["a", "dddd"]
    assert digests(pipeline.run(rebuild=True)) == digests(shrunk)


def test_arrival_numbers_stay_and_do_not_count_in_the_digest(pipeline: Toy) -> None:
    pipeline.run()
    pipeline.write({**LOG, "a": "changed", "new": "row"})
    grown = pipeline.run()
    batches = rows(pipeline, grown["log"][1][0])
    assert dict(zip(batches["row_id"].to_pylist(), batches["batch"].to_pylist(), strict=True)) == {
        "a": 1, "bb": 1, "ccc": 1, "dddd": 1, "e": 1, "new": 2,
    }  # fmt: skip


def test_an_unpublished_commit_is_no_version_and_is_overwritten(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = digests(pipeline.run())
    pipeline.write({**LOG, "half": "done"})
    engine = pipeline.engine()
    monkeypatch.setattr(engine.catalog, "publish", lambda versions: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        engine.run(engine.pipeline.steps[0])
    assert pipeline.engine().catalog.get("logged").rows == 5
    pipeline.write(LOG)
    assert digests(pipeline.run()) == undisturbed
    pipeline.write({**LOG, "half": "done"})
    assert pipeline.run()["log"][1][0].rows == 6


def test_lost_rows_are_an_error(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = toy.UPPER.__class__(**{**toy.UPPER.__dict__, "run": lambda rows, config, context: rows.iloc[1:]})
    monkeypatch.setitem(toy.STAGES, "upper", lossy)
    with pytest.raises(DataError, match=r"1 neither returned nor rejected \(a\)"):
        pipeline.run()
    with pytest.raises(Exception, match="no dataset 'uppered'"):
        pipeline.engine().catalog.get("uppered")


@pytest.mark.parametrize("reason", ["secret words of a customer", "", 7])
def test_a_reason_that_is_no_code_is_refused(pipeline: Toy, monkeypatch: pytest.MonkeyPatch, reason: object) -> None:
    """Reasons are shown in logs, artifacts and reports, so a stage must not put text into them (P1)."""
    telling = replace(toy.UPPER, run=lambda rows, config, context: rows.assign(reject=reason))
    monkeypatch.setitem(toy.STAGES, "upper", telling)
    with pytest.raises(DataError, match=r"the reason of \d+ rejected rows \(.*\) is not a snake_case code") as caught:
        pipeline.run()
    assert "secret" not in str(caught.value)


def test_a_foreign_exception_loses_its_message(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(rows, config, context):  # type: ignore[no-untyped-def]
        return int("secret words of a customer")

    broken = toy.UPPER.__class__(**{**toy.UPPER.__dict__, "run": explode})
    monkeypatch.setitem(toy.STAGES, "upper", broken)
    with pytest.raises(StepError) as caught:
        pipeline.run()
    assert "secret" not in str(caught.value)
    assert "ValueError" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_failed_critical_expectation_publishes_nothing(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    gxe = expect.great_expectations().expectations
    low = gxe.ExpectTableRowCountToBeBetween(max_value=2, severity="critical", description="two rows at most")
    monkeypatch.setattr(sys.modules["expectations.uppered"], "suite", lambda: [low])
    with pytest.raises(ExpectationError, match="two rows at most"):
        pipeline.run()
    assert [version.dataset for version in pipeline.engine().catalog.versions] == ["logged"]


def test_no_conversation_at_all_is_refused(pipeline: Toy) -> None:
    pipeline.write({"x": "broken"})
    with pytest.raises(InputError, match="1 bad_turns"):
        pipeline.run()


def test_two_workers_give_the_same_digests(pipeline: Toy, tmp_path: Path) -> None:
    from deskloop.engine.partitions import ProcessPool

    one = digests(pipeline.run())
    pipeline.write({**LOG, "z": "more"})
    pipeline.run()
    other = Toy(tmp_path / "two")
    other.folder.mkdir()
    other.write(dict(reversed(LOG.items())))
    other.executor = ProcessPool(2)
    try:
        assert digests(other.run()) == one
    finally:
        other.executor.close()


def test_raw_is_for_its_owner_only(pipeline: Toy) -> None:
    pipeline.run()
    store = pipeline.folder / "store"
    assert (store / "raw").stat().st_mode & 0o777 == 0o700
    assert (store / "keys" / "hmac.json").stat().st_mode & 0o777 == 0o600
    assert not (store / "raw" / ".staging").exists()
    assert not (store / "clean" / ".staging").exists()
