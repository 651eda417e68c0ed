import logging
import time

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile import KINDS
from deskloop.contract.errors import DataError
from tasks.scrub import ScrubConfig, adapted
from tasks.scrub.detect import detect
from tasks.scrub.patterns import Engine
from tasks.scrub.patterns.needs import has_inner_dot, tally
from tasks.scrub.placeholders import settle
from tasks.scrub.recognizers import PREDEFINED, build, predefined
from tasks.scrub.shield import shield
from tasks.scrub.span import Span

CONFIG = ScrubConfig(detector="patterns")


def test_predefined_names_match_presidio() -> None:
    for entity in PREDEFINED:
        recognizer = predefined(entity)
        assert (recognizer.supported_entities, recognizer.supported_language) == ([entity], "en")


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text("0aAfbc1:.-@ x٣", max_size=40),
        st.text("abcdefABC:.- @", max_size=40),
    )
)
def test_a_text_that_fails_the_needs_has_no_match(text: str) -> None:
    for rule in build(CONFIG.entities).patterns._rules:
        if len(text) < rule.needs.width or not rule.needs.met(tally(text), has_inner_dot(text)):
            assert rule.scan(text) == []


def test_every_default_entity_has_needs() -> None:
    assert all(any(rule.needs.counts) for rule in build(CONFIG.entities).patterns._rules)


def test_each_distinct_text_is_analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    find = Engine.find
    monkeypatch.setattr(Engine, "find", lambda engine, text: seen.append(text) or find(engine, text))  # type: ignore[func-returns-value]
    first, second, third = detect(["card 4111 1111 1111 1111", "no", "card 4111 1111 1111 1111"], CONFIG)
    assert seen == ["card 4111 1111 1111 1111", "no"]
    assert first == third == [Span(5, 24, "CREDIT_CARD", 1.0)]
    assert second == []


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(st.text("ab.@-!_1 \n/", max_size=60), st.from_regex(r"[a.!]{0,5}@a-?\.b.{0,5}@?b?\.a", fullmatch=True))
)
def test_emails_match_presidios_pattern(text: str) -> None:
    recognizer = predefined("EMAIL_ADDRESS")
    (pattern,) = recognizer.patterns
    matches = regex.compile(pattern.regex, flags=recognizer.global_regex_flags).finditer(text)
    assert recognizer.places(text) == [match.span() for match in matches]


@pytest.mark.parametrize(
    "name", ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000", "FR1420041010050500013M02606"]
)
def test_ibans_in_any_case_before_any_word(name: str) -> None:
    assert detect([f"to {name} please"], CONFIG) == [[Span(3, 3 + len(name), "IBAN_CODE", 1.0)]]
    wrong = name.replace("9", "8", 1).replace("2", "3", 1)
    assert all(span.type != "IBAN_CODE" for span in detect([f"to {wrong} please"], CONFIG)[0])


def test_kept_text_stays_unless_it_is_on_a_deny_list() -> None:
    config = ScrubConfig(
        detector="patterns",
        keep=(r"part no\. [\d-]+",),
        patterns={"CODE": r"AB-\d+"},
        deny={"PERSON": ("212-555-0187",)},
    )
    assert detect(["see part no. 303-555-0187 now", "call 303-555-0187, AB-12"], config) == [
        [],
        [Span(5, 17, "PHONE_NUMBER", 0.4), Span(19, 24, "CODE", 1.0)],
    ]
    assert detect(["see part no. 212-555-0187 now"], config) == [[Span(13, 25, "PERSON", 1.0)]]
    longer = ScrubConfig(detector="patterns", keep=("303-555",))
    assert [span.type for span in detect(["call 303-555-0187"], longer)[0]] == ["PHONE_NUMBER"]


def test_a_kept_pattern_that_takes_too_long_stops_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "PATTERN_SECONDS", 0.05)
    config = ScrubConfig(detector="patterns", keep=(r"(?:a|aa)+!\d",))
    with pytest.raises(DataError, match="a pattern of `keep` took over"):
        detect(["a" * 60 + "! 4111 1111 1111 1111"], config)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_time_is_linear(kind: str) -> None:
    """Four times the text may take at most twelve times as long, a margin above any noise."""
    once, again = (min(_seconds(KINDS[kind](length)) for _ in range(2)) for length in (8_000, 32_000))
    assert again < 12 * once + 0.1


def _seconds(text: str) -> float:
    began = time.process_time()
    detect([text], ScrubConfig(detector="patterns"))
    return time.process_time() - began


def test_placeholders_are_shielded_and_carry_no_context() -> None:
    config = ScrubConfig(detector="patterns", patterns={"WORD": r"NUMBER_\d+", "ACROSS": r"a .+ z"})
    assert detect(["a <PHONE_NUMBER_1> z", "<US_BANK_ACCOUNT_1> 12345678"], config) == [[], []]
    assert len(shield("a <PHONE_NUMBER_1> z")) == len("a <PHONE_NUMBER_1> z")


def test_long_texts_have_the_findings_of_short_ones() -> None:
    values = [f"u{number}@example.com" for number in range(2_000)]
    text = " and ".join(values)
    (spans,) = detect([text], CONFIG)
    assert [text[span.start : span.end] for span in spans] == values


def test_context_words_among_lone_surrogates() -> None:
    assert detect(["\ud800 account \udfff 12345678"], CONFIG) == [[Span(12, 20, "US_BANK_NUMBER", 0.4)]]


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


@pytest.mark.parametrize("number", ["PT50 0002 0123 1234 5678 9015 4", "qa58dohb00001234567890abcdefg"])
def test_ibans_of_countries_with_too_short_formats_in_presidio(number: str) -> None:
    """The examples of the SWIFT registry."""
    (spans,) = detect([f"pay to {number}, please"], ScrubConfig(detector="patterns"))
    assert Span(7, 7 + len(number), "IBAN_CODE", 1.0) in spans
