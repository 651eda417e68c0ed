import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scrub import ScrubConfig
from tasks.scrub.detect import Span, detect, shield
from tasks.scrub.placeholders import settle
from tasks.scrub.recognizers import _NEEDS, PREDEFINED, build

CONFIG = ScrubConfig()


def test_predefined_names_are_presidios() -> None:
    for entity in PREDEFINED:
        (recognizer, _), *more = build((entity,), (), ()).each
        assert (recognizer.supported_entities, recognizer.supported_language, more) == ([entity], "en", [])


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text("0aAfbc1:.-@ x٣", max_size=40),
        st.text("abcdefABC:.- @", max_size=40),
    )
)
def test_a_text_that_fails_the_test_holds_nothing(text: str) -> None:
    for recognizer, test in build(CONFIG.entities, (), ()).each:
        if test is not None and not test(text):
            assert recognizer.analyze(text, recognizer.supported_entities) == []


def test_every_default_entity_has_its_test() -> None:
    assert set(CONFIG.entities) == set(_NEEDS)


def test_each_distinct_text_is_analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    recognizer = build(CONFIG.entities, (), ()).each[0][0]
    analyze = recognizer.analyze
    monkeypatch.setattr(recognizer, "analyze", lambda text, *rest: seen.append(text) or analyze(text, *rest))  # type: ignore[func-returns-value]
    first, second, third = detect(["card 4111 1111 1111 1111", "no", "card 4111 1111 1111 1111"], CONFIG)
    assert seen == ["card 4111 1111 1111 1111"]
    assert first == third == [Span(5, 24, "CREDIT_CARD", 1.0)]
    assert second == []


def test_placeholders_are_shielded_and_carry_no_context() -> None:
    config = ScrubConfig(patterns={"WORD": r"NUMBER_\d+", "ACROSS": r"a .+ z"})
    assert detect(["a <PHONE_NUMBER_1> z", "<US_BANK_ACCOUNT_1> 12345678"], config) == [[], []]
    assert len(shield("a <PHONE_NUMBER_1> z")) == len("a <PHONE_NUMBER_1> z")


def test_a_long_text_is_found_in_as_a_short_one() -> None:
    values = [f"u{number}@example.com" for number in range(2_000)]
    text = " and ".join(values)
    (spans,) = detect([text], CONFIG)
    assert [text[span.start : span.end] for span in spans] == values


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        detect(
            ["iban DE89 3704 0044 0532 0130 0ſ, card 4111 1111 1111 1112, bc1qſſſſſſſſſſſſſſſſſſſſſſſſſſſſſſ"], CONFIG
        )
    assert not caplog.records


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([Span(0, 4, "A", 0.5), Span(6, 8, "B", 0.5)], [Span(0, 4, "A", 0.5), Span(6, 8, "B", 0.5)]),
        ([Span(0, 4, "A", 0.9), Span(2, 8, "B", 0.5)], [Span(0, 8, "B", 0.5)]),
        ([Span(0, 4, "B", 0.9), Span(0, 4, "A", 0.5)], [Span(0, 4, "B", 0.9)]),
        ([Span(0, 4, "B", 0.5), Span(0, 4, "A", 0.5)], [Span(0, 4, "A", 0.5)]),
        ([Span(0, 4, "A", 0.5), Span(4, 8, "B", 0.5)], [Span(0, 4, "A", 0.5), Span(4, 8, "B", 0.5)]),
        ([Span(0, 4, "A", 0.5), Span(3, 8, "B", 0.5), Span(7, 9, "C", 1.0)], [Span(0, 9, "B", 0.5)]),
    ],
)
def test_overlaps(spans: list[Span], expected: list[Span]) -> None:
    assert settle(spans) == expected
