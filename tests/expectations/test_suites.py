"""Every suite passes on a good table, and every expectation of every suite fails on the one that breaks it."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from deskloop.contract.schema import RAW_CONVERSATION
from tests.expectations.tables import MODULES, ROWS, Data, broken, failed, good


def cell(name: str, value: Any, row: int = 0) -> Callable[[Data], None]:
    return lambda data: data.rows[row].update({name: value})


def cells(name: str, value: Any, share: float) -> Callable[[Data], None]:
    def break_(data: Data) -> None:
        for row in data.rows[: int(share * ROWS)]:
            row[name] = value

    return break_


def facts(**values: float) -> Callable[[Data], None]:
    return lambda data: data.facts.update(values)


def turn(role: str, text: str, supervise: bool = False) -> Callable[[Data], None]:
    return lambda data: data.rows[0]["turns"].append({"role": role, "text": text, "at": None, "supervise": supervise})


def each_turn(change: Callable[[dict[str, Any]], dict[str, Any] | None], share: float = 0.0) -> Callable[[Data], None]:
    def break_(data: Data) -> None:
        for row in data.rows[: max(1, int(share * ROWS))]:
            row["turns"] = [changed for changed in map(change, row["turns"]) if changed]

    return break_


def empty(data: Data) -> None:
    data.rows.clear()
    data.facts.update(rows_in=0, rows_out=0)


def unpersonal(data: Data) -> None:
    for row in data.rows:
        row["entities"] = []
        row["turns"][0]["text"] = row["turns"][0]["text"].replace("<PERSON_1>", "mine")


def stretched(data: Data) -> None:
    data.rows[0]["entities"][0]["end"] += 1


def leaked(data: Data) -> None:
    data.schema = RAW_CONVERSATION


def same(name: str, row: int, other: int) -> Callable[[Data], None]:
    return lambda data: data.rows[row].update({name: data.rows[other][name]})


def moved(source: str, target: str, keep: int) -> Callable[[Data], None]:
    def break_(data: Data) -> None:
        for row in [row for row in data.rows if row["split"] == source][keep:]:
            row["split"] = target

    return break_


def labels(ids: list[int], labels: list[int], supervised: int, share: float = 0.0) -> Callable[[Data], None]:
    def break_(data: Data) -> None:
        for row in data.rows[: max(1, int(share * ROWS))]:
            row.update(input_ids=ids, labels=labels, supervised_tokens=supervised)

    return break_


def silenced(turn: dict[str, Any]) -> dict[str, Any]:
    return {**turn, "supervise": False}


def wordless(turn: dict[str, Any]) -> dict[str, Any]:
    return {**turn, "text": ""}


def no_customer(turn: dict[str, Any]) -> dict[str, Any] | None:
    return None if turn["role"] == "customer" else turn


def unasked(data: Data) -> None:
    each_turn(no_customer)(data)
    data.rows[0]["entities"] = []


def barely_teaching(data: Data) -> None:
    labels(list(range(40)), [-100] * 39 + [39], 1, share=1.0)(data)
    data.facts["max_length"] = 64


SAME_WORDS = "No two conversations are word for word the same"
NO_TEXT = "Every conversation has some text"
LISTED = "Every placeholder in a text is listed as an entity, and the other way round"
LENGTH = "Every listed entity is as long as its placeholder"
NO_QUESTION = "Every conversation has words of a customer"
NO_ANSWER = "Every conversation has an agent's reply to train on"
TEACHES = "Every window has a token that the loss covers"
SOURCED = "Every intent has a source and a confidence; without an intent, both are empty"
OLD = datetime(1970, 1, 20, tzinfo=UTC)

BREAKS: dict[str, Callable[[Data], None]] = {
    "At least one row is left": empty,
    "Every row has an id": cell("row_id", None),
    "No two rows share an id": cell("row_id", "HD-1"),
    "No id looks like an e-mail address, a phone number or an account number": cell("row_id", "5550100200"),
    "Every input row is in the output or rejected with a reason": facts(rows_in=ROWS + 1),
    "The step kept at least half of its rows": facts(rows_in=3 * ROWS, rejected=2 * ROWS),
    "Every conversation has a turn": cell("turns", []),
    NO_TEXT: each_turn(wordless),
    "Every turn is by a customer, an agent or the system": turn("bot", "Hello."),
    "Only turns of agents are marked for the loss": turn("system", "Note.", supervise=True),
    "Customers are identified by keyed hashes only": cell("customer_keys", ["c-17"]),
    "No two rows are the same conversation": cell("conversation_id", "HD-1"),
    "Conversations from sources are logged, not generated": cell("origin", "synthetic"),
    "Dates lie between 1990 and 2100; others were read in the wrong unit": cell("started_at", OLD),
    "At least half of the conversations have a date": cells("started_at", None, 0.6),
    "At least half of the conversations have an intent": cells("intent", None, 0.6),
    "Nine of ten conversations identify their customer": cells("customer_keys", [], 0.2),
    "In nine of ten conversations the customer speaks": each_turn(no_customer, 0.2),
    "In nine of ten conversations an agent answers": each_turn(silenced, 0.2),
    LISTED: cell("entities", []),
    LENGTH: stretched,
    "Of the values planted into a sample, at least the share `min_recall` was found": facts(found=79),
    "Of the planted values of each type, at least its share of `min_recall_by_type` was found": facts(types_below=1),
    "The personal values that the source itself knows stayed in the raw zone": leaked,
    "Every conversation has a language": cell("language", None),
    "A language is an ISO 639 code, or und where it is unknown": cell("language", "English"),
    "No text holds anything like an e-mail address": turn("system", "jane at jane@example.com"),
    "No text holds a number of nine digits or more": cell("metadata", [("phone", "+1 (555) 010-0200")]),
    "No text holds HTML tags or entities that may hide a value": turn("system", "4111 1111<b> 1111"),
    "No text holds invisible characters that may split a value": turn("system", "ja\u200bne"),
    "At least one personal value was found; a support log without any is unlikely": unpersonal,
    "The language of at least 80% of the conversations is known": cells("language", "und", 0.3),
    NO_QUESTION: unasked,
    NO_ANSWER: each_turn(silenced),
    "No turn is empty": turn("system", ""),
    "No turn has stray white space": turn("system", "Two  blanks."),
    "Every row belongs to a family": cell("family", None),
    "Every row has a split": cell("split", None),
    "A split is train, validation or test": cell("split", "dev"),
    "No family is in two splits": cell("family", f"f-{ROWS - 1}"),
    "No conversation is in two splits": cell("conversation_id", f"HD-{ROWS - 1}"),
    "The largest family has at most 30% of the rows, or 20": cells("family", "f-0", 0.4),
    "No two splits hold the same words": same("turns", 0, ROWS - 1),
    SAME_WORDS: same("turns", 0, 1),
    "Validation and test hold between 2% and 50% of the conversations": cells("split", "train", 1.0),
    "Every intent in validation or test occurs in training": cell("intent", "rare", ROWS - 1),
    "Training, validation and test each have a conversation": moved("validation", "train", 0),
    "Validation and test hold logged conversations only": cell("origin", "noise", ROWS - 1),
    "No conversation counts twice in validation or test": cell("repeats", 2, ROWS - 1),
    "The test split has 50 conversations or more; with fewer, its figures are mostly noise": moved("test", "train", 49),
    "Every window has tokens": labels([], [], 0),
    "No window is longer than the model is trained on": labels([5, *range(16)], [-100, *range(16)], 16),
    "Every token has a label": labels([5, 6, 7, 8], [-100, 6, 7, 8, -100], 3),
    TEACHES: labels([5, 6, 7, 8], [-100] * 4, 0),
    "The count of supervised tokens equals that of the labels": cell("supervised_tokens", 3),
    "A supervised label is the token itself": labels([5, 6, 7, 8], [-100, -100, 8, 8], 2),
    "No window starts with a supervised token, which the loss cannot cover": labels([5, 6], [5, 6], 2),
    "Every window records how many bytes it is evaluated on": cell("supervised_bytes", None),
    "Every window is used at least once": cell("repeats", 0),
    "Every weight is positive": cell("weight", 0.0),
    "The loss covers a twentieth of the tokens or more": barely_teaching,
    SOURCED: cell("intent", None),
    "An intent comes from the log, a rule, a model or a person": cell("intent_source", "guess"),
    "A confidence lies between 0 and 1": cell("intent_confidence", 1.5),
    "At most a fifth of the conversations have an intent that is less than 80% sure": cells(
        "intent_confidence", 0.6, 0.3
    ),
    "No conversation in validation or test has a weight other than 1": cell("weight", 2.0, ROWS - 1),
    "Every conversation is used at least once": cell("repeats", 0),
    "In training, no intent counts more than 10 times as much as another": cells("intent", "intent-1", 0.49),
}

# What cannot be broken alone.
ALSO = {
    "Every conversation has a turn": {NO_TEXT, NO_QUESTION, NO_ANSWER, LISTED, LENGTH},
    NO_TEXT: {"No turn is empty", LISTED, LENGTH},
    LISTED: {LENGTH},
    "At least half of the conversations have an intent": {SOURCED},
    "In nine of ten conversations the customer speaks": {LISTED, LENGTH},
    "No two splits hold the same words": {SAME_WORDS},
    "Every window has tokens": {TEACHES},
}


@pytest.mark.parametrize("module", MODULES)
def test_a_good_table_passes(module: str) -> None:
    validation = broken(module, lambda data: None)
    assert failed(validation) == set()
    assert len(validation.results) >= 15
    assert all(result.description in BREAKS for result in validation.results), "every expectation has its broken table"


@pytest.mark.parametrize("module", MODULES)
def test_each_expectation_fails_alone_on_the_table_that_breaks_it(module: str) -> None:
    expected = set(described(module))
    found = {name: failed(broken(module, BREAKS[name])) for name in sorted(expected)}
    alone = {name: ({name} | ALSO.get(name, set())) & expected for name in expected}
    emptied = "At least one row is left"
    assert emptied in found.pop(emptied)
    del alone[emptied]
    assert found == alone


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_evaluated_by_accident(module: str) -> None:
    """An expectation that raises would count as failed as well; none does, not even on an empty table."""
    for break_ in (BREAKS["At least one row is left"], BREAKS["Every row has an id"]):
        assert [result.description for result in broken(module, break_).results if result.error] == []


@functools.cache
def described(module: str) -> tuple[str, ...]:
    return tuple(result.description for result in broken(module, lambda data: None).results)


def test_descriptions_name_one_expectation_each() -> None:
    for module in MODULES:
        assert len(described(module)) == len(set(described(module)))


def test_every_break_is_used() -> None:
    used = {description for module in MODULES for description in described(module)}
    assert used == set(BREAKS)
    assert len(good("split").rows) == ROWS


def pseudonymous(data: Data) -> None:
    """A name and a card number in place of each placeholder, listed as entities."""
    for row in data.rows:
        for entity in row["entities"]:
            text = row["turns"][entity["turn"]]["text"]
            new = text[: entity["start"]] + "Ada Finn, 9772942977526848" + text[entity["end"] :]
            row["turns"][entity["turn"]]["text"] = new
            entity["end"] = entity["start"] + len("Ada Finn, 9772942977526848")


def drifted(data: Data) -> None:
    pseudonymous(data)
    data.rows[0]["entities"][0]["start"] += 1
    data.rows[0]["entities"][0]["end"] += 1


def cut(data: Data) -> None:
    pseudonymous(data)
    turn = data.rows[0]["turns"][data.rows[0]["entities"][0]["turn"]]
    turn["text"] = turn["text"][: data.rows[0]["entities"][0]["end"] - 1]


@pytest.mark.parametrize("module", ["scrubbed", "normalized", "annotated", "selected", "split"])
def test_pseudonyms_are_entities_as_placeholders_are(module: str) -> None:
    assert failed(broken(module, pseudonymous)) == set()
    listed = "Every placeholder in a text is listed as an entity, and the other way round"
    assert listed in failed(broken(module, drifted))
    assert listed in failed(broken(module, cut))
