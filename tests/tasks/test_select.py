from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.select import STAGE, SelectConfig, select, unsupervise

CONTEXT = Context(step="select")


def talk(name: str, *replies: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "customer", "text": "Where is it?"}, *({"role": "agent", "text": text} for text in replies)]
    return {"conversation_id": name, "turns": turns, "source": "desk", "language": "en", **more}


def test_without_options_nothing_changes() -> None:
    rows = conversations([talk("a", "Here."), talk("b", "", rating=1), talk("c", language=None), talk("d", "Ok")])
    before = rows.copy(deep=True)
    expected = before.assign(reject=pd.Series([None] * 4, dtype="str"))
    pd.testing.assert_frame_equal(select(rows, SelectConfig(), CONTEXT), expected)
    pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({"languages": ["en"]}, [None, "other_language", "other_language"]),
        ({"languages": ["en", "und"]}, [None, "other_language", None]),
        ({"sources": ["desk"]}, [None, None, "other_source"]),
        ({"intents": ["refund"]}, [None, "other_intent", "other_intent"]),
        ({"exclude_intents": ["spam"]}, [None, "excluded_intent", None]),
        ({"min_rating": 3}, [None, "low_rating", None]),
        ({"min_agent_words": 4}, [None, "few_agent_words", "few_agent_words"]),
        ({"languages": ["en"], "min_rating": 3, "min_agent_words": 4}, [None, "other_language", "other_language"]),
    ],
)
def test_each_condition_has_its_reason(options: dict[str, Any], reasons: list[str | None]) -> None:
    rows = conversations(
        [
            talk("a", "It is on", "its way.", intent="refund", rating=3),
            talk("b", "Hier, <ORDER_ID_1> !", intent="spam", rating=2.5, language="de"),
            talk("c", "Here it is.", source="phone", language=None),
        ]
    )
    result = select(rows, SelectConfig.model_validate(options), CONTEXT)
    pd.testing.assert_frame_equal(result, rows.assign(reject=pd.Series(reasons, dtype="str")))


@pytest.mark.parametrize(
    ("text", "supervised"),
    [
        ("Please hold.", False),
        ("PLEASE  HOLD while I check that for you!", False),
        ("Please hold. Thanks for waiting!", False),
        ("Please hold, <PERSON_1>.", False),
        ("Please hold. Your order left on Monday.", True),
        ("Your order left on Monday. Please hold.", True),
        ("Please holds", True),
        ("Version 2.5 is out, please hold it.", False),
        ("...", True),
        ("", True),
    ],
)
def test_uninformative_replies_are_masked(text: str, supervised: bool) -> None:
    config = SelectConfig(unsupervise=("please hold", "thanks for waiting"))
    turns = conversations([talk("a", text, "A real answer.")])["turns"][0]
    expected = [turns[0], {**turns[1], "supervise": supervised}, turns[2]]
    assert unsupervise(turns, config) == expected


def test_short_replies_are_masked_and_customers_are_never_supervised() -> None:
    turns = [
        {"role": "customer", "text": "Where is my order, please?", "supervise": False, "at": None},
        {"role": "agent", "text": "Sure !", "supervise": True, "at": None},
        {"role": "agent", "text": "It left <LOCATION_1>", "supervise": True, "at": None},
        {"role": "agent", "text": "an internal note, quite long", "supervise": False, "at": None},
    ]
    assert [turn["supervise"] for turn in unsupervise(turns, SelectConfig(min_reply_words=2))] == [
        False,
        False,
        True,
        False,
    ]


def test_a_conversation_without_supervised_replies_is_rejected() -> None:
    note = [{"role": "agent", "text": "Please hold.", "supervise": False}]
    rows = conversations([talk("a", "Please hold."), talk("b", "Please hold.", "Done."), talk("c", turns=note)])
    before = rows.copy(deep=True)
    result = select(rows, SelectConfig(unsupervise=("please hold",), min_agent_words=1), CONTEXT)
    assert result["reject"].fillna("").tolist() == ["nothing_to_learn", "", "few_agent_words"]
    assert [turn["supervise"] for turn in result["turns"][1]] == [False, False, True]
    pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize(
    "bad",
    [
        {"intents": ["a"], "exclude_intents": ["a", "b"]},
        {"languages": []},
        {"unsupervise": [" "]},
        {"min_agent_words": -1},
        {"max_rating": 1},
    ],
)
def test_options_that_reject_everything_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectConfig.model_validate(bad)


ROWS = st.lists(
    st.builds(
        talk,
        st.just("x"),
        st.sampled_from(["Please hold.", "It is here.", ""]),
        st.sampled_from(["Ok", "A long and useful answer."]),
        intent=st.sampled_from([None, "a", "b"]),
        rating=st.sampled_from([None, 1.0, 5.0]),
        language=st.sampled_from(["en", "de", None]),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_rows_are_independent_and_a_second_time_changes_nothing(talks: list[dict[str, Any]]) -> None:
    rows = conversations({**one, "conversation_id": f"c{number}"} for number, one in enumerate(talks))
    config = SelectConfig(
        languages=("en", "und"), min_rating=2, unsupervise=("please hold",), min_reply_words=2, min_agent_words=3
    )
    whole = select(rows, config, CONTEXT)
    parts = [select(rows.iloc[[number]], config, CONTEXT) for number in reversed(range(len(rows)))]
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole)
    kept = whole[whole["reject"].isna()]
    pd.testing.assert_frame_equal(select(kept.drop(columns="reject"), config, CONTEXT), kept)


def test_the_stage() -> None:
    assert (STAGE.dataset, STAGE.needs) == ("selected", {"scrubbed"})
