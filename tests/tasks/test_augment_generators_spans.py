"""Spans that no generator may change, and how they are recognized."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.augment.generators.spans import intact, pieces, protected, spans
from tasks.augment.generators.tidy import tidy

TEXTS = st.text(alphabet=st.sampled_from("ab Cd1.,@<>_-/:()'\"\n€é*"), max_size=40)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I'm <PERSON_1>, <PERSON_1>'s wife.", ["<PERSON_1>", "<PERSON_1>"]),
        ("order NV-2081, paid $49. On 12.03.2026?", ["NV-2081", "$49", "12.03.2026"]),
        ("(NV-2081) 'A12' \"50%\" #7!", ["NV-2081", "A12", "50%", "#7"]),
        ("call +49 170 12-34 56.", ["+49", "170", "12-34", "56"]),
        ("see https://x.example/a?b=1&c=(2). Or www.x.example/a!", ["https://x.example/a?b=1&c=(2", "www.x.example/a"]),
        ("mail a.b+c@d.example; norvale.example/today", ["a.b+c@d.example", "norvale.example/today"]),
        ("in EUR by PayPal or UPS, PDFs, not I or A", ["EUR", "PayPal", "UPS", "PDFs"]),
        ("ref:AB12 12kg/3 1,000.50", ["ref:AB12", "12kg/3", "1,000.50"]),
        ("nothing here, e.g. a well-known e-mail and/or a.m. either...", []),
        ("", []),
    ],
)
def test_what_is_protected(text: str, kept: list[str]) -> None:
    assert protected(text) == kept


def test_declared_words_are_protected_in_any_case() -> None:
    assert protected("The Nova and the nova pro, not novae", ("nova", "Nova Pro")) == ["Nova", "nova pro"]
    assert pieces("Terra is in, Ravi? Yes", names=True) == [
        ("Terra is in, ", False),
        ("Ravi", True),
        ("? Yes", False),
    ]


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("order NV-1 for <PERSON_1>", "for the order NV-1 of <PERSON_1>", True),
        ("order NV-1", "order NV-1 NV-1", False),
        ("order NV-1", "order", False),
        ("order NV-1", "order nv-1", False),
        ("order NV-1", "order NV- 1", False),
        ("order", "order 66", False),
        ("order", "order USB", False),
        ("<PERSON_1> and <PERSON_2>", "<PERSON_2> and <PERSON_1>", False),
        ("I am <PERSON_1>", "I am<PERSON_1>", False),
        ("I am<PERSON_1>", "I was<PERSON_1>", True),
    ],
)
def test_lost_changed_doubled_invented_or_glued(before: str, after: str, whole: bool) -> None:
    assert intact(before, after) is whole


@given(text=TEXTS, names=st.booleans())
def test_pieces_are_the_text(text: str, names: bool) -> None:
    parts = pieces(text, ("ab",), names)
    assert "".join(piece for piece, _ in parts) == text
    assert intact(text, text, ("ab",))
    if not names:
        assert [piece for piece, kept in parts if kept] == protected(text, ("ab",))


@given(text=TEXTS)
def test_no_token_with_a_digit_or_an_at_sign_is_outside(text: str) -> None:
    outside = "".join(piece for piece, kept in pieces(text) if not kept)
    assert not any(character.isdigit() or (character == "@") for character in outside)


def test_long_runs_cost_no_more_than_their_length() -> None:
    began = time.process_time()
    for text in ("a" * 50_000, "ab." * 20_000, "." * 50_000, "aB" * 20_000, "é," * 20_000 + "1", "<A" * 20_000):
        spans(text)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("before", "after", "tidied"),
    [
        ("Where is it?", " where  is the thing ?", "Where is the thing?"),
        ("where is it?", "Where Is It?", "where is it?"),
        ("Hi Ravi, I came. Thanks", "Hello Ravi, I was here. thank You", "Hello Ravi, I was here. Thank you"),
        ("  On 5 May, I paid. ", "On 5 May, I have paid .", "  On 5 May, I have paid. "),
        ("Hi! It came. So?", "hello! it has come. so?", "Hello! It has come. So?"),
        ("I said e.g. that", "I told e.g. that", "I told e.g. that"),
        ("Two  spaces .", "Both  spaces .", "Both  spaces ."),
        ("pay <PERSON_1> now", "Pay <PERSON_1> Now", "pay <PERSON_1> now"),
        ("I said : 5", "I told : 5", "I told : 5"),
        ("I said it", "  ", None),
    ],
)
def test_a_translation_is_written_as_the_customer_writes(before: str, after: str, tidied: str | None) -> None:
    assert tidy(before, after) == tidied


@given(before=TEXTS, after=TEXTS)
def test_tidying_touches_no_protected_span(before: str, after: str) -> None:
    tidied = tidy(before, after)
    assert (tidied is None) == (not after.strip())
    if tidied is not None:
        assert protected(tidied) == protected(after)
