"""Retention: raw rows are deleted from every version after `raw_days`; rows that derive from them stay."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deskloop.contract.errors import ConfigError, DataError
from deskloop.engine import retention
from deskloop.engine.retention import expire, expired_ids, forget
from deskloop.store.catalog import Catalog
from deskloop.store.commit import write_state
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw
from tests.deskloop import toy
from tests.deskloop.toy import Toy, digests, rows, suites

LOG = {"a": "pine", "bb": "elm!", "ccc": "maple", "x": "broken"}
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=31)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    made = Toy(tmp_path)
    made.write(LOG)
    return made


def collect(pipeline: Toy, now: datetime = LATER, days: int | None = 30, **options: Any) -> dict[str, int]:
    loaded = pipeline.pipeline()
    settings = loaded.settings.model_copy(update={"raw_days": days})
    loaded = loaded.__class__(loaded.file, settings, loaded.steps)
    return expire(loaded, Store(loaded.store), now, **options)


def raw_ids(pipeline: Toy) -> list[str]:
    store = Store(pipeline.folder / "store")
    with allow_raw("test"):
        return sorted(
            store.read("raw", "logged", store.delta_version("raw", "logged"), ["row_id"])["row_id"].to_pylist()
        )


def bytes_of(folder: Path) -> bytes:
    """Return the bytes of a folder's files and the decoded contents of its Parquet files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    decoded = [json.dumps(pq.read_table(path).to_pylist(), default=str) for path in files if path.suffix == ".parquet"]
    return b"".join(path.read_bytes() for path in files) + "".join(decoded).encode()


def actions(results: dict[str, Any]) -> list[str]:
    return [action for action, _ in results.values()]


def arrivals(ledger: Path, *days: int) -> None:
    """Record batches that arrived these numbers of days before LATER, by a clock that may be wrong."""
    rows = [{"dataset": "logged", "batch": at + 1, "at": LATER - timedelta(days=one)} for at, one in enumerate(days)]
    table = retention.pa.Table.from_pylist(rows, schema=retention._ARRIVALS)
    write_state(ledger / "arrivals", table, "overwrite")


@pytest.mark.parametrize(
    ("days", "last"),
    [
        ((60, 40, 10), 2),
        ((60, 2, 365, 1), 1),  # the clock was set back when batch 3 came, so that it is two days old at most
        ((60, -900, 40, 10), 3),  # it ran ahead when batch 2 came
        ((-900, 40), 2),
        ((-900, 10), 0),
        ((), 0),
    ],
)
def test_a_wrong_clock_makes_no_row_older_than_those_before_it(
    tmp_path: Path, days: tuple[int, ...], last: int
) -> None:
    arrivals(tmp_path, *days)
    assert retention._last_expired(tmp_path, LATER - timedelta(days=30), LATER) == last


def test_expired_rows_are_gone_from_every_version_and_clean_rows_stay(pipeline: Toy) -> None:
    first = pipeline.run()
    pipeline.write({**LOG, "a": "changed", "new": "row"})
    before = pipeline.run()
    assert b"maple" in bytes_of(pipeline.folder / "store" / "raw")
    assert collect(pipeline, NOW) == {"logged": 0, "quarantine": 0}
    assert raw_ids(pipeline) == ["a", "bb", "ccc", "new"]
    assert collect(pipeline, LATER, dry_run=True) == {"logged": 4, "quarantine": 1}
    assert raw_ids(pipeline) == ["a", "bb", "ccc", "new"]
    assert collect(pipeline) == {"logged": 4, "quarantine": 1}
    left = bytes_of(pipeline.folder / "store" / "raw")
    assert not [text for text in (b"pine", b"changed", b"elm!", b"maple") if text in left]
    after = pipeline.run()
    assert actions(after) == ["reuse"] * 4
    assert {name: one for name, one in digests(after).items() if name != "logged"} == {
        name: one for name, one in digests(before).items() if name != "logged"
    }
    assert after["log"][1][0].rows == 0
    message = (
        "logged@1 was deleted on .*: it held raw rows that became older than `raw_days`, .*; available versions: 3$"
    )
    with pytest.raises(ConfigError, match=message):
        Catalog(pipeline.folder / "store" / "catalog").get(first["log"][1][0].name)


def test_what_the_source_still_holds_is_neither_new_nor_deleted(pipeline: Toy) -> None:
    before = pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    after = pipeline.run()
    assert actions(after) == ["compute", "extend", "compute", "extend"]
    (logged,), (upper,) = after["log"][1], after["upper"][1]
    assert (logged.rows, logged.reasons) == (1, {"expired": 3, "bad_turns": 1})
    assert raw_ids(pipeline) == ["new"]
    with allow_raw("test"):
        store = Store(pipeline.folder / "store")
        assert store.read("raw", "quarantine", store.delta_version("raw", "quarantine")).num_rows == 0
    assert (upper.rows_in, upper.rows_out, toy.seen) == (4, 4, ["new"])
    assert rows(pipeline, upper)["row_id"].to_pylist() == ["a", "bb", "ccc", "new"]
    pipeline.write({})
    pipeline.write({"new": "row"})  # the old file is gone: its rows are not deleted at the source, they had expired
    again = pipeline.run()
    assert rows(pipeline, again["upper"][1][0])["row_id"].to_pylist() == ["a", "bb", "ccc", "new"]
    assert digests(again)["uppered"] == digests(after)["uppered"] != digests(before)["uppered"]


def test_a_row_that_goes_at_the_source_before_its_time_is_deleted(pipeline: Toy) -> None:
    pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    pipeline.run()
    pipeline.write(LOG | {"newer": "row"})
    assert rows(pipeline, pipeline.run()["upper"][1][0])["row_id"].to_pylist() == ["a", "bb", "ccc", "newer"]


def test_arrival_numbers_are_not_used_twice(pipeline: Toy) -> None:
    pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    logged = pipeline.run()["log"][1][0]
    assert rows(pipeline, logged)["batch"].to_pylist() == [2]
    assert collect(pipeline, datetime.now(UTC) + timedelta(days=29)) == {"logged": 0, "quarantine": 0}


def test_a_recompute_keeps_the_rows_and_says_so(pipeline: Toy) -> None:
    before = pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    pipeline.run()
    after = pipeline.run(longest=99)
    (upper,) = after["upper"][1]
    assert after["upper"][0] == "compute"
    assert upper.why == ("its options have changed; 3 rows are kept unchanged, since their raw rows have expired")
    assert (upper.rows_in, upper.rows_out) == (4, 4)
    assert rows(pipeline, upper).slice(0, 3) == rows(pipeline, before["upper"][1][0])
    assert toy.seen == ["new"]


def test_rows_that_are_lost_are_named_by_their_number(pipeline: Toy) -> None:
    pipeline.run()
    collect(pipeline)
    pipeline.write({"new": "row"})
    pipeline.run()
    store = pipeline.folder / "store"
    (store / "clean").rename(pipeline.folder / "lost")
    (store / "catalog").rename(pipeline.folder / "lost catalog")
    why = pipeline.run()["upper"][1][0].why
    assert why == "first run; 3 rows cannot be recomputed, since their raw rows have expired"


def test_a_new_schema_does_not_lose_rows_silently(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    pipeline.run()
    monkeypatch.setattr(Store, "fits", lambda *one: False)
    with pytest.raises(DataError, match="3 rows of uppered cannot be computed in the new schema"):
        pipeline.run(longest=99)


def test_a_second_source_has_numbers_of_its_own_so_that_new_rows_do_not_expire_with_old_ones(tmp_path: Path) -> None:
    numbers = [retention.next_batch(tmp_path, name, 0) for name in ("chats", "mails", "chats")]
    assert numbers == [1, 2, 3]
    now = datetime.now(UTC)
    assert retention._last_expired(tmp_path, now - timedelta(days=1), now) == 0
    assert retention._last_expired(tmp_path, now, now) == 3


def test_rows_that_were_not_processed_are_not_deleted(pipeline: Toy) -> None:
    pipeline.run()
    pipeline.write({**LOG, "new": "row"})
    engine = pipeline.engine()
    engine.run(engine.pipeline.steps[0])
    with pytest.raises(DataError, match="4 raw rows are older than raw_days = 30, but the latest ones were not"):
        collect(pipeline)
    assert len(raw_ids(pipeline)) == 4


@pytest.mark.parametrize("where", ["_record", "_delete", "_publish", "_vacuum"])
def test_killed_anywhere_the_next_retention_completes_it(
    pipeline: Toy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = pipeline.run()
    with monkeypatch.context() as patch:
        patch.setattr(retention, where, lambda *one: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            collect(pipeline)
    between = pipeline.run()
    assert actions(between) == ["reuse"] * 4
    assert digests(between)["uppered"] == digests(before)["uppered"]
    collect(pipeline)
    assert b"maple" not in bytes_of(pipeline.folder / "store" / "raw")
    pipeline.write({**LOG, "new": "row"})
    assert rows(pipeline, pipeline.run()["upper"][1][0])["row_id"].to_pylist() == ["a", "bb", "ccc", "new"]


def test_without_raw_days_everything_stays(pipeline: Toy) -> None:
    pipeline.run()
    assert collect(pipeline, days=None) == {}
    assert raw_ids(pipeline) == ["a", "bb", "ccc"]


def test_an_erasure_removes_ids_from_the_expired_ones(pipeline: Toy) -> None:
    pipeline.run()
    collect(pipeline)
    ledger = pipeline.folder / "store" / "ledger"
    assert expired_ids(ledger, ["logged"]) == {"a", "bb", "ccc"}
    assert forget(ledger, ["bb", "other"]) == 1
    assert expired_ids(ledger, ["logged"]) == {"a", "ccc"}
    assert b'"bb"' not in bytes_of(ledger / "expired")


def test_expired_ids_with_slashes_are_not_taken_for_windows_of_others(pipeline: Toy) -> None:
    """`a/b` was a conversation of its own, and has expired; `a` arrived later."""
    pipeline.write({"a/b": "elm!"})
    pipeline.run()
    collect(pipeline)
    pipeline.write({"a": "pine"})
    pipeline.run()
    assert rows(pipeline, pipeline.run(longest=99)["upper"][1][0])["row_id"].to_pylist() == ["a", "a/b"]
    pipeline.write({"a": "changed"})
    extended = pipeline.run(longest=99)
    assert actions(extended)[:2] == ["compute", "extend"]
    assert rows(pipeline, extended["upper"][1][0])["row_id"].to_pylist() == ["a", "a/b"]


def test_a_deleted_id_with_a_slash_is_not_taken_for_a_window_of_another(pipeline: Toy) -> None:
    pipeline.write({"c": "pine", "c/d": "elm!"})
    pipeline.run()
    pipeline.write({"c": "pine"})
    shrunk = pipeline.run()
    assert actions(shrunk)[:2] == ["compute", "extend"]
    assert rows(pipeline, shrunk["upper"][1][0])["row_id"].to_pylist() == ["c"]


def test_rows_whose_deletion_was_not_published_yet_are_kept_by_an_extension(
    pipeline: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change feed says that they were deleted: by retention, not at the source."""
    pipeline.run()
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_publish", lambda *one: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            collect(pipeline)
    pipeline.write({**LOG, "new": "row"})
    grown = pipeline.run()
    assert grown["upper"][0] == "extend"
    assert rows(pipeline, grown["upper"][1][0])["row_id"].to_pylist() == ["a", "bb", "ccc", "new"]


def rejects(pipeline: Toy) -> list[str]:
    store = Store(pipeline.folder / "store")
    at = store.delta_version("clean", "upper.rejects")
    return sorted(store.read("clean", "upper.rejects", at, ["row_id"])["row_id"].to_pylist())


def test_rejects_of_expired_rows_stay_and_those_of_others_follow_the_options(pipeline: Toy) -> None:
    pipeline.write({**LOG, "old": "y" * 30})
    pipeline.run(longest=20)
    collect(pipeline)
    pipeline.write({**LOG, "new": "z" * 30, "short": "row"})
    grown = pipeline.run(longest=20)
    assert grown["upper"][0] == "extend"
    assert rejects(pipeline) == ["new", "old"]
    recomputed = pipeline.run(longest=40)
    assert recomputed["upper"][0] == "compute"
    message = "its options have changed; 3 rows are kept unchanged, since their raw rows have expired"
    assert recomputed["upper"][1][0].why == message  # the rejected one is neither kept nor lost
    assert rejects(pipeline) == ["old"]
    (upper,) = recomputed["upper"][1]
    assert rows(pipeline, upper)["row_id"].to_pylist() == ["a", "bb", "ccc", "new", "short"]
    assert pipeline.run(longest=2)["upper"][1][0].rejected == 3
    assert rejects(pipeline) == ["new", "old", "short"]


def test_an_expired_id_that_cannot_be_read_any_more_keeps_its_own_reason(pipeline: Toy) -> None:
    pipeline.run()
    collect(pipeline)
    pipeline.write({**LOG, "a": "broken", "new": "row"})
    (logged,) = pipeline.run()["log"][1]
    assert logged.reasons == {"expired": 2, "bad_turns": 2}


def test_a_rejected_row_that_changes_is_no_longer_rejected_by_an_extension(pipeline: Toy) -> None:
    pipeline.write({**LOG, "long": "y" * 30, "other": "z" * 30})
    pipeline.run(longest=20)
    pipeline.write({**LOG, "long": "short", "other": "z" * 30})
    grown = pipeline.run(longest=20)
    assert grown["upper"][0] == "extend"
    assert rejects(pipeline) == ["other"]
    assert rows(pipeline, grown["upper"][1][0])["row_id"].to_pylist() == ["a", "bb", "ccc", "long"]
