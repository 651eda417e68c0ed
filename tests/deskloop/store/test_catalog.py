"""The catalog numbers versions, finds them again, and shows all of a step's versions or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from deltalake import DeltaTable

from deskloop.contract.errors import ConfigError
from deskloop.store.catalog import Catalog, Parent, Version

PLAIN = Version(
    dataset="scrubbed", version=0, kind="dataset", zone="clean", step="scrub", stage="scrub", fingerprint="f1",
    recipe="r1", digest="d1", rows=3, delta_version=7, rejects_version=2, artifact="a1",
    parents=[Parent("ingested", 1, "d0")], inputs=[["log", "x"]], rows_in=4, rows_out=3, rejected=1,
    reasons={"bad": 1}, touched=4, mode="full", why="first run", seconds=1.5, run_id="run",
    config={"threshold": 0.4, "languages": ["en"]}, libraries={"pandas": "3"}, expectations=[{"name": "x"}],
    details={"validation": {"ok": True}},
)  # fmt: skip


def other(name: str, **changes: object) -> Version:
    return replace(PLAIN, dataset=name, **changes)  # type: ignore[arg-type]


def test_what_is_published_is_read_again_as_it_was(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.versions == []
    (published,) = catalog.publish([PLAIN])
    assert replace(published, version=0, published_at="") == PLAIN
    assert published.name == "scrubbed@1"
    assert published.as_parent() == Parent("scrubbed", 1, "d1")
    assert Catalog(tmp_path).versions == catalog.versions == [published]


def test_versions_count_up_by_dataset(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.publish([other("train"), other("test")])
    catalog.publish([other("train")])
    (third,) = Catalog(tmp_path).publish([other("train")])
    assert third.name == "train@3"
    assert sorted(one.name for one in Catalog(tmp_path).versions) == ["test@1", "train@1", "train@2", "train@3"]


def test_the_versions_of_a_step_are_one_commit(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    published = catalog.publish([other("train"), other("validation"), other("test")])
    assert DeltaTable(str(tmp_path)).version() == 0
    assert len({one.published_at for one in published}) == 1
    catalog.publish([other("train")])
    assert DeltaTable(str(tmp_path)).version() == 1


def test_a_reader_keeps_what_it_read(tmp_path: Path) -> None:
    Catalog(tmp_path).publish([PLAIN])
    reader = Catalog(tmp_path)
    Catalog(tmp_path).publish([PLAIN])
    assert reader.get("scrubbed").version == 1
    assert Catalog(tmp_path).get("scrubbed").version == 2


def test_find_gives_the_latest_publication_of_a_fingerprint(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.publish([other("train", step="split"), other("test", step="split")])
    catalog.publish([other("train", step="split", fingerprint="f2"), other("test", step="split", fingerprint="f2")])
    catalog.publish([other("train", step="split"), other("test", step="split")])
    for one in (catalog, Catalog(tmp_path)):
        assert sorted(found.name for found in one.find("split", "f1")) == ["test@3", "train@3"]
        assert sorted(found.name for found in one.find("split", "f2")) == ["test@2", "train@2"]
        assert one.find("split", "f3") == []
        assert one.find("scrub", "f1") == []


def test_names_resolve_to_the_latest_or_the_one_asked_for(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.publish([PLAIN])
    catalog.publish([replace(PLAIN, digest="d2")])
    assert catalog.get("scrubbed").digest == "d2"
    assert catalog.get("scrubbed@1").digest == "d1"
    assert catalog.get("scrubbed@2") == catalog.latest("scrubbed")
    assert catalog.latest("nothing") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scrubed", "no dataset 'scrubed'; did you mean 'scrubbed'?"),
        ("zzz", "no dataset 'zzz'; available: encoded, scrubbed"),
        ("", "no dataset ''; available: encoded, scrubbed"),
        ("scrubbed@3", "scrubbed has no version '3'; it has 1 to 1"),
        ("scrubbed@x", "scrubbed has no version 'x'; it has 1 to 1"),
        ("scrubbed@1@2", "scrubbed has no version '1@2'; it has 1 to 1"),
    ],
)
def test_a_missing_dataset_or_version_is_reported(tmp_path: Path, name: str, expected: str) -> None:
    catalog = Catalog(tmp_path)
    catalog.publish([PLAIN, other("encoded")])
    with pytest.raises(ConfigError) as caught:
        catalog.get(name)
    assert caught.value.problems == [expected]


def test_an_empty_catalog_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no dataset 'x'; none is published yet"):
        Catalog(tmp_path / "new").get("x")


def test_a_record_of_a_later_version_is_read(tmp_path: Path) -> None:
    """An unknown field is ignored, and a missing one has its default."""
    from deskloop.store.catalog import _build

    names = ("dataset", "kind", "zone", "step", "stage", "fingerprint", "recipe", "digest")
    assert _build({**dict.fromkeys(names, "x"), "version": 1, "rows": 1, "of_the_future": True}).details == {}


class Clock(datetime):
    """A clock whose hand is moved by the test."""

    hand = datetime(2026, 5, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return cls.hand


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr("deskloop.store.catalog.datetime", Clock)
    monkeypatch.setattr(Clock, "hand", datetime(2026, 5, 1, tzinfo=UTC))
    return Clock


def test_a_clock_that_was_set_back_brings_no_earlier_record_back(tmp_path: Path, clock: type[Clock]) -> None:
    catalog = Catalog(tmp_path)
    (published,) = catalog.publish([PLAIN])
    clock.hand -= timedelta(days=365)
    catalog.supersede([replace(published, gone=True, delta_version=-1)])
    assert Catalog(tmp_path).versions[0].gone


def test_the_latest_publication_is_the_last_one_whatever_the_clock(tmp_path: Path, clock: type[Clock]) -> None:
    catalog = Catalog(tmp_path)
    for days in (0, 365, 0):  # earlier, then at the very same time
        clock.hand -= timedelta(days=days)
        catalog.publish([other("train", step="split"), other("test", step="split")])
    for one in (catalog, Catalog(tmp_path)):
        assert sorted(found.name for found in one.find("split", "f1")) == ["test@3", "train@3"]
        assert [found.name for found in one.in_order()][-2:] == ["test@3", "train@3"]


def test_a_version_that_is_gone_is_not_found_again(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    first, second = catalog.publish([PLAIN])[0], catalog.publish([PLAIN])[0]
    catalog.supersede([replace(second, gone=True)])
    for one in (catalog, Catalog(tmp_path)):
        assert one.find("scrub", "f1") == [first]
    catalog.supersede([replace(first, gone=True)])
    for one in (catalog, Catalog(tmp_path)):
        assert one.find("scrub", "f1") == []
