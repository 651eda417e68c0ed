"""The engine has the same findings as Presidio in every text."""

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.hostile import dense
from benchmarks.scrub import presidio, same
from tasks.scrub.patterns import Engine
from tasks.scrub.patterns.needs import MARKS, NOTHING, Needs, needs

FLAGS = 26  # Presidio's: ignore case, multi-line, dot matches all
TEXTS = [
    "",
    " ",
    "no digits at all, no mail.",
    "my card number is 4111 1111 1111 1111, thanks",
    "card 4111 1111 1111 1112 is wrong",
    "please check my bank account 123456789",
    "ssn 536-22-1234 or 536 22 1234, not 000-12-3456",
    "license: A1234567 and h12345678",
    "passport A12345678 of us",
    "mail jane.doe@example.com or j@sub.example.co.uk, not j@localhost",
    "iban DE89370400440532013000 and GB82 WEST 1234 5698 7654 32 to go",
    "from 192.168.0.1/24 or ::1 or 2001:db8::ff00:42:8329 or ::",
    "00:1A:2B:3C:4D:5E is 001A.2B3C.4D5E",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 in my wallet",
    "born 12/31/1999, 1999-12-31, 31.12.99, 5-MAY-2020, MAY-20 or 3/24",
    "at 2024-05-01T12:30:00Z",
    "call 212-555-0187 or +44 20 7946 0958 or (0)30 123456",
    "0033 1 42 68 53 00, 011 44 20 7946 0958, tel:+49-30-123456 ext. 12",
    "211-227 (2003) and 2012-01-02 08:00 and 3/10/2011",
    "phone5550100200x and 55501002 00$ and $212-555-0187",
    "dea AB1234563 doctor",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "see https://www.example.com/a?b=c or example.org or 'http://a.de'",
    "nhs 943 476 5919 and itin 912-70-1234",
    "the number of the phone, and be it the one: ２１２-555-0187 ٢١٢٥٥٥٠١٨٧",
    "tel:212-555-0187 card:4111111111111111",
    "\x00 \u200b 212-555-0187\n\t\ud800".replace("\ud800", ""),
]
PIECES = st.sampled_from(
    [*(word for text in TEXTS for word in text.split()), " ", "-", "(", ")", "+", ".", ",", "\n", "0"]
)


@cache
def both(words: bool) -> tuple[Any, Engine]:
    batch = presidio(words)
    analyzer = batch.analyzer_engine
    recognizers = analyzer.registry.get_recognizers(language="en", all_fields=True)
    return batch, Engine(recognizers, analyzer.context_aware_enhancer, words)


def agree(texts: list[str], words: bool) -> bool:
    batch, engine = both(words)
    return same(batch.analyze_iterator(texts, language="en"), engine.analyze(texts))


@pytest.mark.parametrize("words", [False, True])
def test_invented_texts(words: bool) -> None:
    for text in TEXTS:
        assert agree([text], words), text
    assert agree([dense(6_000), *TEXTS, *TEXTS], words)


def test_context_words_at_every_distance() -> None:
    words = ["lorem", "the", "ipsum", "be", "dolor", ",", "sit", "amet", "tempor", "magna"]
    far = [" ".join(["account", *words[:count], "12345678", "thanks"]) for count in range(len(words))]
    behind = ["12345678account", "12345678 account", "12345678 the account", "12345678 lorem account"]
    assert agree(far + behind, True)
    _, engine = both(True)
    scores = [{span.type: span.score for span in found}["US_BANK_NUMBER"] for found in engine.analyze(far)]
    assert scores == [0.4] * 8 + [0.05] * 2


def test_the_comparison_detects_differences() -> None:
    batch, engine = both(True)
    text = "my card number is 4111 1111 1111 1111"
    expected, (found,) = batch.analyze_iterator([text], language="en"), engine.analyze([text])
    assert same(expected, [found])
    first = found[0]
    others = first._replace(start=17), first._replace(end=36), first._replace(type="CARD"), first._replace(score=0.9)
    for other in others:
        assert not same(expected, [[other, *found[1:]]])
    assert not same(expected, [found[1:]])


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=12), st.sampled_from(["", " "]))
@example(["+1", "212-555-0187", "212-555-0187"], " ")
def test_invented_pieces_in_any_order(pieces: list[str], glue: str) -> None:
    assert agree([glue.join(pieces)], True)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789 -().+/", max_size=24))
def test_runs_of_digits(text: str) -> None:
    assert agree([f"call {text} now"], True)


def need(digits: int = 0, *, dot: bool = False, width: int = 0, **marks: int) -> Needs:
    names = dict(zip(("at", "stop", "colon", "dash", "slash", "either"), MARKS, strict=True))
    return Needs((digits, *(marks.get(name, 0) for name in names)), dot, width)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"\d{3}-[0-9]{2}", need(5, dash=1, either=1, width=6)),
        (r"(a|\d\d)x?", need(width=1)),
        (r"(?:\d:|-9)+", need(1, either=1, width=2)),
        (r"(?=\d)[a-z]", need(width=1)),
        (r"\w+@\w+\.(?:com|org)", need(at=1, stop=1, dot=True, width=7)),
        (r"a\.\s", need(stop=1, width=3)),
        (r"(?:foo){e<=1}\d", NOTHING),
        (r"\p{L}\d", NOTHING),
        (r"[[a-z]--[b]]\d", NOTHING),
        (r"[0-9a]\d*", need(width=1)),
    ],
)
def test_needs(expression: str, expected: Needs) -> None:
    assert needs(expression, FLAGS) == expected
