"""Pseudonyms, hashes and masks through every stage that prepares data."""

import re
from pathlib import Path

from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.store.store import Store
from tests.flows.desk import Desk, actions, digests, example_lines, table, versions

MODES = {"default": "hash", "PERSON": "pseudonym", "EMAIL_ADDRESS": "pseudonym", "PHONE_NUMBER": "mask"}


def test_what_stands_for_values_comes_through_every_stage(tmp_path: Path) -> None:
    desk = Desk(tmp_path, example_lines(80))
    desk.steps[1] = {"scrub": {"replace": MODES}}
    done = desk.prepare()
    for dataset in ("scrubbed", "normalized", "deduped", "train"):
        seen: dict[str, set[str]] = {}
        for row in table(done, dataset).to_pylist():
            texts = [turn["text"] for turn in row["turns"]]
            for one in row["entities"]:
                seen.setdefault(one["type"], set()).add(texts[one["turn"]][one["start"] : one["end"]])
        assert not [name for name in seen["PERSON"] if re.search(r"[<>@*0-9]", name)], dataset
        assert len(seen["PERSON"]) > 10
        assert seen["PHONE_NUMBER"] == {"****"}
        assert all(
            re.fullmatch(r"[a-z]+\.[a-z]+[0-9]{4}@example\.(com|org|net)|\w+ dot \w+ at example dot \w+", one.lower())
            for one in seen["EMAIL_ADDRESS"]
        )
    encoded = versions(done)["train_encoded"]
    assert encoded.rows > 40
    assert encoded.reasons.get("unknown_placeholder", 0) <= 1  # of a type that no training row of so few has
    assert "residue" not in encoded.reasons

    before = {row["row_id"]: row["turns"] for row in table(done, "scrubbed").select(["row_id", "turns"]).to_pylist()}
    Store(tmp_path / "store").rotate_key()
    rotated = desk.prepare()
    assert actions(rotated)["scrub"] == "compute"
    assert digests(rotated)["scrubbed"] != digests(done)["scrubbed"]
    after = {row["row_id"]: row["turns"] for row in table(rotated, "scrubbed").select(["row_id", "turns"]).to_pylist()}
    changed = [row_id for row_id in before.keys() & after.keys() if before[row_id] != after[row_id]]
    assert len(changed) > 40
    hidden = re.compile(r"<[A-Z_]+_[0-9]{12}>")
    assert not {name for turns in before.values() for turn in turns for name in hidden.findall(turn["text"])} & {
        name for turns in after.values() for turn in turns for name in PLACEHOLDER.findall(turn["text"])
    }
