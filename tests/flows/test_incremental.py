"""P5 and its neighbours on the real stages: reuse, extension, rebuild, replay."""

import json
import shutil
from pathlib import Path

import pytest

from tests.flows.conftest import PREPARED
from tests.flows.desk import Desk, actions, digests, example_lines, table, versions


@pytest.fixture
def desk(prepared_desk: Desk) -> Desk:
    return prepared_desk


def test_a_length_bound_reruns_what_depends_on_it(desk: Desk) -> None:
    first = desk.prepare()
    assert set(actions(first).values()) == {"reuse"}
    published = len(first.engine.catalog.versions)
    again = desk.prepare()
    assert set(actions(again).values()) == {"reuse"}
    assert len(again.engine.catalog.versions) == published

    longest = max(sum(len(turn["text"]) for turn in turns) for turns in table(first, "normalized")["turns"].to_pylist())
    wide = actions(desk.prepare(f"normalize.max_chars={longest}"))
    assert wide == {**dict.fromkeys(wide, "reuse"), "normalize": "compute"}

    tight = desk.prepare(f"normalize.max_chars={longest - 1}")
    ran = {name for name, action in actions(tight).items() if action != "reuse"}
    assert {"normalize", "dedupe"} <= ran
    assert not ran & {"ingest", "scrub"}
    assert versions(tight)["normalized"].reasons["too_long"] >= 1


def test_a_grown_log_is_extended_and_equals_its_rebuild(desk: Desk) -> None:
    before = versions(desk.prepare())["ingested"].rows
    lines = example_lines(PREPARED)
    changed = 0
    for at in range(0, PREPARED, 30):
        try:
            row = json.loads(lines[at])
        except ValueError:
            continue
        row["turns"][0]["text"] += " Thanks in advance!"
        lines[at] = json.dumps(row).encode()
        changed += 1
    desk.write([*lines, *example_lines(30, PREPARED)])
    grown = desk.prepare()
    assert actions(grown)["scrub"] == "extend"
    new = sum(batch == 2 for batch in table(grown, "ingested")["batch"].to_pylist())
    assert versions(grown)["scrubbed"].touched == changed + new
    assert versions(grown)["ingested"].rows == before + new > before
    rebuilt = desk.prepare(rebuild=True)
    assert set(actions(rebuilt).values()) == {"reuse", "compute"}
    assert digests(rebuilt) == digests(grown)


def test_raw_and_the_ledger_are_enough_to_rebuild(desk: Desk, tmp_path: Path) -> None:
    desk.write(example_lines(40, PREPARED), "day-2.jsonl")
    grown = digests(desk.prepare())
    for name in ("clean", "catalog"):
        shutil.rmtree(tmp_path / "store" / name)
    assert digests(desk.prepare()) == grown


@pytest.mark.long
def test_batches_replayed_with_an_empty_ledger_come_out_the_same(prepared: Desk, tmp_path: Path) -> None:
    one = prepared.copied_to(tmp_path / "one")
    # Nothing to fit, so nothing that a refit could change.
    one.steps[2]["normalize"] |= {"boilerplate_min": 10_000, "spelling": False}
    one.prepare()
    one.write(example_lines(30, PREPARED), "day-2.jsonl")
    first = digests(one.prepare())
    shutil.rmtree(tmp_path / "one" / "store" / "ledger")
    for name in ("clean", "catalog"):
        shutil.rmtree(tmp_path / "one" / "store" / name)
    again = digests(one.prepare())
    for dataset in ("scrubbed", "normalized", "deduped", "train", "validation", "test"):
        assert again[dataset] == first[dataset], dataset


def test_workers_partitions_and_order_do_not_matter(prepared: Desk, tmp_path: Path) -> None:
    """P4."""
    two = Desk(tmp_path / "two", example_lines(PREPARED)[::-1], workers=2)
    (tmp_path / "two" / "store" / "keys").mkdir(parents=True)
    first = prepared.prepare()
    shutil.copy(prepared.folder / "store" / "keys" / "hmac.json", tmp_path / "two" / "store" / "keys" / "hmac.json")
    second = two.prepare()
    assert digests(second) == digests(first)


def test_a_bridge_between_splits_costs_the_training_side(desk: Desk) -> None:
    first = desk.prepare()
    raw = {row["row_id"]: row for row in table(first, "ingested").to_pylist()}
    by_split = {split: set(table(first, split)["row_id"].to_pylist()) for split in ("train", "validation", "test")}
    lines = {}
    for line in example_lines(PREPARED):
        try:
            row = json.loads(line)
            lines[row["conversation_id"]] = row
        except (ValueError, TypeError):
            continue
    a_test = sorted(one for one in by_split["test"] if one in lines)[0]
    a_train = sorted(one for one in by_split["train"] if one in lines)[0]
    assert not set(raw[a_test]["customer_keys"]) & set(raw[a_train]["customer_keys"])
    bridge = json.loads(json.dumps(lines[a_train]))
    bridge["conversation_id"] = "HD-bridge"
    bridge["customer"] = {**bridge["customer"], "id": lines[a_test]["customer"]["id"]}
    bridge["turns"][0]["text"] = "Something else entirely, about a garden hose that arrived in two parts."
    desk.write([json.dumps(bridge).encode()], "day-2.jsonl")
    second = desk.prepare()
    after = {split: set(table(second, split)["row_id"].to_pylist()) for split in by_split}
    assert after["test"] == by_split["test"]
    assert after["validation"] == by_split["validation"]
    assert a_train not in after["train"]
    assert "HD-bridge" not in set().union(*after.values())
    assert after["train"] < by_split["train"]
    assert versions(second)["deduped"].reasons["joins_splits"] >= 2
    assert digests(desk.prepare(rebuild=True)) == digests(second)
