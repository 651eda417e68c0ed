import copy

from deskloop.placeholders import PLACEHOLDER, entity_type, find, generalise


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
