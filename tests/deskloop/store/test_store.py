"""Tables of the store: contents of commits, differences between them, permissions and locking."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from deskloop.store.digest import row_hashes, table_digest
from deskloop.store.parts import Part
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw

SCHEMA = pa.schema([("row_id", pa.string()), ("batch", pa.int32()), ("words", pa.list_(pa.string()))])
ROOT = Path(__file__).parents[3]
Rows = dict[str, list[str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    made.create("clean", "rows", SCHEMA)
    return made


def table(rows: Rows, batch: int = 1) -> pa.Table:
    listed = [{"row_id": row_id, "batch": batch, "words": words} for row_id, words in rows.items()]
    return pa.Table.from_pylist(listed, schema=SCHEMA)


def staged(store: Store, rows: Rows, batch: int = 1) -> list[Part]:
    """Write one part per row, as workers would."""
    folder = store.staging("clean") / "rows"
    return [store.write_part(folder, table({row_id: words}, batch)) for row_id, words in rows.items()]


def at(store: Store, version: int) -> list[dict]:
    return store.read("clean", "rows", version).sort_by("row_id").to_pylist()


def listed(rows: Rows, batch: int = 1) -> list[dict]:
    return table(rows, batch).sort_by("row_id").to_pylist()


def test_parts_in_the_tables_folder_are_committed_as_they_are(store: Store) -> None:
    parts = [store.write_part(store.folder("clean", "rows"), table({one: [one]})) for one in "ab"]
    assert at(store, store.delta_version("clean", "rows")) == []
    version = store.append_parts("clean", "rows", parts)
    assert version == 1
    assert at(store, 1) == listed({"a": ["a"], "b": ["b"]})
    assert store.append_parts("clean", "rows", []) == 1
    again = store.append_parts("clean", "rows", [store.write_part(store.folder("clean", "rows"), table({"c": []}))])
    assert at(store, again) == listed({"a": ["a"], "b": ["b"], "c": []})
    assert at(store, 1) == listed({"a": ["a"], "b": ["b"]})


def test_hashes_are_stored_with_the_rows(store: Store) -> None:
    version = store.merge("clean", "rows", staged(store, {"a": ["x"], "b": ["y"]}), None)
    read = store.read("clean", "rows", version, ["_hash", "row_id"])
    assert read.column_names == ["_hash", "row_id"]
    assert table_digest(read["_hash"]) == table_digest(pa.chunked_array([row_hashes(table({"b": ["y"], "a": ["x"]}))]))


def test_a_merge_is_one_commit_with_the_difference(store: Store) -> None:
    store.merge("clean", "rows", staged(store, {"a": ["1"], "b": ["2"], "c": ["3"]}), None)
    after = store.merge("clean", "rows", staged(store, {"b": ["new"], "d": ["4"], "a": ["1"]}, batch=2), ["c"])
    assert after == 2
    changed = listed({"b": ["new"], "d": ["4"]}, batch=2)
    assert at(store, 2) == [*listed({"a": ["1"]}), *changed]  # the row that is the same keeps its batch
    changes = store.changes("clean", "rows", 1, 2)
    assert (changes.upserts.sort_by("row_id").to_pylist(), changes.deleted) == (changed, ["c"])
    assert not changes.only_inserts


def test_a_kept_column_survives_an_update(store: Store) -> None:
    store.merge("clean", "rows", staged(store, {"a": ["1"], "b": ["2"]}), None)
    version = store.merge("clean", "rows", staged(store, {"a": ["new"], "c": ["3"]}, batch=2), None, keep=("batch",))
    assert at(store, version) == [*listed({"a": ["new"]}), *listed({"c": ["3"]}, batch=2)]


def test_no_commit_where_nothing_changes(store: Store) -> None:
    first = store.merge("clean", "rows", staged(store, {"a": ["1"]}), None)
    assert store.merge("clean", "rows", staged(store, {"a": ["1"]}, batch=2), None) == first
    assert store.merge("clean", "rows", [], []) == first
    assert store.merge("clean", "rows", [], ["not there"]) == first
    changes = store.changes("clean", "rows", first, first)
    assert (changes.upserts.num_rows, changes.deleted, changes.only_inserts) == (0, [], True)


def test_deleting_everything_leaves_an_empty_table(store: Store) -> None:
    first = store.merge("clean", "rows", staged(store, {"a": ["1"], "b": ["2"]}), None)
    emptied = store.merge("clean", "rows", [], None)
    assert at(store, emptied) == []
    assert store.read("clean", "rows", emptied).schema.names == SCHEMA.names
    changes = store.changes("clean", "rows", first, emptied)
    assert (changes.upserts.num_rows, changes.deleted) == (0, ["a", "b"])


def test_a_row_that_went_and_came_back_is_an_upsert(store: Store) -> None:
    first = store.merge("clean", "rows", staged(store, {"a": ["1"], "b": ["2"]}), None)
    store.merge("clean", "rows", [], ["a"])
    last = store.merge("clean", "rows", staged(store, {"a": ["1"]}), [])
    changes = store.changes("clean", "rows", first, last)
    assert (changes.upserts.to_pylist(), changes.deleted) == (listed({"a": ["1"]}), [])


def test_appended_rows_alone_are_only_inserts(store: Store) -> None:
    first = store.merge("clean", "rows", staged(store, {"a": ["1"]}), None)
    last = store.merge("clean", "rows", staged(store, {"b": ["2"]}), [])
    changes = store.changes("clean", "rows", first, last)
    assert (changes.upserts.to_pylist(), changes.deleted) == (listed({"b": ["2"]}), [])
    assert changes.only_inserts


contents = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from(["x", "y", ""]), max_size=2), max_size=6)
steps = st.lists(st.tuples(contents, st.one_of(st.none(), st.sets(st.sampled_from("abcdef")))), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None)
@given(first=contents, merges=steps, start=st.integers(0, 4))
def test_changes_turn_the_old_table_into_the_new_one(first: Rows, merges: list, start: int) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.create("clean", "rows", SCHEMA)
        expected = dict(first)
        versions = [store.merge("clean", "rows", staged(store, first), None)]
        states = [dict(expected)]
        for rows, deleted in merges:
            if deleted is None:
                expected = dict(rows)
                versions.append(store.merge("clean", "rows", staged(store, rows), None))
            else:
                gone = sorted(deleted - rows.keys())
                expected = {name: words for name, words in expected.items() if name not in gone} | rows
                versions.append(store.merge("clean", "rows", staged(store, rows), gone))
            states.append(dict(expected))
        for version, state in zip(versions, states, strict=True):
            assert at(store, version) == listed(state)
        begin = min(start, len(merges))
        changes = store.changes("clean", "rows", versions[begin], versions[-1])
        moved = {row["row_id"]: row["words"] for row in changes.upserts.to_pylist()}
        assert len(moved) == changes.upserts.num_rows
        kept = {name: words for name, words in states[begin].items() if name not in changes.deleted}
        assert kept | moved == states[-1]
        assert not moved.keys() & set(changes.deleted)
        if changes.only_inserts:
            assert not changes.deleted
            assert not moved.keys() & states[begin].keys()


def test_batches_are_bounded_and_complete(store: Store) -> None:
    rows = {f"r{number}": [str(number)] for number in range(7)}
    version = store.append_parts(
        "clean", "rows", [store.write_part(store.folder("clean", "rows"), table(rows))]
    )  # fmt: skip
    batches = list(store.batches("clean", "rows", version, ["row_id"], rows=3))
    assert [batch.num_rows for batch in batches] == [3, 3, 1]
    assert sorted(pa.concat_tables(batches)["row_id"].to_pylist()) == sorted(rows)


def test_create_keeps_a_table_that_fits_and_empties_one_of_another_schema(store: Store) -> None:
    first = store.merge("clean", "rows", staged(store, {"a": ["1"]}), None)
    store.create("clean", "rows", SCHEMA)
    assert store.delta_version("clean", "rows") == first
    wider = SCHEMA.append(pa.field("rating", pa.float32()))
    store.create("clean", "rows", wider)
    now = store.delta_version("clean", "rows")
    assert store.read("clean", "rows", now).schema.equals(wider)
    assert at(store, now) == []
    assert at(store, first) == listed({"a": ["1"]})


def test_values_do_not_get_into_the_log(store: Store) -> None:
    """An erasure could not remove them from there; statistics would write them."""
    folder = store.folder("clean", "rows")
    store.append_parts("clean", "rows", [store.write_part(folder, table({"Zebedee": ["Zebina"]}))])
    store.merge("clean", "rows", staged(store, {"Zebedee": ["Zebulon"], "Zeb": []}), None)
    store.merge("clean", "rows", [], ["Zebedee"])
    logs = list((folder / "_delta_log").iterdir())
    assert len(logs) >= 4
    assert not any(b"Zeb" in log.read_bytes() for log in logs)


def test_absent_tables_have_no_version(store: Store) -> None:
    assert not store.exists("clean", "nothing")
    assert store.delta_version("clean", "nothing") == -1


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_raw_table_is_for_its_owner_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask belongs to every thread of the process."""
    store = Store(tmp_path / "store")
    store.prepare()
    earlier = os.umask(0)
    with monkeypatch.context() as patch, allow_raw("test"):
        patch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
        store.create("raw", "rows", pa.schema([("row_id", pa.string())]))
    os.umask(earlier)
    files = [path for path in (store.root / "raw").rglob("*") if path.is_file()]
    assert {mode(path) for path in files} == {0o600}


def test_raw_and_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    (store.root / "raw").mkdir(parents=True)
    (store.root / "raw").chmod(0o777)
    earlier = os.umask(0)
    try:
        store.prepare()
    finally:
        os.umask(earlier)
    assert (mode(store.root / "raw"), mode(store.root / "keys")) == (0o700, 0o700)
    assert mode(store.root / "keys" / "hmac.json") == 0o600


def test_the_key_is_made_once_and_never_replaced(store: Store) -> None:
    first = store.key()
    assert Store(store.root).key() == first
    assert len(first[1]) == 32
    (store.root / "keys" / "hmac.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"hmac\.json is damaged"):
        store.key()


def test_a_store_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used as a folder"):
        Store(tmp_path / "file").prepare()


HOLDER = """
import sys, time
from pathlib import Path
from deskloop.store.store import Store
with Store(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_run_at_a_time_and_a_killed_one_holds_nothing(store: Store) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(ConfigError, match="another run is working on"), store.locked():
                pass
        finally:
            holder.kill()
    staged(store, {"left": ["behind"]})
    with store.locked():
        assert not store.staging("clean").exists()
