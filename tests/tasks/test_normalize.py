import json
import re
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.placeholders import PLACEHOLDER, find
from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.normalize import ARTIFACT, STAGE, VOCABULARY, NormalizeConfig, clean, fit, normalize, tidy

FOOTER = "This message is confidential and meant for <PERSON> alone."
HEADER = "[External] Do not open links from people you do not know."


def context(*boilerplate: str) -> Context:
    artifact = {ARTIFACT: json.dumps(sorted(boilerplate)).encode(), VOCABULARY: b'{"words": [], "targets": {}}'}
    return Context(step="normalize", artifact=artifact)


def talk(name: str, *texts: str | None, **more: Any) -> dict[str, Any]:
    """A conversation of alternating turns, the customer first."""
    roles = ("customer", "agent")
    turns = [{"role": roles[number % 2], "text": text} for number, text in enumerate(texts)]
    return {"conversation_id": name, "turns": turns, **more}


def texts(frame: pd.DataFrame) -> list[list[tuple[str, str]]]:
    return [[(turn["role"], turn["text"]) for turn in turns] for turns in frame["turns"]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ""),
        ("  a \t b\u00a0\u3000c ", "a b c"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  \n   b", "a\nb"),
        ("a\n \n\t\n\n\nb\n\n", "a\n\nb"),
        ("\n \n", ""),
    ],
)
def test_tidy(before: str | None, after: str) -> None:
    assert tidy(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Where is it?\n-- \nJane\nSomewhere 5", "Where is it?"),
        ("Where is it?\n\nSent from my iPhone", "Where is it?"),
        ("Where is it?\nBest regards,\n<PERSON_1>", "Where is it?"),
        ("Where is it?\n\nBest wishes,\n\n<PERSON_1>\nThe Example Shop", "Where is it?"),
        ("Where is it?\nKnid regards,\n<PERSON_1>\nHome & Garden", "Where is it?"),
        ("Where is it?\nAll the best,\nJane", "Where is it?"),
        ("Where is it?\nKind Regards <PERSON_1>", "Where is it?"),
        ("Where is it?\n\nThanks,\nJane Doe\n\nGet Outlook for Android", "Where is it?"),
        ("Yes.\n\nOn Mon, 3 May 2021, <PERSON_1> wrote:\n> Is it red?\n> Or blue?\n", "Yes."),
        ("Yes.\nOn Mon, 3 May 2021 at 10:00, <PERSON_1>\n<EMAIL_ADDRESS_1> wrote:\n> Is it red?", "Yes."),
        ("Yes.\n-----Original Message-----\nFrom: <PERSON_1>\nIs it red?\nAnd more.", "Yes."),
        ("Yes.\nSincerely,\n<PERSON_1>\nSent from my iPad\n> quoted", "Yes."),
        # kept: the whole message, or not at the end, or part of what is said
        ("Best regards,\n<PERSON_1>", "Best regards,\n<PERSON_1>"),
        ("> quoted\n> alone", "> quoted"),
        ("> Is it red?\nYes.", "> Is it red?\nYes."),
        ("Thanks", "Thanks"),
        ("It works.\nThanks!", "It works.\nThanks!"),
        ("Give my best regards,\nthey helped me.", "Give my best regards,\nthey helped me."),
        ("a\n--\n" + "\n".join("bcdefghijk"), "a\n--\n" + "\n".join("bcdefghijk")),
        ("Please call\n<PHONE_NUMBER_1>", "Please call\n<PHONE_NUMBER_1>"),
        ("It is blue.\nBest, I think", "It is blue.\nBest, I think"),
        ("Thanks,\n<ORDER_ID_1>", "Thanks,\n<ORDER_ID_1>"),
    ],
)
def test_signatures_and_quotes(before: str, after: str) -> None:
    assert clean(before, frozenset()) == after


def test_signatures_are_kept_when_asked() -> None:
    assert clean("Yes.\n-- \nJane", frozenset(), signatures=False) == "Yes.\n--\nJane"


def test_boilerplate_goes_from_both_ends_of_a_message_with_other_content() -> None:
    known = {HEADER, FOOTER}
    footer = FOOTER.replace("<PERSON>", "<PERSON_4>")
    assert clean(f"{HEADER}\n\nHello\n{HEADER}\nBye\n{footer}", known) == f"Hello\n{HEADER}\nBye"
    assert clean(f"Hello\nBest regards,\n<PERSON_1>\n{footer}", known) == "Hello"
    assert clean(HEADER, known) == HEADER
    assert clean(f"{HEADER}\n{footer}", known) == f"{HEADER}\n{footer}"
    assert clean(f"{HEADER}\nBest regards,\n<PERSON_1>", known) == HEADER


def test_fit_detects_recurring_outer_lines_block_by_block() -> None:
    questions = ("Is it red?", "How large is it?", "When does it come?", "Where is my order?", "Who are you?")
    rows = [
        talk(
            f"c{number}",
            f"{HEADER}\n{question}\n"
            f"{FOOTER.replace('PERSON', f'PERSON_{number}')}\nA second line of the footer, also long",
            f"Hello\nThis is what the agent always says in the middle\nAnswer to {question}\nThank you",
            "A single line that is said very often indeed",
            f"Your ticket has been handed to our colleagues.\nIts number is {number}{number}, <PERSON_{number}>",
        )
        for number, question in enumerate(questions, 1)
    ]
    frame = conversations(rows)
    before = frame.copy(deep=True)

    def detected(rows: pd.DataFrame, **bounds: float) -> list[str]:
        return json.loads(fit(rows, NormalizeConfig.model_validate(bounds), Context("normalize"))[ARTIFACT])

    # neither the middle of a message nor a whole one, and no canned reply, of which only a number changes
    expected = sorted([HEADER, FOOTER, "A second line of the footer, also long"])
    assert detected(frame, boilerplate_min=5) == detected(frame[::-1], boilerplate_min=5) == expected
    assert detected(frame, boilerplate_min=6) == detected(frame) == []
    others = conversations(talk(f"d{number}", "Hi", "Hello") for number in range(6))
    assert detected(pd.concat([frame, others]), boilerplate_min=2, boilerplate_share=0.5) == []
    once = conversations([talk("c", *(turn["text"] for turns in frame["turns"] for turn in turns))])
    assert detected(once, boilerplate_min=2) == []
    pd.testing.assert_frame_equal(frame, before)


def test_normalize_returns_the_whole_frame_and_leaves_its_input() -> None:
    frame = conversations(
        [
            {
                "conversation_id": "a",
                "intent": "refund",
                "turns": [
                    {"role": "customer", "text": "Hi  <PERSON_1> "},
                    {"role": "customer", "text": "where is  <ORDER_ID_1>?"},
                    {"role": "system", "text": " "},
                    {"role": "agent", "text": "Here.\n\n-- \nShop"},
                    {"role": "agent", "text": "internal", "supervise": False},
                ],
                "entities": [{"turn": 9, "start": 0, "end": 1, "type": "PERSON"}],
            }
        ]
    )
    before = frame.copy(deep=True)
    expected = conversations(
        [
            {
                "conversation_id": "a",
                "intent": "refund",
                "turns": [
                    {"role": "customer", "text": "Hi <PERSON_1>\nwhere is <ORDER_ID_1>?"},
                    {"role": "agent", "text": "Here."},
                    {"role": "agent", "text": "internal", "supervise": False},
                ],
                "entities": [
                    {"turn": 0, "start": 3, "end": 13, "type": "PERSON"},
                    {"turn": 0, "start": 23, "end": 35, "type": "ORDER_ID"},
                ],
            }
        ]
    ).assign(reject=pd.Series([None], dtype="str"))
    pd.testing.assert_frame_equal(normalize(frame, NormalizeConfig(), context()), expected)
    pd.testing.assert_frame_equal(frame, before)


def test_turns_stay_apart_on_request_and_where_joining_would_cut_text() -> None:
    turns = [
        {"role": "customer", "text": "Hi"},
        {"role": "customer", "text": "-- \nmy answer"},
        {"role": "agent", "text": "Yes"},
        {"role": "agent", "text": "No"},
    ]
    frame = conversations([{"conversation_id": "a", "turns": turns}])
    joined = [("customer", "Hi"), ("customer", "--\nmy answer"), ("agent", "Yes\nNo")]
    assert texts(normalize(frame, NormalizeConfig(), context())) == [joined]
    apart = texts(normalize(frame, NormalizeConfig(merge_turns=False), context()))
    assert apart == [[*joined[:2], ("agent", "Yes"), ("agent", "No")]]


@pytest.mark.parametrize(
    ("turns", "bounds", "reason"),
    [
        (("Hi", "Hello"), {}, None),
        (("Hi", " "), {}, "too_few_turns"),
        (("Hi",), {"min_turns": 1}, "no_agent_reply"),
        (("Hi", "Hello", "Bye"), {"max_turns": 2}, "too_many_turns"),
        (("Hi", "Hello"), {"min_chars": 8}, "too_short"),
        (("Hi", "Hello"), {"max_chars": 6}, "too_long"),
        (("Hi", "Hello"), {"min_chars": 7, "max_chars": 7, "max_turns": 2}, None),
        (("", "Hello"), {"min_turns": 1}, "no_customer_text"),
    ],
)
def test_rejects(turns: tuple[str, ...], bounds: dict[str, int], reason: str | None) -> None:
    result = normalize(conversations([talk("a", *turns)]), NormalizeConfig(**bounds), context())
    pd.testing.assert_series_equal(result["reject"], pd.Series([reason], dtype="str", name="reject"))


def test_an_unsupervised_reply_cannot_train() -> None:
    turns = [{"role": "customer", "text": "Hi"}, {"role": "agent", "text": "note", "supervise": False}]
    result = normalize(conversations([{"conversation_id": "a", "turns": turns}]), NormalizeConfig(), context())
    assert result["reject"].tolist() == ["no_agent_reply"]


@pytest.mark.parametrize("bad", [{"max_turns": 1}, {"min_chars": 9, "max_chars": 8}, {"boilerplate_share": 0}])
def test_impossible_bounds_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        NormalizeConfig.model_validate(bad)


LINES = st.sampled_from(
    [
        "Where is my order?",
        "<PERSON_1>",
        "order  <ORDER_ID_23> of\u00a0<PERSON_2>",
        "-- ",
        "--",
        "> quoted <EMAIL_ADDRESS_1>",
        "On Monday <PERSON_3> wrote:",
        "On Monday, 3 May, some one",
        "at some place wrote:",
        "Sent from my iPhone",
        "Best regards,",
        "Thanks,",
        "Jane",
        "",
        "  ",
        HEADER,
        FOOTER.replace("PERSON", "PERSON_9"),
        "-----Original Message-----",
    ]
)
TEXTS = st.lists(LINES, max_size=9).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["customer", "agent", "agent", "system"]), "text": TEXTS | st.text()}
    ),
    max_size=7,
)
TALKS = st.lists(TURNS, min_size=1, max_size=4).map(
    lambda talks: conversations({"conversation_id": f"c{number}", "turns": turns} for number, turns in enumerate(talks))
)


@settings(deadline=None, max_examples=150)
@given(TALKS)
def test_normalizing_twice_changes_nothing(frame: pd.DataFrame) -> None:
    once = normalize(frame, NormalizeConfig(), context(HEADER, FOOTER))
    twice = normalize(once.drop(columns="reject"), NormalizeConfig(), context(HEADER, FOOTER))
    pd.testing.assert_frame_equal(once, twice)


def _fragments(text: str) -> set[str]:
    """Pieces of placeholders that are in no whole one."""
    return set(re.findall(r"<[A-Z]+_|_[0-9]+>", PLACEHOLDER.sub("", text)))


@settings(deadline=None, max_examples=100)
@given(TALKS)
def test_placeholders_survive_whole(frame: pd.DataFrame) -> None:
    result = normalize(frame, NormalizeConfig(), context(HEADER, FOOTER))
    for before, after, entities in zip(frame["turns"], result["turns"], result["entities"], strict=True):
        source, text = ("\n".join(turn["text"] for turn in turns) for turns in (before, after))
        assert set(PLACEHOLDER.findall(text)) <= set(PLACEHOLDER.findall(source))
        assert _fragments(text) <= _fragments(source)
        assert entities == find(after)
        for entity in entities:
            assert PLACEHOLDER.fullmatch(after[entity["turn"]]["text"][entity["start"] : entity["end"]])


@settings(deadline=None, max_examples=30)
@given(TALKS)
def test_rows_are_independent(frame: pd.DataFrame) -> None:
    whole = normalize(frame, NormalizeConfig(), context(HEADER))
    parts = [
        normalize(frame.iloc[[number]], NormalizeConfig(), context(HEADER)) for number in reversed(range(len(frame)))
    ]
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole)


def test_the_stage_is_fitted_before_it_is_applied() -> None:
    assert (STAGE.fit, STAGE.dataset) == (fit, "normalized")


def test_pseudonyms_come_through_whole() -> None:  # P8
    """As a placeholder would: not corrected, not cut, found again where they are now."""
    turns = talk("a", "hello   i am  teh finn, where is it", "Dear Teh Finn,\n\nit is here.")["turns"]
    entities = [
        {"turn": 0, "start": 14, "end": 22, "type": "PERSON"},
        {"turn": 1, "start": 5, "end": 13, "type": "PERSON"},
    ]
    rows = conversations([{"conversation_id": "a", "turns": turns, "entities": entities, "language": "en"}])
    words = {"words": [], "targets": {"the": 900, "fine": 900}}
    artifact = {ARTIFACT: b"[]", VOCABULARY: json.dumps(words).encode()}
    result = normalize(rows, NormalizeConfig(), Context(step="normalize", artifact=artifact))
    assert texts(result) == [
        [("customer", "hello i am teh finn, where is it"), ("agent", "Dear Teh Finn,\n\nit is here.")]
    ]
    assert [result["turns"][0][one["turn"]]["text"][one["start"] : one["end"]] for one in result["entities"][0]] == [
        "teh finn", "Teh Finn",
    ]  # fmt: skip
