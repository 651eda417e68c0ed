"""The suite of `augmented` passes with copies in the table; each of its own expectations fails when it is broken."""

from collections.abc import Callable
from typing import Any

import pytest

from deskloop.engine.expect import Validation, validate
from tests.expectations.tables import ROWS, Data, failed, good

COPIES = 12
CRITICAL = {
    "Generated copies are in training only",
    "Every generated copy names the conversation it was made from",
    "Every copy's parent is in the table",
    "A copy is of its parent's family",
    "A copy is in its parent's split",
    "A copy has the same words of the agent as its parent",
    "A copy has as many placeholders as its parent",
}
MOST = "At most half of the rows are generated"
TOGETHER = {"No family is in two splits", "No conversation is in two splits"}


def copy_of(row: dict[str, Any], number: int = 1) -> dict[str, Any]:
    turns = [dict(turn) for turn in row["turns"]]
    turns[0]["text"] += " Please."
    derived = {"row_id": f"{row['row_id']}/noise-{number}", "parent_id": row["row_id"], "origin": "noise"}
    return {**row, **derived, "turns": turns, "entities": [dict(one) for one in row["entities"]]}


def outcome(break_: Callable[[dict[str, Any], Data], None]) -> Validation:
    data = good("augmented")
    data.rows += [copy_of(row) for row in data.rows[:COPIES]]
    data.facts.update(rows_out=ROWS + COPIES, added=COPIES)
    break_(data.rows[ROWS], data)
    return validate("expectations.augmented", [data.table().slice(0, 50), data.table().slice(50)], data.facts)


def cells(**values: Any) -> Callable[[dict[str, Any], Data], None]:
    return lambda copy, _: copy.update(values)


def moved(copy: dict[str, Any], data: Data) -> None:
    for row in (copy, data.rows[0]):
        row["split"] = "test"


def answered(copy: dict[str, Any], _: Data) -> None:
    copy["turns"][1]["text"] += " Really."


def stripped(copy: dict[str, Any], _: Data) -> None:
    copy["turns"][0]["text"] = copy["turns"][0]["text"].replace("<PERSON_1>", "mine")
    copy["entities"] = []


def flooded(_: dict[str, Any], data: Data) -> None:
    data.rows += [copy_of(row, number) for row in data.rows[:60] for number in (2, 3)]
    data.facts.update(rows_out=len(data.rows), added=len(data.rows) - ROWS)


@pytest.mark.parametrize(
    ("break_", "expected"),
    [
        (cells(), set()),
        (moved, {"Generated copies are in training only"}),
        (cells(parent_id=None), {"Every generated copy names the conversation it was made from"}),
        (cells(parent_id="HD-999"), {"Every copy's parent is in the table"}),
        (cells(family="f-new"), {"A copy is of its parent's family"}),
        (
            cells(split="test"),
            {"A copy is in its parent's split", "Generated copies are in training only", *TOGETHER},
        ),
        (answered, {"A copy has the same words of the agent as its parent"}),
        (stripped, {"A copy has as many placeholders as its parent"}),
        (flooded, {MOST}),
    ],
)
def test_copies_beside_their_parents(break_: Callable[[dict[str, Any], Data], None], expected: set[str]) -> None:
    validation = outcome(break_)
    assert failed(validation) == expected
    assert {one.description for one in validation.critical} == expected - {MOST}
    assert [one.description for one in validation.results if one.error] == []
    assert {one.description for one in validation.results} >= CRITICAL | {MOST, *TOGETHER}


def test_a_table_without_copies_passes() -> None:
    data = good("augmented")
    assert failed(validate("expectations.augmented", [data.table()], data.facts)) == set()
