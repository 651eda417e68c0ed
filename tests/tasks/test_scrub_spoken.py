"""Spelled-out numbers and addresses: converted to figures, detected by every layer, and replaced completely."""

import time

import orjson
import pytest

from benchmarks.hostile import KINDS
from deskloop.contract.placeholders import PLACEHOLDER
from tasks.scrub import ScrubConfig
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, plain, written
from tasks.scrub.stream import scrub_lines

KNOWN = {
    "ORDER_ID": ["NV-663149"],
    "PHONE_NUMBER": ["+1 212 555 0117"],
    "EMAIL_ADDRESS": ["niamh.morgan98@oak.example"],
    "PERSON": ["Niamh Morgan"],
}


def scrubbed(text: str, known: dict[str, list[str]] | None = None) -> str:
    line = {"turns": [{"role": "customer", "text": text}], "known": known or {}}
    (result,) = scrub_lines([orjson.dumps(line)], ScrubConfig())
    return str(orjson.loads(result)["turns"][0]["text"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is N V dash double six three one four nine, thanks", "It is NV-663149, thanks"),
        ("triple five oh one nought nine", "5550109"),
        ("plus one, two one two, five five five", "+1 212 555"),
        ("twenty three forty-five sixty", "234560"),
        ("one eight hundred five five five oh one nine nine", "18005550199"),
        ("my ssn is 123 dash 45 dash 6789", "my ssn is 123-45-6789"),
        ("LS one three four NX.", "LS134NX."),
        ("niamh dot morgan nine eight at oak dot example", "niamh.morgan98@oak.example"),
        ("o'brien underscore x at mail.com", "o'brien_x@mail.com"),
    ],
)
def test_spelled_out_values_are_converted(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I have one or two of them, or three",
        "two hundred and fifty dollars",
        "look at amazon dot com",
        "jane.doe@example.com, 663-149, 212 555 0117",
        "<PERSON_1> one <PERSON_2> two <PERSON_3> three four",
        "it's two thirty",
        "that is the one point",
        "I am a B C fan",
    ],
)
def test_ordinary_words_are_unchanged(text: str) -> None:
    assert written(text) is None


def test_a_finding_covers_the_words_of_its_number() -> None:
    text = "call two one two five five five oh one one seven now"
    view = written(text)
    assert view is not None
    assert view.text == "call 2125550117 now"
    assert back(view)(Span(8, 12, "X", 1.0)) == Span(5, 48, "X", 1.0)
    assert back(view)(Span(0, 4, "X", 1.0)) is None


@pytest.mark.parametrize(
    "text",
    [
        "My order is N V dash six six three one four nine.",
        "order number en vee, six six, three one four nine",
        "it's NV dash 6 6 three one 4 9",
        "n v double six three fourteen nine",
        "six six three one forty nine I think",
        "You can call me on plus one dash two one two dash five five five dash zero one one seven.",
        "two one two, triple five, oh double one seven",
        "212 five five five oh one one seven",
        "two one two five five five zero one one seven two times",
        "six. six. three. one... four, um, nine",
        "six / six / three / then one / four / nine",
        "It is N I A M H space M O R G A N",
        "The e-mail is niamh dot morgan nine eight at oak dot example",
        "niamh dot morgan ninety eight at oak dot example",
        "niamh dot morgan98 @ oak dot example",
    ],
)
def test_a_known_value_is_found_in_any_spoken_form(text: str) -> None:
    left = PLACEHOLDER.sub("", scrubbed(text, KNOWN)).lower()
    for word in (
        "six",
        "three",
        "four",
        "nine",
        "five",
        "seven",
        "double",
        "niamh",
        "morgan",
        "oak",
        "zero",
        "6",
        "2",
        "m",
    ):
        assert word not in left.split(), left


def test_a_number_typed_and_spelled_out_has_one_placeholder() -> None:
    out = scrubbed("NV-663149, that is N V dash six six three one four nine", KNOWN)
    assert out == "<ORDER_ID_1>, that is <ORDER_ID_1>"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("my social is eight four seven dash four three dash nine nine three three", "my social is"),
        ("card four one one one dash one one one one dash one one one one dash one one one one", "card"),
        ("my zip code is seven three oh seven two", "my zip code is"),
        ("you can reach me on oh seven double seven hundred nine hundred four five six", "you can reach me on"),
        ("write to jane dot doe seven four at inbox dot example", "write to"),
    ],
)
def test_undeclared_values_are_found_as_well(text: str, left: str) -> None:
    assert PLACEHOLDER.sub("", scrubbed(text)).strip() == left


def test_requested_values_may_be_spelled_out() -> None:
    turns = [{"role": "agent", "text": "Your PIN, please?"}, {"role": "customer", "text": "two four one oh"}]
    (line,) = scrub_lines([orjson.dumps({"turns": turns})], ScrubConfig())
    assert orjson.loads(line)["turns"][1]["text"] == "<PIN_1>"


@pytest.mark.parametrize("text", ["my zip code is seven three oh seven two", "N V dash six six three one four nine"])
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    once = scrubbed(text, KNOWN)
    assert scrubbed(once) == once


@pytest.mark.parametrize("kind", ["spoken digits", "spoken e-mail", "ends of e-mail", "spoken marks", "spoken codes"])
def test_time_is_linear(kind: str) -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        written(KINDS[kind](length))
        return time.process_time() - began

    seconds(1_000)
    assert min(seconds(120_000) for _ in range(2)) < 10 * max(seconds(30_000), 0.05)
