import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.errors import DataError
from tasks.annotate import rules
from tasks.annotate.rules import Rule, first_match, holds, mentions

TURNS = [
    {"role": "system", "text": "ticket opened"},
    {"role": "customer", "text": "Hi, I can’t find my Straße parcel."},
    {"role": "agent", "text": "Do you want a refund?"},
    {"role": "customer", "text": "No, I want to CANCEL\n the  order, order ABC-123"},
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"any": ["parcel", "nothing"]}, True),
        ({"any": ["parce", "arcel"]}, False),
        ({"any": ["cancel the order"]}, True),
        ({"any": ["can't find"]}, True),
        ({"any": ["STRASSE"]}, True),
        ({"any": ["refund"]}, False),
        ({"any": ["refund"], "turns": "all"}, True),
        ({"any": ["ticket"], "turns": "all"}, True),
        ({"any": ["cancel"], "turns": "first"}, False),
        ({"any": ["parcel"], "turns": "first"}, True),
        ({"all": ["parcel", "cancel"]}, True),
        ({"all": ["parcel", "refund"]}, False),
        ({"any": ["parcel"], "none": ["cancel", "zzz"]}, False),
        ({"any": ["parcel"], "none": ["zzz"]}, True),
        ({"any": ["parcel"], "all": ["order"], "none": ["zzz"], "regex": r"abc-\d{3}"}, True),
        ({"regex": r"\bABC-\d{4}"}, False),
        ({"any": ["find my straße parcel."]}, True),
        ({"any": ["i want to (cancel"]}, False),
        ({"regex": r"(?<=order )abc"}, True),
    ],
)
def test_conditions(rule: dict[str, Any], expected: bool) -> None:
    assert holds(Rule.model_validate({"intent": "x", **rule}), TURNS) is expected


def test_no_customer_and_no_text_is_no_match() -> None:
    rule = Rule(intent="x", any=("a",), turns="first")
    assert not holds(rule, [])
    assert not holds(rule, [{"role": "agent", "text": "a"}, {"role": "customer", "text": None}])


def test_the_first_rule_that_holds_decides() -> None:
    declared = [Rule(intent="a", any=("zzz",)), Rule(intent="b", any=("parcel",)), Rule(intent="c", any=("parcel",))]
    assert first_match(declared, TURNS, "annotate", "r") == "b"
    assert first_match(declared[:1], TURNS, "annotate", "r") is None


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"regex": "(abc"}, "not a regular expression"),
        ({"regex": "a*"}, "matches an empty text"),
        ({"regex": r"(a+)+$"}, "can take exponential time"),
        ({"regex": r"(\w+\s?)+:"}, "can take exponential time"),
        ({"none": ["a"]}, "needs `any`, `all` or `regex`"),
        ({}, "needs `any`, `all` or `regex`"),
        ({"any": [" "]}, "match pattern"),
        ({"any": ["a"], "turns": "last"}, "turns"),
        ({"any": ["a"], "some": ["b"]}, "some"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(bad: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PROBE_PATIENCE", 0.2)
    with pytest.raises(ValidationError, match=words):
        Rule.model_validate({"intent": "x", **bad})


@pytest.mark.parametrize(
    "pattern", [r"order\s+(no\.?|number)\s*[A-Z]{2}-\d+", r"\b(re)?funds?\b", r"(refund|money).*(late|week)s?", r"ü\w+"]
)
def test_what_people_write_is_accepted(pattern: str) -> None:
    assert Rule(intent="x", regex=pattern).regex == pattern


def test_a_regular_expression_that_explodes_on_a_text_ends_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PROBE", 4)
    rule = Rule(intent="x", regex=r"(Q+)+$")  # too short a probe to see it
    monkeypatch.setattr(rules, "PATIENCE", 0.1)
    secret = [{"role": "customer", "text": "Q" * 3000 + "secret"}]
    with pytest.raises(DataError) as caught:
        first_match([rule], secret, "annotate", "HD-7")
    assert "step 'annotate': the regular expression of rule 1 took longer than 0.1 s on HD-7" in str(caught.value)
    assert "secret" not in str(caught.value)


WORD = st.text(alphabet="abcß'é1", min_size=1, max_size=4)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(WORD, min_size=1, max_size=5), st.lists(WORD, min_size=1, max_size=2), st.sampled_from([" ", "\n", "  "])
)
def test_phrases_are_runs_of_whole_words(words: list[str], phrase: list[str], space: str) -> None:
    """Without punctuation, a phrase occurs where its words follow each other; case and apostrophes do not count."""

    def folded(word: str) -> str:
        return unicodedata.normalize("NFKC", word).casefold().strip("'")

    text = space.join(words).upper().replace("'", "’")
    plain, wanted = [folded(word) for word in words], [folded(word) for word in phrase]
    found = any(plain[start : start + len(wanted)] == wanted for start in range(len(plain)))
    if not any("'" in word for word in (*words, *phrase)):
        assert mentions(text, (" ".join(phrase),)) is found
