import json
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskloop.contract.placeholders import PLACEHOLDER, find
from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.normalize import ARTIFACT, VOCABULARY, NormalizeConfig, fit, normalize
from tasks.normalize.english import dictionary, is_english
from tasks.normalize.spelling import DOMINANT, TARGET, Speller, learn

SAID = (
    "about again because address charged could delivery order hello thanks thank that than think please refund "
    "received regards what where when would order orders parcel package password kettle kind customer received number "
    "guarantees restaurant tomorrow moving good soon right alright want available hold your call"
)
TARGETS = dict.fromkeys(SAID.split(), 500) | {"thanks": 2000, "that": 3000, "your": 2500, "what": 2400, "tomb": 10}
SPELLER = Speller(frozenset({"norvale", "oreder"}), TARGETS)


def artifact(words: Sequence[str] = ("norvale", "oreder"), boilerplate: Sequence[str] = ()) -> dict[str, bytes]:
    vocabulary = {"words": list(words), "targets": TARGETS}
    return {ARTIFACT: json.dumps(list(boilerplate)).encode(), VOCABULARY: json.dumps(vocabulary).encode()}


def talk(name: str, *texts: str, **more: Any) -> dict[str, Any]:
    roles = ("customer", "agent")
    turns = [{"role": roles[number % 2], "text": text} for number, text in enumerate(texts)]
    return {"conversation_id": name, "language": "en", "turns": turns, **more}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("wher is my ordre?", "wher is my order?"),  # "where" or "when"? the second is not far behind
        ("Tahnks to all of you, I recieved my paarcel!", "Thanks to all of you, I received my parcel!"),
        ('I said "plaese" (agian)…', 'I said "please" (again)…'),
        ("Oh.  Thsnks  a lot.\n\tHelllo to you", "Oh.  Thanks  a lot.\n\tHello to you"),
        ("is it avaliable tommorow, at the restaraunt?", "is it available tomorrow, at the restaurant?"),
        ("I want my refnd. Plaese.", "I want my refund. Please."),
        ("teh oeder", "teh order"),
    ],
)
def test_a_slip_is_corrected_in_place(before: str, after: str) -> None:
    assert SPELLER.correct(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "my <ORDRE_1> is <ORDER_ID_1>'s and <PERSON_1>,ordre",
        "ordre1 ordre_x ordre@x ordre.com http://ordre/ordre or-dre o'rdre ordre/agian #ordre *ordre*",
        "the ORDRE and OrDre and oRdre of Ordre and Mr. Recieved",
        "he saw teh yuo hte",
        "pls thx tmrw mins lol thnx alot",
        "I am on norvale with my oreder",
        "das ist ordre agian nicht plaese",
        "The colour and the favorite neighbor, traveler and birthdate, the donut",
        "it doesnt matter, didn t it? yall ofthe inmy",
        "user name: recieved, and my password is ordre",
        "it is sooooo ordreee",
        "he was movin' and it wasnt alrighty",
        "the pymnt of the rght",
        "it is gooo",
        "the pzrxel of it",  # two typos in six letters
        "the porder of it, and all the restuarants of it",  # another first letter; two typos and another form
        "to give the tham and the thom of it",  # "that", "than", "them"
    ],
)
def test_what_may_be_meant_stays(text: str) -> None:
    assert SPELLER.correct(text) == text


def test_the_shortest_words_need_a_frequent_target() -> None:
    rare, frequent = (Speller(frozenset(), {"your": 1000, "tomb": count}) for count in (19, 20))
    assert (rare.correct("the tokb"), frequent.correct("the tokb")) == ("the tokb", "the tomb")


def test_a_clear_candidate_is_far_ahead() -> None:
    near, far = (Speller(frozenset(), {"charged": count, "changed": 10}) for count in (199, 200))
    assert (near.correct("i was chabged"), far.correct("i was chabged")) == ("i was chabged", "i was charged")
    swapped = Speller(frozenset(), {"what": 20, "want": 10})
    assert swapped.correct("it is waht you say") == "it is what you say"


def test_the_dictionary_is_the_one_that_was_measured() -> None:
    assert len(dictionary().ranks) > 82_834
    assert [is_english(word) for word in ("refund", "refnd", "favorite", "softwares", "alot")] == [
        True, False, True, True, True,
    ]  # fmt: skip


def test_the_vocabulary_counts_customers_not_conversations() -> None:
    said = ["The norvale kettle is here", "our xylobox kettle, agian"]
    rows = [talk(f"a{number}", said[0], "A norvale kettle", customer_keys=[f"k{number}"]) for number in range(TARGET)]
    rows += [talk(f"b{number}", said[1], "Yes", customer_keys=["k1", "k0"]) for number in range(TARGET)]
    rows += [talk(f"c{number}", "Der blorx", "Das glorx", language="de") for number in range(TARGET)]
    frame = conversations([*rows, talk("d", "One glass", "Yes")])
    before = frame.copy(deep=True)
    learned = json.loads(learn(frame, 3))
    assert learned["words"] == ["norvale"]
    assert learned["targets"]["kettle"] == 2 * TARGET
    assert set(learned["targets"]) == {"the", "kettle", "here", "our", "yes"}
    assert learn(frame[::-1], 3) == learn(frame, 3)
    assert json.loads(learn(frame, TARGET + 1))["words"] == []
    assert "xylobox" in json.loads(learn(frame, 1))["words"]
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(("typos", "known"), [(TARGET, False), (TARGET + 1, True)])
def test_a_common_misspelling_is_not_vocabulary(typos: int, known: bool) -> None:
    rows = [talk(f"a{number}", "I receive it", "ok") for number in range(DOMINANT * TARGET)]
    rows += [talk(f"b{number}", "I recieve it", "ok") for number in range(typos)]
    assert json.loads(learn(conversations(rows), 3))["words"] == ["recieve"] * known


def test_normalize_corrects_customers_in_english_before_it_cuts() -> None:
    rows = [
        talk("a", "Where is my ordre <ORDER_ID_1>?\nBest regrads,\nJane", "Your ordre is here."),
        talk("c", "Hello\rRecieved it today", "Good."),
        {**talk("b", "Where is my ordre?", "Your ordre is here."), "language": "de"},
    ]
    frame = conversations(rows)
    before = frame.copy(deep=True)
    result = normalize(frame, NormalizeConfig(), Context("normalize", artifact=artifact()))
    said = [[turn["text"] for turn in turns] for turns in result["turns"]]
    assert said == [
        ["Where is my order <ORDER_ID_1>?", "Your ordre is here."],
        ["Hello\nReceived it today", "Good."],
        ["Where is my ordre?", "Your ordre is here."],
    ]
    assert result["entities"].tolist() == [[{"turn": 0, "start": 18, "end": 30, "type": "ORDER_ID"}], [], []]
    assert result["reject"].isna().all()
    pd.testing.assert_frame_equal(frame, before)
    off = normalize(frame, NormalizeConfig(spelling=False), Context("normalize", artifact={ARTIFACT: b"[]"}))
    assert off["turns"][0][0]["text"] == "Where is my ordre <ORDER_ID_1>?\nBest regrads,\nJane"


def test_fit_detects_boilerplate_after_correcting_its_spelling() -> None:
    line = "You recieve this message from the list of our customers"
    rows = [talk(f"a{letter}", f"I receive {letter}\n{line}", "ok") for letter in "abcdefghij"]
    config = NormalizeConfig(boilerplate_min=10, boilerplate_share=0.001)
    frame = conversations(rows + [talk(f"b{number}", "I receive it", "ok") for number in range(DOMINANT * TARGET)])
    learned = fit(frame, config, Context("normalize"))
    assert set(learned) == {ARTIFACT, VOCABULARY}
    result = normalize(frame[:1], config, Context("normalize", artifact=learned))
    assert result["turns"][0][0]["text"] == "I receive a"
    assert set(fit(frame[:5], NormalizeConfig(spelling=False), Context("normalize"))) == {ARTIFACT}


WORDS = """ordre Ordre agian, recieved plaese. thsnks! Tahnks teh the my norvale is where was password code: recieve
    charegd adress delvery avaliable tommorow <PERSON_1> <ORDRE_2> <EMAIL_ADDRESS_3>, ordre<PERSON_1> (ordre) pls 12"""
SLIPS = st.sampled_from([*WORDS.split(), "a\u00a0b"])
BREAKS = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\t", ". ", "\r\n"])
TEXTS = st.lists(st.tuples(SLIPS | st.text(max_size=6), BREAKS).map("".join), max_size=14).map("".join)


def _placeholders(text: str) -> list[str]:
    return PLACEHOLDER.findall(text)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("my pasword is ordre")
def test_correcting_twice_changes_nothing(text: str) -> None:
    once = SPELLER.correct(text)
    assert SPELLER.correct(once) == once


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_only_words_change(text: str) -> None:
    once = SPELLER.correct(text)
    assert _placeholders(once) == _placeholders(text)
    assert re.findall(r"[^A-Za-z]+", once) == re.findall(r"[^A-Za-z]+", text)
    fixed = [token for token in re.split(r"\s", text) if re.search(r"[0-9_<>@]", token)]
    assert fixed == [token for token in re.split(r"\s", once) if re.search(r"[0-9_<>@]", token)]


TURNS = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["customer", "agent"]), "text": TEXTS}), max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.lists(TURNS, min_size=1, max_size=3))
def test_normalizing_with_a_vocabulary_twice_changes_nothing_and_rows_are_independent(
    talks: list[list[dict[str, Any]]],
) -> None:
    rows = [{"conversation_id": f"c{number}", "language": "en", "turns": turns} for number, turns in enumerate(talks)]
    context = Context("normalize", artifact=artifact(boilerplate=["where is the order and the password code"]))
    frame = conversations(rows)
    once = normalize(frame, NormalizeConfig(), context)
    pd.testing.assert_frame_equal(normalize(once.drop(columns="reject"), NormalizeConfig(), context), once)
    parts = [normalize(frame.iloc[[number]], NormalizeConfig(), context) for number in range(len(frame))]
    pd.testing.assert_frame_equal(pd.concat(parts), once)
    assert once["entities"].tolist() == [find(turns) for turns in once["turns"]]
