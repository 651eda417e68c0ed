"""The ledger keeps decisions that cannot be derived again: families with their splits, and fitted artifacts."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pandas as pd
import pytest

from deskloop.store.ledger import Ledger, artifact_hash

FILES = {"vocabulary.json": b"{}", "merges.txt": b"a b"}


def families(*rows: tuple[str, str, str, bool]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["conversation_id", "family", "split", "excluded"])


def stored(ledger: Ledger) -> list[tuple]:
    return sorted(ledger.families().itertuples(index=False, name=None))


def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert list(ledger.families().columns) == ["conversation_id", "family", "split", "excluded"]
    assert len(ledger.families()) == 0
    assert ledger.artifact("encode", "r") is None
    assert not (tmp_path / "ledger").exists()


def test_families_are_added_and_changed_and_never_lost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first = families(("a", "a", "train", False), ("b", "b", "test", False), ("c", "c", "train", False))
    ledger.remember_families(first)
    assert stored(ledger) == [("a", "a", "train", False), ("b", "b", "test", False), ("c", "c", "train", False)]
    ledger.remember_families(families(("a", "b", "test", True), ("d", "d", "validation", False)))
    expected = [
        ("a", "b", "test", True), ("b", "b", "test", False), ("c", "c", "train", False),
        ("d", "d", "validation", False),
    ]  # fmt: skip
    assert stored(ledger) == stored(Ledger(tmp_path)) == expected
    assert list(first["family"]) == ["a", "b", "c"]


@pytest.mark.parametrize("column", ["family", "split", "excluded"])
def test_each_column_of_a_family_may_change_alone(tmp_path: Path, column: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.remember_families(families(("a", "a", "train", False)))
    changed = families(("a", "a", "train", False))
    changed[column] = {"family": "z", "split": "test", "excluded": True}[column]
    ledger.remember_families(changed)
    assert stored(ledger) == list(changed.itertuples(index=False, name=None))


def test_the_same_families_again_are_no_commit(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    ledger = Ledger(tmp_path)
    ledger.remember_families(families(("a", "a", "train", False)))
    ledger.remember_families(families(("a", "a", "train", False)))
    assert DeltaTable(str(tmp_path / "families")).version() == 0


def test_artifacts_are_found_by_step_and_recipe(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first = ledger.record_artifact("encode", "r1", FILES, 100, "first fit")
    second = ledger.record_artifact("encode", "r1", FILES | {"merges.txt": b"c d"}, 130, "refit")
    ledger.record_artifact("normalize", "r1", FILES, 7, "first fit")
    ledger.record_artifact("encode", "r2", FILES, 9, "first fit")
    assert first != second
    assert ledger.artifact("encode", "r1") == (second, 130)
    assert ledger.artifact("normalize", "r1") == (first, 7)
    assert Ledger(tmp_path).artifact("encode", "r2") == (first, 9)
    assert ledger.artifact("encode", "r3") is None


def test_the_files_of_an_artifact_are_kept_by_their_hash(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first = ledger.record_artifact("encode", "r1", FILES, 100, "first fit")
    assert ledger.record_artifact("encode", "r1", FILES, 200, "the same again") == first == artifact_hash(FILES)
    assert ledger.files(first) == FILES
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [first]


def test_hash_of_files_depends_on_names_and_contents() -> None:
    variants: list[dict[str, bytes]] = [
        {}, {"a": b""}, {"a": b"b"}, {"ab": b""}, {"b": b""}, {"a": b"", "b": b""}, {"a": b"", "b": b"a"}
    ]  # fmt: skip
    assert len({artifact_hash(files) for files in variants}) == len(variants)
    assert artifact_hash(FILES) == artifact_hash(dict(reversed(FILES.items())))


def test_the_latest_artifact_is_the_last_one_recorded_whatever_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        hand = datetime(2026, 5, 1, tzinfo=UTC)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return cls.hand

    monkeypatch.setattr("deskloop.store.ledger.datetime", Clock)
    ledger = Ledger(tmp_path)
    for days in (0, 365, 0):
        Clock.hand -= timedelta(days=days)
        last = ledger.record_artifact("encode", "r", {"words.json": str(ledger.artifacts()).encode()}, 2, "x")
        assert ledger.artifact("encode", "r") == (last, 2)
    again = ledger.record_artifact("encode", "r", {"words.json": b"[]"}, 3, "x")
    assert Ledger(tmp_path).artifact("encode", "r") == (again, 3)
