"""P11: a person is erased from every file of a store; other people's rows and the next run are unaffected."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import deltalake
import deltalake.table
import pytest

from deskloop.audit.trace import record_access
from deskloop.contract.errors import ConfigError
from deskloop.erase import erase, stores
from deskloop.run.session import Run
from deskloop.store.catalog import Catalog, Version
from deskloop.store.erasures import erasures, pending
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw
from tasks.ingest.erasure import search_for
from tests.flows.desk import Desk, actions, digests, example_lines, versions
from tests.sweep import sweep

COUNT = 40
Lines = list[bytes]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk that was prepared once, for tests to copy."""
    folder = tmp_path_factory.mktemp("desk")
    Desk(folder / "desk", example_lines(COUNT)).prepare()
    return folder / "desk"


@pytest.fixture
def desk(prepared: Path, tmp_path: Path) -> Desk:
    shutil.copytree(prepared, tmp_path / "desk")
    shutil.rmtree(tmp_path / "desk" / "log")
    return Desk(tmp_path / "desk", example_lines(COUNT))


def records(lines: Lines) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("customer"), dict)]


def whom(lines: Lines) -> tuple[str, list[dict[str, Any]]]:
    """Return the customer with the most conversations, and these conversations."""
    counts = Counter(one["customer"]["id"] for one in records(lines) if not one.get("no_training"))
    customer = counts.most_common(1)[0][0]
    return customer, [one for one in records(lines) if one["customer"]["id"] == customer]


def values_of(own: list[dict[str, Any]]) -> dict[str, str]:
    """Return texts that must not remain: identifiers, and every longer sentence that they wrote."""
    found = {f"customer {name}": str(value) for one in own for name, value in one["customer"].items() if value}
    for one in own:
        found[f"conversation {one['conversation_id']}"] = one["conversation_id"]
        if one.get("order_id"):
            found[f"order {one['order_id']}"] = one["order_id"]
        said = [turn["text"] for turn in one["turns"] if turn["role"] == "customer"]
        found |= {f"sentence {text[:9]}": text for text in map(str.strip, said) if len(text) > 60 and "\n" not in text}
    return found


def start(desk: Desk, *customers: str, conversations: tuple[str, ...] = ()) -> dict[str, Any]:
    found = stores.of_pipeline(desk.folder / "store")
    with stores.locked(found) as opened:
        secrets = [[key.secret for key in keys] for keys in (store.keys() for store in opened)]
        asked = [search_for(customers, conversations, own) for own in secrets]
        document, previews = stores.look(opened, asked)
        if document["status"] == "found":
            stores.begin(opened, asked, previews, "request")
    return document


def end(desk: Desk) -> dict[str, Any]:
    store = Store(desk.folder / "store")
    with store.locked(erasing=True), allow_raw("test"):
        journal = pending(store.root / "ledger")
        assert journal is not None
        return erase.finish(store, journal, lambda line: None)


def hashes(store: Path) -> dict[tuple[str, str], bytes]:
    """Return (dataset, row id) -> hash of all current published rows."""
    found, own = {}, Store(store)
    latest = {one.dataset: one for one in Catalog(store / "catalog").versions if one.kind == "dataset"}
    with allow_raw("test"):
        for name, one in latest.items():
            rows = own.read(one.zone, name, one.delta_version, ["row_id", "_hash"]).to_pylist()
            found |= {(name, row["row_id"]): row["_hash"] for row in rows}
    return found


def test_a_customer_is_gone_and_everybody_else_is_as_before(desk: Desk) -> None:
    lines = example_lines(COUNT)
    customer, own = whom(lines)
    store = desk.folder / "store"
    ids = {one["conversation_id"] for one in own}
    before = hashes(store)
    values = values_of(own)
    record_access(store / "ledger", own[0]["conversation_id"])
    assert {name for _, name in sweep(store, values)} >= {"customer id", "customer name", "customer email"}
    found = start(desk, customer)
    done = end(desk)
    assert found["conversations"] == done["conversations"] == len(ids)
    assert found["rows"] == done["rows"]
    assert found["rows"]["ingested"] == len(ids)
    assert sweep(store, values) == []
    others = {place: one for place, one in before.items() if place[1].partition("/")[0] not in ids}
    assert hashes(store) == others
    assert not (store / ".erase").exists()
    for version in Catalog(store / "catalog").versions:
        assert version.gone == (version.delta_version < 0)


def test_the_next_run_reuses_all_and_later_ones_refuse_the_old_rows(desk: Desk) -> None:
    lines = example_lines(COUNT)
    customer, own = whom(lines)
    start(desk, customer)
    end(desk)
    after = hashes(desk.folder / "store")
    again = desk.prepare()
    assert set(actions(again).values()) == {"reuse"}
    fresh = json.loads(json.dumps(own[0])) | {"conversation_id": "HD-new", "started_at": "2099-01-01T00:00:00Z"}
    for turn in fresh["turns"]:
        turn["at"] = None
    desk.write([*lines, json.dumps(fresh).encode()])
    grown = desk.prepare()
    assert actions(grown)["scrub"] == "extend"
    assert versions(grown)["scrubbed"].touched == 1
    assert versions(grown)["ingested"].reasons["erased"] == len(own)
    rows = {place: one for place, one in hashes(desk.folder / "store").items() if place[0] in ("ingested", "scrubbed")}
    assert {row_id for _, row_id in rows.keys() - after.keys()} == {"HD-new"}
    assert {place: rows[place] for place in after if place in rows} == {
        place: one for place, one in after.items() if place[0] in ("ingested", "scrubbed")
    }
    assert digests(desk.prepare(rebuild=True)) == digests(grown)


def test_a_store_that_never_saw_them_has_the_same_rows(desk: Desk, tmp_path: Path) -> None:
    lines = example_lines(COUNT)
    customer, own = whom(lines)
    start(desk, customer)
    end(desk)
    ids = {one["conversation_id"].encode() for one in own}
    never = Desk(tmp_path / "never", [line for line in lines if not any(name in line for name in ids)])
    shutil.copytree(desk.folder / "store" / "keys", tmp_path / "never" / "store" / "keys")
    untouched, rest = digests(never.prepare()), digests(desk.prepare())
    assert {name: rest[name] for name in ("ingested", "scrubbed")} == {
        name: untouched[name] for name in ("ingested", "scrubbed")
    }


def test_old_rows_that_a_backup_brings_back_are_not_reused(desk: Desk, tmp_path: Path) -> None:
    customer, own = whom(example_lines(COUNT))
    store, zones = desk.folder / "store", ("raw", "clean", "catalog")
    for zone in zones:
        shutil.copytree(store / zone, tmp_path / "backup" / zone)
    start(desk, customer)
    end(desk)
    after, left = digests(desk.prepare()), hashes(store)
    for zone in zones:
        shutil.rmtree(store / zone)
        (tmp_path / "backup" / zone).rename(store / zone)
    assert hashes(store).keys() > left.keys()
    again = desk.prepare()  # over the same log: the ledger alone knows of the erasure
    assert actions(again)["ingest"] == "compute"
    assert versions(again)["ingested"].reasons["erased"] == len(own)
    assert digests(again) == after
    assert hashes(store) == left
    assert set(actions(desk.prepare()).values()) == {"reuse"}


class Killed(BaseException):
    """Raised to simulate a kill during an erasure."""


def killer(real: Callable[..., Any], after: int) -> Callable[..., Any]:
    """Return a function that simulates a kill at its call number `after`."""
    calls = 0

    def function(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed
        return real(*arguments, **named)

    return function


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        ("deskloop.erase.erase", "rewrite", 2),
        ("deskloop.erase.traces", "remove_checkpoints", 0),
        ("deskloop.erase.erase", "_swap", 0),
        ("pathlib.Path", "rename", 3),
        ("shutil", "rmtree", 4),
        ("deskloop.erase.erase", "record", 0),
        ("deskloop.erase.erase", "_publish", 0),
        ("deskloop.store.catalog.Catalog", "_append", 0),
        ("deskloop.erase.erase", "_mark_models", 0),
    ],
)
def test_killed_anywhere_the_next_one_finishes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, module: str, name: str, after: int
) -> None:
    customer, own = whom(example_lines(COUNT))
    store = desk.folder / "store"
    ids = {one["conversation_id"] for one in own}
    others = {place: one for place, one in hashes(store).items() if place[1].partition("/")[0] not in ids}
    start(desk, customer)
    owner: Any = pytest.importorskip(module) if module.islower() else _class(module)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killer(getattr(owner, name), after))
        with pytest.raises(Killed):
            end(desk)
    with pytest.raises(ConfigError, match="was interrupted; finish it first: deskloop data erase"):
        desk.prepare()
    end(desk)
    assert hashes(store) == others
    assert sweep(store, values_of(own)) == []
    assert len(erasures(store / "ledger")) == 1
    assert pending(store / "ledger") is None
    assert set(actions(desk.prepare()).values()) == {"reuse"}


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(pytest.importorskip(module), name)


def test_the_ledger_holds_hashes_and_counts_only(desk: Desk) -> None:
    customer, own = whom(example_lines(COUNT))
    start(desk, customer)
    journal = (desk.folder / "store" / "ledger" / "erasure.json").read_bytes()
    assert not [value for value in values_of(own).values() if value.encode() in journal]
    end(desk)
    (row,) = erasures(desk.folder / "store" / "ledger")
    assert row["reason"] == "request"
    assert row["key_id"] == Store(desk.folder / "store").key()[0]
    assert row["rows"]["ingested"] == len({one["conversation_id"] for one in own})
    assert all(len(one) == 64 for name in ("customers", "person_keys", "conversations") for one in row[name])
    assert len(row["conversations"]) == row["rows"]["ingested"]
    document = start(desk, customer)
    assert document["status"] == "already_erased"
    with pytest.raises(ConfigError, match="the store has no row of theirs"):
        start(desk, "C-nobody-has-this")


def test_versions_that_a_model_was_made_from_go_on_without_the_person(desk: Desk) -> None:
    lines = example_lines(COUNT)
    customer, own = whom(lines)
    ids = {one["conversation_id"] for one in own}
    root = desk.folder / "store"
    catalog = Catalog(root / "catalog")
    train = catalog.get("train_encoded@1")
    trained = _ids(root, train)
    model = Version(
        "desk", 0, "model", "models", "finetune", "finetune", "f" * 32, "r", "d", 0, parents=[train.as_parent()]
    )
    catalog.publish([model])
    (root / "models" / "desk" / ("f" * 16)).mkdir(parents=True)
    desk.write([*lines, *example_lines(10, COUNT)])
    second: Run = desk.prepare()
    assert versions(second)["train_encoded"].version == 2
    theirs = {
        one.name: sum(row.partition("/")[0] in ids for row in _ids(root, one))
        for one in second.engine.catalog.versions
        if one.kind == "dataset"
    }
    document = start(desk, customer)
    assert document["models"] == [{"model": "desk@1", "rows": theirs["train_encoded@1"], "aliases": []}]
    assert "train_encoded@1" in document["versions"]["kept"]
    done = end(desk)
    catalog = Catalog(root / "catalog")
    first = catalog.get("train_encoded@1")
    assert first.erased_at
    assert first.rows == train.rows - theirs["train_encoded@1"]
    assert _ids(root, first) == [one for one in trained if one.partition("/")[0] not in ids]
    assert not catalog.get("ingested@1").gone
    with pytest.raises(ConfigError, match=r"train_encoded@2 was deleted on .*: an erasure"):
        catalog.get("train_encoded@2")
    assert "train_encoded@3" in done["versions"]["published"]
    assert set(actions(desk.prepare()).values()) == {"reuse"}


def _ids(root: Path, version: Version) -> list[str]:
    with allow_raw("test"):
        rows = Store(root).read(version.zone, version.dataset, version.delta_version, ["row_id"])
    found: list[str] = sorted(rows["row_id"].to_pylist())
    return found


class Clock(datetime):
    """A clock that is a year slow."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - timedelta(days=365)


def test_a_clock_set_back_leaves_no_old_version_in_place(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    customer, own = whom(example_lines(COUNT))
    store = desk.folder / "store"
    ids = {one["conversation_id"] for one in own}
    others = {place: one for place, one in hashes(store).items() if place[1].partition("/")[0] not in ids}
    with monkeypatch.context() as patched:
        for module in ("deskloop.store.catalog", "deskloop.erase.erase"):
            patched.setattr(f"{module}.datetime", Clock)
        start(desk, customer)
        end(desk)
    assert hashes(store) == others
    for version in Catalog(store / "catalog").versions:
        assert version.gone == (version.delta_version < 0)
    assert set(actions(desk.prepare()).values()) == {"reuse"}


WRITES = (
    (Path, ("replace", "rename", "unlink", "write_bytes")),
    (shutil, ("rmtree",)),
    (deltalake, ("write_deltalake",)),
    (deltalake.DeltaTable, ("create", "create_write_transaction", "delete", "vacuum")),
    (deltalake.table.TableMerger, ("execute",)),
    (os, ("replace",)),
)


def writes(patched: pytest.MonkeyPatch, allowed: int) -> list[str]:
    """Allow a number of writes, then simulate a kill; return the names of the writes that happened."""
    happened: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if len(happened) >= allowed:
                raise Killed
            happened.append(name)
            return real(*arguments, **options)

        return act

    for owner, names in WRITES:
        for name in names:
            patched.setattr(owner, name, counted(name, getattr(owner, name)))
    return happened


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps, a recorded access to a raw row, and an unreadable record of the person."""
    desk = Desk(tmp_path_factory.mktemp("small") / "desk", broken_lines())
    desk.steps = desk.steps[:2]
    desk.prepare()
    return desk.folder


def broken_lines() -> list[bytes]:
    customer, _ = whom(example_lines(COUNT))
    return [*example_lines(COUNT), f'{{"customer": {{"id": "{customer}"}}, "turns": ['.encode()]


@pytest.mark.parametrize(
    "at", [2, 9, 15, 22, *(pytest.param(at, marks=pytest.mark.long) for at in range(40) if at not in (2, 9, 15, 22))]
)
def test_killed_at_any_write_the_next_one_ends_as_an_undisturbed_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    customer, own = whom(example_lines(COUNT))
    done: dict[str, Any] = {}
    rows = []
    for name, allowed in (("undisturbed", 10_000), ("killed", at)):
        shutil.copytree(small / "store", tmp_path / name / "store")
        desk = Desk(tmp_path / name, broken_lines())
        desk.steps = desk.steps[:2]
        desk.save()
        record_access(desk.folder / "store" / "ledger", own[0]["conversation_id"])
        with monkeypatch.context() as patched:
            writes(patched, allowed)
            try:
                start(desk, customer)
                done[name] = end(desk)
            except Killed:
                patched.undo()
                opened = stores.of_pipeline(desk.folder / "store")
                stores.settle(opened)
                if not any(map(stores.is_pending, opened)):  # it never began
                    start(desk, customer)
                done[name] = end(desk)
        rows.append(hashes(desk.folder / "store"))
        assert sweep(desk.folder / "store", values_of(own)) == []
        assert len(erasures(desk.folder / "store" / "ledger")) == 1
        assert sorted(path.name for path in (desk.folder / "store").glob(".erase*")) == []
        assert not list((desk.folder / "store" / "ledger").glob("erasure*.json"))
    assert rows[0] == rows[1]
    for part in ("conversations", "quarantine", "related", "rows"):
        assert done["killed"][part] == done["undisturbed"][part]
    assert done["killed"]["quarantine"] == 1
