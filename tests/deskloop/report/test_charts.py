"""The report's charts and numbers: nothing is drawn outside its frame, nothing is rounded away."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.report.charts import Segment, bar, difference, logarithmic
from deskloop.report.curve import MOST_POINTS, Series, curve, thinned, ticks
from deskloop.report.words import (
    decimals,
    duration,
    marked,
    moment,
    number,
    observed,
    percent,
    prose,
    setting,
    signed,
    spoken,
)

FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@given(st.lists(st.integers(0, 10**6), max_size=8), st.integers(0, 10**6))
def test_bar_parts_stay_inside_and_none_vanishes(lengths: list[int], spare: int) -> None:
    drawn = bar([Segment("kept", length, "") for length in lengths], sum(lengths) + spare, "title")
    found = re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', drawn)
    assert len(found) == sum(length > 0 for length in lengths)
    for start, width in found:
        assert float(width) >= 0.6
        assert float(start) + float(width) <= 100.02


def test_bar_lengths_are_the_shares() -> None:
    drawn = bar([Segment("kept", 30, "30 kept"), Segment("rejected", 10, "10 <rejected>")], 80, "a & b")
    assert re.findall(r'class="(\w+)" x="([\d.]+)%" width="([\d.]+)%"', drawn) == [
        ("kept", "0.00", "37.50"),
        ("rejected", "37.50", "12.50"),
    ]
    assert 'aria-label="a &amp; b"' in drawn
    assert "<title>10 &lt;rejected&gt;</title>" in drawn


def test_an_error_bar_spans_its_interval() -> None:
    drawn = bar([Segment("candidate", 30, "")], 80, "title", (20, 40))
    assert re.findall(r'class="whisker"><line x1="([\d.]+)%" x2="([\d.]+)%"', drawn) == [("25.00", "50.00")]
    assert "whisker" not in bar([Segment("candidate", 30, "")], 80, "title")


@given(FINITE, FINITE, FINITE)
def test_a_difference_lies_on_its_side_of_the_middle(one: float, two: float, three: float) -> None:
    low, value, high = sorted((one, two, three))
    drawn = difference(value, (low, high), "title")
    (left, right) = map(float, re.findall(r'class="whisker"><line x1="([\d.]+)%" x2="([\d.]+)%"', drawn)[0])
    at = float(re.findall(r'cx="([\d.]+)%"', drawn)[0])
    assert 0 <= left <= at <= right <= 100
    for place, real in ((left, low), (at, value), (right, high)):
        assert (place - 50) * real >= 0
        assert real == 0 or abs(place - 50) <= 50 / 1.15 + 0.01


def test_a_difference_without_an_interval_has_no_error_bar() -> None:
    assert "whisker" not in difference(-0.1, None, "a & b")
    assert 'aria-label="a &amp; b"' in difference(-0.1, None, "a & b")
    assert 'cx="50.00%"' in difference(0.0, (0.0, 0.0), "title")


def test_logarithmic_lengths_tell_none_from_one() -> None:
    assert logarithmic(0) == 0
    assert logarithmic(1) > 0
    assert logarithmic(999) == pytest.approx(3)


@given(FINITE, FINITE)
def test_ticks_cover_the_range_in_even_round_steps(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    step = found[1] - found[0]
    assert all(math.isclose(later - earlier, step, rel_tol=1e-6) for earlier, later in pairwise(found))
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-6), 3) in (1, 2, 5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), FINITE), min_size=1, max_size=600, unique_by=lambda point: point[0]))
def test_curve_points_stay_in_the_drawing(points: list[tuple[float, float]]) -> None:
    drawn = curve([Series("training", "training loss", sorted(points))], (760, 320), "wide", "title", ("x", "y"))
    places = [tuple(map(float, pair.split(","))) for pair in re.findall(r'points="(.*?)"', drawn)[0].split()]
    assert 1 <= len(places) <= MOST_POINTS
    assert all(46 <= x <= 706 and 30 <= y <= 276 for x, y in places)


def test_curve_describes_itself_and_leaves_out_what_is_not_finite() -> None:
    training = Series("training", "training loss", [(1, 4.0), (2, math.nan), (3, 2.0)])
    validation = Series("validation", "validation loss", [(3, math.inf)])
    drawn = curve([training, validation], (360, 280), "narrow", "Losses", ("step", "loss"))
    assert '<title id="narrow-title">Losses</title>' in drawn
    assert '<desc id="narrow-desc">training loss from 4.00 at 1 to 2.00 at 3</desc>' in drawn
    assert drawn.count("<polyline") == 1
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_thinned_keeps_the_mean() -> None:
    points = [(float(step), float(step % 7)) for step in range(960)]
    few = thinned(points)
    assert len(few) == MOST_POINTS
    assert sum(y for _, y in few) / len(few) == pytest.approx(sum(y for _, y in points) / len(points))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(1234567), "1,234,567"),
        (number(1.5234), "1.52"),
        (number(18.24), "18.2"),
        (number(1234.5), "1,234"),
        (number(0.0004), "4.0e-04"),
        (number(0.0), "0.00"),
        (number(math.inf), "not finite"),
        (number(None), "–"),
        (number("text"), "–"),
        (decimals(4064.349, 1), "4,064.3"),
        (decimals(math.nan, 1), "not finite"),
        (decimals(None, 1), "–"),
        (percent(0.5), "50.0%"),
        (percent(0.0001), "< 0.1%"),
        (percent(0.99999), "> 99.9%"),
        (percent(1.0), "100.0%"),
        (percent(0), "0.0%"),
        (signed(-0.1), "\u22120.100"),
        (signed(0.25, 2), "+0.25"),
        (signed(-0.0001), "0.000"),
        (signed(None), "–"),
        (str(prose("run `a <b>` now")), "Run <code>a &lt;b&gt;</code> now."),
        (str(marked("bell\x07 tab\t")), "bell\ufffd tab\t"),
        (duration(0.42), "0.4 s"),
        (duration(59.7), "1 min 0 s"),
        (duration(3599.8), "1 h 0 min"),
        (duration(7500), "2 h 5 min"),
        (moment("2025-03-04T05:06:07+02:00"), "4 Mar 2025, 03:06 UTC"),
        (moment("yesterday"), "yesterday"),
        (spoken("broken_json"), "broken JSON"),
        (spoken("US_SSN"), "US SSN"),
        (spoken("about_us"), "about us"),
        (setting(0.0015), "0.0015"),
        (setting([1, None, True]), "1, –, yes"),
        (observed({"train": 0.5, "name": "text", "rows": 3}), "train 0.500, rows 3"),
        (str(marked("<PERSON_1> <b>")), '<span class="placeholder">&lt;PERSON_1&gt;</span> &lt;b&gt;'),
    ],
)
def test_words(shown: str, expected: str) -> None:
    assert shown == expected
