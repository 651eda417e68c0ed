"""benchmarks.truth counts the remaining values at their places, and the other characters that were replaced."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.truth import Tally, compare

TEXT = "Hi <b>Wei</b> Wei, N V dash one two. Wei&nbsp;X"
VALUES = [
    {"type": "PERSON", "value": "Wei", "written": "<b>Wei</b>", "turn": 0, "form": "tags"},
    {"type": "PERSON", "value": "Wei", "written": "Wei", "turn": 0, "form": "plain"},
    {"type": "ORDER_ID", "value": "NV-12", "written": "N V dash one two", "turn": 0, "form": "spelled"},
    {"type": "PERSON", "value": "Wei X", "written": "Wei&nbsp;X", "turn": 0, "form": "entity"},
]


def compared(folder: Path, scrubbed: str | None) -> Tally:
    row: dict[str, Any] = {"turns": [{"text": TEXT}], "no_training": False, "order_id": "NV-12"}
    row["customer"] = {"name": "Wei X", "email": "w@x.example", "phone": None}
    facts = {"conversation_id": "a", "broken": None, "values": VALUES}
    for name, content in (("log/1.jsonl.gz", row), ("truth.jsonl.gz", facts)):
        (folder / name).parent.mkdir(exist_ok=True)
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")
    return compare({} if scrubbed is None else {"a": [scrubbed]}, folder / "log", folder / "truth.jsonl.gz")


def test_remaining_values_are_counted_by_type_and_form(tmp_path: Path) -> None:
    result = compared(tmp_path, "Hi <PERSON_1> Wei, <PERSON_2> dash one two. <PERSON_1> X").result()
    assert (result["values"], result["left"], result["known_left"]) == (4, 3, 3)
    assert {form: cell["left"] for form, cell in result["forms"].items()} == {
        "tags": 0,
        "plain": 1,
        "spelled": 1,
        "entity": 1,
    }
    assert result["ordinary_lost"] == 0.0


def test_needless_replacements_are_counted(tmp_path: Path) -> None:
    result = compared(tmp_path, "<PERSON_3> <PERSON_1> <PERSON_1>, <ORDER_ID_1>. <PERSON_1>").result()
    assert (result["left"], result["ordinary_lost"]) == (0, 1.0)
    assert compared(tmp_path, None).result()["rejected"] == 1


def test_a_text_that_differs_from_its_source_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not its source"):
        compared(tmp_path, "Something else")
