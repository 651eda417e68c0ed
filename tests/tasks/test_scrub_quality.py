"""Measured recall: values are planted and counted correctly, and a crippled detector stops a run."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError, ExpectationError
from deskloop.contract.stage import Context
from tasks.scrub import ScrubConfig, check, quality
from tasks.scrub.quality import measure, planted_types, wilson
from tasks.scrub.quality.forms import FORMS, SHARES
from tasks.scrub.quality.sentences import ASKED, SAID
from tasks.scrub.quality.values import MAKERS, make
from tests.flows.desk import Desk, example_lines

CONTEXT = Context("scrub", seed=3)


def rows(number: int) -> pd.DataFrame:
    turns = [
        {"role": "customer", "text": "Where is my parcel, please?"},
        {"role": "agent", "text": "It is on its way."},
        {"role": "customer", "text": None},
    ]
    return pd.DataFrame(
        {"row_id": f"r{at}", "turns": turns, "known": {"PERSON": ["Jo"]}, "metadata": {"channel": "mail"}}
        for at in range(number)
    )


class Detector:
    """Replace `deskloop scrub` by a function that scrubs what `spans` returns for (line, turn, text)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, spans: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        self.spans = spans
        monkeypatch.setattr("tasks.scrub.stream.scrub_lines", self)

    def __call__(self, lines: list[bytes], config: ScrubConfig) -> Any:
        for raw in lines:
            line = orjson.loads(raw)
            self.lines.append(line)
            places = [
                {"turn": turn, "start": start, "end": end, "entity": "X"}
                for turn, said in enumerate(line["turns"])
                for start, end in self.spans(said["text"])
            ]
            yield orjson.dumps({"spans": places})


def nothing(text: str) -> list[tuple[int, int]]:
    return []


def everything(text: str) -> list[tuple[int, int]]:
    return [(0, len(text))]


def all_but_the_last(text: str) -> list[tuple[int, int]]:
    """Return the span without its last letter or digit."""
    found = [match.start() for match in re.finditer(r"[^\W_]", text)]
    return [(0, found[-1])] if found else []


def test_only_completely_replaced_values_count(monkeypatch: pytest.MonkeyPatch) -> None:
    Detector(monkeypatch, nothing)
    missed = measure(rows(30), ScrubConfig(), CONTEXT)
    assert (missed["found"], missed["disturbed"]) == (0, 0.0)
    assert missed["planted"] == 30 * 2 * 4
    Detector(monkeypatch, everything)
    found = measure(rows(30), ScrubConfig(), CONTEXT)
    assert (found["planted"], found["found"], found["disturbed"]) == (240, 240, 0.0)
    assert {name: cell["planted"] for name, cell in found["recall"].items()} == {
        name: cell["planted"] for name, cell in missed["recall"].items()
    }
    assert set(found["recall"]) == set(MAKERS)
    assert list(found["recall_by_form"]) == list(FORMS)
    for part in ("recall", "recall_by_form"):
        assert sum(cell["planted"] for cell in found[part].values()) == 240
    Detector(monkeypatch, all_but_the_last)
    nearly = measure(rows(30), ScrubConfig(), CONTEXT)
    assert 0 < nearly["found"] < 240  # only values before more words of the sentence count


def test_other_changed_findings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[bool] = Counter()

    def eager(text: str) -> list[tuple[int, int]]:
        """Where something was planted behind it, the old sentence goes too."""
        seen[len(text) > 27] += 1
        return [(0, 5)] if text.startswith("Where") and len(text) > 27 else []

    Detector(monkeypatch, eager)
    disturbed = measure(rows(30), ScrubConfig(), CONTEXT)["disturbed"]
    assert 0.5 < disturbed <= 1.0


def test_planted_values_are_at_their_recorded_places(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector(monkeypatch, nothing)
    measure(rows(3), ScrubConfig(), CONTEXT)
    before, after = detector.lines[:3], detector.lines[3:]
    assert [line["turns"][1]["text"] for line in before] == ["It is on its way."] * 3
    assert all(line["known"] == {"PERSON": ["Jo"]} and line["metadata"] == {"channel": "mail"} for line in after)
    asked = {question for pairs in ASKED.values() for question, _ in pairs}
    for line in after:
        assert line["turns"][1]["text"] == "It is on its way."
        assert line["turns"][0]["text"].startswith("Where is my parcel, please?")
        assert {turn["text"] for turn in line["turns"][3:] if turn["role"] == "agent"} <= asked
    row: Any = rows(1).to_dict("records")[0]
    for number in range(40):
        turns, plants = quality._planted(row, planted_types(ScrubConfig()), number, CONTEXT)
        assert len(plants) == 4
        for plant in plants:
            text = turns[plant.turn]["text"]
            assert 0 <= plant.start < plant.end <= len(text)
            assert turns[plant.turn]["role"] == "customer"
            if plant.type == "EMAIL_ADDRESS" and plant.form in ("as_written", "lower_case", "no_punctuation"):
                assert re.fullmatch(r"[\w.-]+@[\w.]+", text[plant.start : plant.end])
            if plant.type == "AGE" and plant.form != "hidden":
                assert text[plant.start : plant.end].isdecimal()


def test_the_same_rows_in_any_order_give_the_same_figures_and_are_not_changed() -> None:
    some = rows(12)
    copy = some.copy(deep=True)
    once = measure(some, ScrubConfig(), CONTEXT)
    assert measure(some.iloc[::-1], ScrubConfig(), CONTEXT) == once
    pd.testing.assert_frame_equal(some, copy)
    assert measure(some, ScrubConfig(), Context("scrub", seed=4)) != once
    assert orjson.loads(orjson.dumps(once)) == once


def test_no_rows_and_rows_without_turns() -> None:
    empty = measure(rows(3).iloc[:0], ScrubConfig(), CONTEXT)
    assert (empty["planted"], empty["found"], empty["recall"]) == (0, 0, {})
    bare = pd.DataFrame({"row_id": ["a"], "turns": [None], "known": [None], "metadata": [None]})
    assert measure(bare, ScrubConfig(), CONTEXT)["planted"] == 8  # as answers to questions


def test_only_types_that_scrub_detects_are_planted() -> None:
    assert set(planted_types(ScrubConfig())) == set(MAKERS)
    fewer = ScrubConfig(entities=("EMAIL_ADDRESS",))
    assert "CREDIT_CARD" not in planted_types(fewer)
    assert "PERSON" in planted_types(fewer)
    assert "AGE" not in planted_types(ScrubConfig(replace={"AGE": "keep"}))
    assert planted_types(ScrubConfig(replace={"default": "keep", "PERSON": "mask"})) == ["PERSON"]


def test_every_type_has_sentences_and_questions() -> None:
    assert set(SAID) == set(ASKED) == set(MAKERS)
    options = [*(one for each in SAID.values() for one in each), *(one[1] for each in ASKED.values() for one in each)]
    assert all(option.count("{}") == 1 for option in options)
    assert sum(SHARES) == pytest.approx(1.0)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(MAKERS)), st.sampled_from(sorted(FORMS)), st.integers(0, 2**32))
def test_every_value_has_something_to_find_in_every_form(entity: str, form: str, seed: int) -> None:
    value = make(entity, np.random.default_rng(seed))
    assert value == make(entity, np.random.default_rng(seed))
    assert value == value.strip()
    before, planted, after = FORMS[form](("My number: ", value, ", thanks."), entity, np.random.default_rng(seed))
    assert any(one.isalnum() for one in planted)
    if form in ("lower_case", "no_punctuation"):
        assert planted == planted.lower()
    if form == "no_punctuation":
        assert (before, after) == ("my number ", " thanks")
    if form == "hidden":
        assert planted != value


def test_numbers_carry_the_checksums_of_real_ones() -> None:
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IbanRecognizer, UsSsnRecognizer

    rng = np.random.default_rng(1)
    card, iban, ssn = CreditCardRecognizer(), IbanRecognizer(), UsSsnRecognizer()
    for _ in range(300):
        assert card.validate_result(make("CREDIT_CARD", rng))
        assert iban.validate_result(make("IBAN_CODE", rng))
        assert not ssn.invalidate_result(make("US_SSN", rng))


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(1, 400))
def test_the_interval_is_a_wilson_interval(found: int, more: int) -> None:
    from scipy.stats import binomtest

    planted = found + more
    expected = binomtest(found, planted).proportion_ci(method="wilson")
    assert wilson(found, planted) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_interval_without_values() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_crippled_detector_stops_the_run_and_the_types_are_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path, example_lines(40))
    with pytest.raises(ExpectationError, match=r"planted.*\(observed 0\.\d+\).*PERSON 0 of \d+"):
        desk.prepare("scrub.detector=patterns", "scrub.dialogue=false")
    from deskloop.store.catalog import Catalog

    assert [version.dataset for version in Catalog(tmp_path / "store" / "catalog").versions] == ["ingested"]


def test_a_type_below_its_floor_is_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """All types but PASSWORD are found, so the total is well above `min_recall`."""
    planted: Counter[str] = Counter()
    gone = quality._gone

    def seen(plant: Any, *rest: Any) -> bool:
        planted[plant.type] += 1
        return plant.type != "PASSWORD" and gone(plant, *rest)

    Detector(monkeypatch, everything)
    monkeypatch.setattr(quality, "_gone", seen)
    missed = measure(rows(100), ScrubConfig(), CONTEXT)
    assert missed["found"] / missed["planted"] > 0.8
    assert missed["types_below"] == 1
    assert missed["told"].startswith(f"PASSWORD 0 of {planted['PASSWORD']} (below its floor of 0.6), ")
    allowed = measure(rows(100), ScrubConfig(min_recall_by_type={"PASSWORD": 0.0}), CONTEXT)
    assert allowed["types_below"] == 0
    stricter = ScrubConfig(min_recall_by_type={"default": 1.0, "PASSWORD": 0.0})
    assert measure(rows(100), stricter, CONTEXT)["types_below"] == 0


def test_few_values_are_judged_by_their_interval() -> None:
    """Two of five is compatible with a recall of 60%; twenty of fifty is not."""
    types = [("PIN", "as_written"), ("AGE", "as_written")]
    figures = quality._figures(
        Counter(dict(zip(types, (5, 50), strict=True))), Counter({types[0]: 2, types[1]: 20}), ScrubConfig()
    )
    assert figures["types_below"] == 1
    assert figures["told"] == "AGE 20 of 50 (below its floor of 0.6), PIN 2 of 5"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"min_recall_by_type": {"PASWORD": 0.5}}, "no PASWORD is planted"),
        ({"min_recall_by_type": {"AGE": 0.5}, "replace": {"AGE": "keep"}}, "no AGE is planted"),
        ({"min_recall_by_type": {"IBAN_CODE": 0.5}, "entities": ["EMAIL_ADDRESS"]}, "no IBAN_CODE is planted"),
        ({"min_recall_by_type": {"PIN": 1.5}}, "less than or equal to 1"),
        ({"replace": {"PERSN": "mask"}}, "did you mean PERSON"),
        ({"replace": {"EMAIL": "mask"}}, "did you mean EMAIL_ADDRESS"),
    ],
)
def test_options_with_unknown_types_are_rejected(options: dict[str, Any], problem: str) -> None:
    with pytest.raises((ValueError, ConfigError), match=problem):
        check(ScrubConfig.model_validate(options), CONTEXT)


def test_types_of_the_source_may_be_replaced() -> None:
    config = ScrubConfig(replace={"ORDER_ID": "mask", "PERSNO": "hash"}, deny={"PERSNO": ("x1",)})
    assert config.floor("PIN") == 0.6


@pytest.mark.parametrize(
    ("entity", "value"), [("PHONE_NUMBER", "+1 617 255-0100"), ("PIN", "4411"), ("US_SSN", "123-45-6789")]
)
def test_planted_numbers_are_spelled_out(entity: str, value: str) -> None:
    _, said, _ = FORMS["spoken"](("a ", value, " b"), entity, np.random.default_rng(1))
    assert not any(map(str.isdigit, said))
    assert FORMS["spoken"](("A ", "Jane", " B"), "PERSON", np.random.default_rng(1)) == ("a ", "jane", " b")
