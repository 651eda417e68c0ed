"""Intervals come from whole families, are honest for few of them, and compare two models family by family."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.evaluate.bootstrap import compared, family_sums, interval, resampling


def scores(bits: list[float], windows: int = 1) -> pd.DataFrame:
    """A conversation of 10 bytes for each figure, its bits divided among windows."""
    rows = [
        {"conversation_id": f"c{place}", "nll": value * np.log(2) / windows, "bytes": 10 / windows}
        for place, value in enumerate(bits)
        for _ in range(windows)
    ]
    return pd.DataFrame(rows)


def families(count: int, size: int = 1) -> dict[str, str]:
    return {f"c{place}": f"f{place // size}" for place in range(count)}


def alone(rows: pd.DataFrame, of: dict[str, str], seed: int = 1) -> tuple[float, float]:
    """The interval of one model's bits per byte."""
    sums, names = family_sums({"candidate": rows}, of)
    found = interval(*sums["candidate"], resampling(len(names), 500, 0.95, seed))
    assert found["low"] is not None
    assert found["high"] is not None
    return found["low"], found["high"]


def paired(candidate: list[float], base: list[float], of: dict[str, str]) -> dict[str, Any]:
    sums, names = family_sums({"candidate": scores(candidate), "base": scores(base)}, of)
    return compared(sums, "candidate", "base", resampling(len(names), 500, 0.95, 1), len(of))


def test_windows_of_a_conversation_belong_together() -> None:
    values = [10.0, 30.0, 20.0, 25.0, 15.0]
    np.testing.assert_allclose(alone(scores(values), families(5)), alone(scores(values, windows=4), families(5)))


def test_the_comparison_is_paired() -> None:
    hard = np.random.default_rng(0).uniform(10, 90, 60)
    found = paired(list(hard), list(hard + 1), families(60))
    assert found["difference"] == found["low"] == found["high"] == pytest.approx(-0.1)
    assert (found["families"], found["conversations"]) == (60, 60)
    low, high = alone(scores(list(hard)), families(60))
    assert high - low > 0.5  # unpaired, the two intervals would overlap


def test_families_not_conversations_are_resampled() -> None:
    values = [place for place in (10.0, 15.0, 20.0, 25.0, 30.0) for _ in range(20)]
    low, high = alone(scores(values), families(100))
    tied_low, tied_high = alone(scores(values), families(100, 20))
    assert (low > 1.8, high < 2.2) == (True, True)
    assert (tied_low < 1.1, tied_high > 2.9) == (True, True)  # five families say little


def test_one_family_or_two_give_no_interval() -> None:
    sums, _ = family_sums({"candidate": scores([10, 30])}, families(2, 2))
    assert interval(*sums["candidate"], resampling(1, 200, 0.95, 1)) == {"low": None, "high": None}
    found = paired([10.0, 30.0], [12.0, 31.0], families(2))
    assert (found["low"], found["high"]) == (None, None)


def test_same_seed_same_interval_in_any_row_order() -> None:
    rows = scores([5, 10, 20, 40, 15])
    again = alone(rows.iloc[::-1], dict(reversed(families(5).items())), seed=3)
    assert alone(rows, families(5), seed=3) == again


@pytest.mark.parametrize("count", [12, 30])
def test_the_interval_holds_the_true_difference_as_often_as_it_says(count: int) -> None:
    """Families of very different sizes and skewed differences, which a percentile interval covers in 83 to 89%."""
    rng = np.random.default_rng(count)
    size = np.round(rng.lognormal(5.3, 0.8, 50_000)) + 20
    amounts = size * (rng.exponential(0.06, len(size)) - 0.06)
    true = amounts.sum() / size.sum()
    hits = 0
    for seed in range(200):
        drawn = rng.integers(0, len(size), count)
        found = interval(amounts[drawn], size[drawn], resampling(count, 400, 0.95, seed))
        hits += found["low"] is not None and found["high"] is not None and found["low"] <= true <= found["high"]
    assert hits / 200 > 0.9
