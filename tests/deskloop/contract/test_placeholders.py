import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deskloop.contract.placeholders import PLACEHOLDER, entity_type, find, generalise, hide, renumber, show


def test_find_gives_offsets_into_each_turn() -> None:
    turns = [
        {"role": "customer", "text": "I am <PERSON_1>, card <CREDIT_CARD_12>."},
        {"role": "agent", "text": None},
        {"role": "agent", "text": "<PERSON_1>"},
    ]
    before = copy.deepcopy(turns)
    assert find(turns) == [
        {"turn": 0, "start": 5, "end": 15, "type": "PERSON"},
        {"turn": 0, "start": 22, "end": 38, "type": "CREDIT_CARD"},
        {"turn": 2, "start": 0, "end": 10, "type": "PERSON"},
    ]
    assert turns == before


def test_only_whole_placeholders_count() -> None:
    assert not PLACEHOLDER.search("<person_1> <PERSON_> <PERSON_1 > <_PERSON_1> < PERSON_1> <3 <PERSON>")


def test_generalise_takes_the_numbers_off() -> None:
    assert generalise("Dear <PERSON_12>, order <ORDER_ID_3>") == "Dear <PERSON>, order <ORDER_ID>"
    assert entity_type("<US_SSN_7>") == "US_SSN"


def said(*texts: str | None) -> list[dict[str, Any]]:
    return [{"role": "customer", "text": text} for text in texts]


def at(turns: list[dict[str, Any]], *values: tuple[int, str, str]) -> list[dict[str, Any]]:
    starts = [(turn, turns[turn]["text"].index(value), value, entity) for turn, value, entity in values]
    return [{"turn": turn, "start": start, "end": start + len(value), "type": entity}
            for turn, start, value, entity in starts]  # fmt: skip


def test_pseudonyms_are_hidden_behind_placeholders_and_shown_again() -> None:
    turns = said("I am Ada Finn, card ****1111", None, "Hi Ada, is <PIN_3> right, Ada Finn?")
    entities = at(turns, (0, "Ada Finn", "PERSON"), (0, "****1111", "PIN"), (2, "Ada", "PERSON"), (2, "<PIN_3>", "PIN"),
                  (2, "Ada Finn", "PERSON"))  # fmt: skip
    before = copy.deepcopy((turns, entities))
    hidden, values = hide(turns, entities)
    assert hidden == said("I am <PERSON_1>, card <PIN_4>", None, "Hi <PERSON_2>, is <PIN_3> right, <PERSON_1>?")
    assert values == {"<PERSON_1>": "Ada Finn", "<PERSON_2>": "Ada", "<PIN_4>": "****1111"}
    assert show(hidden, values) == (turns, entities)
    assert (turns, entities) == before
    assert show(said("<PERSON_1>! <PERSON_1>?"), values) == (
        said("Ada Finn! Ada Finn?"),
        [{"turn": 0, "start": 0, "end": 8, "type": "PERSON"}, {"turn": 0, "start": 10, "end": 18, "type": "PERSON"}],
    )


def test_what_is_not_in_the_text_is_passed_over() -> None:
    turns = said("Ada")
    stale = [{"turn": 0, "start": 1, "end": 9, "type": "PERSON"}, {"turn": 4, "start": 0, "end": 1, "type": "PERSON"}]
    assert hide(turns, stale) == (turns, {})
    assert hide(turns, None) == (turns, {})


WORDS = st.lists(st.sampled_from(["Ada", "ada finn", "****", "<PERSON_2>", "x", "<", "_1>"]), max_size=8)


@given(st.lists(WORDS, max_size=3), st.data())
def test_hiding_and_showing_changes_nothing(texts: list[list[str]], data: st.DataObject) -> None:
    turns, entities = said(*map(" ".join, texts)), []
    for number, words in enumerate(texts):
        start = 0
        for word in words:
            if PLACEHOLDER.fullmatch(word) or data.draw(st.booleans()):
                entities.append({"turn": number, "start": start, "end": start + len(word), "type": "PERSON"})
            start += len(word) + 1
    hidden, values = hide(turns, entities)
    assert find(hidden) == show(hidden, {})[1]
    assert len(find(hidden)) == len(entities)
    assert show(hidden, values) == (turns, entities)


def test_hashes_get_small_numbers() -> None:
    turns = said(
        "<PERSON_123456789012> <PERSON_2> <PIN_123456789012>", None, "<PERSON_555555555555>, <PERSON_123456789012>"
    )
    before = copy.deepcopy(turns)
    assert [turn["text"] for turn in renumber(turns)] == ["<PERSON_3> <PERSON_2> <PIN_1>", "", "<PERSON_4>, <PERSON_3>"]
    assert turns == before
    assert renumber(before[:0]) == []
    assert renumber(said("<PERSON_2>", None)) == said("<PERSON_2>", None)
