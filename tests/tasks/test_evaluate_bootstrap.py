"""Intervals come from families, and two models are compared on the same draws."""

import numpy as np
import pandas as pd
import pytest

from tasks.evaluate.bootstrap import compared, interval, resampled


def scores(bits: list[float], windows: int = 1) -> pd.DataFrame:
    """A conversation of 10 bytes for each figure, its bits shared out over windows."""
    rows = [
        {"conversation_id": f"c{place}", "nll": value * np.log(2) / windows, "bytes": 10 / windows}
        for place, value in enumerate(bits)
        for _ in range(windows)
    ]
    return pd.DataFrame(rows)


def families(count: int, size: int = 1) -> dict[str, str]:
    return {f"c{place}": f"f{place // size}" for place in range(count)}


def test_the_first_figure_is_the_splits_own() -> None:
    draws = resampled({"candidate": scores([10, 30])}, families(2), 100, seed=1)
    assert draws["candidate"][0] == pytest.approx(2.0)
    assert len(draws["candidate"]) == 101
    assert set(np.round(draws["candidate"][1:], 6)) == {1.0, 2.0, 3.0}


def test_windows_of_a_conversation_are_drawn_together() -> None:
    whole = resampled({"candidate": scores([10, 30, 20])}, families(3), 200, seed=1)
    cut = resampled({"candidate": scores([10, 30, 20], windows=4)}, families(3), 200, seed=1)
    np.testing.assert_allclose(whole["candidate"], cut["candidate"])


def test_the_comparison_is_paired() -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(10, 90, 60)
    draws = resampled({"candidate": scores(list(hard)), "base": scores(list(hard + 1))}, families(60), 500, seed=1)
    found = compared(draws, "base", 0.95, 60, 60)
    assert found["difference"] == pytest.approx(-0.1)
    assert found["low"] == pytest.approx(-0.1)
    assert found["high"] == pytest.approx(-0.1)
    alone = interval(draws["candidate"], 0.95)
    assert alone["high"] - alone["low"] > 0.5  # apart, the two would overlap


def test_families_not_conversations_are_drawn() -> None:
    values = [10.0] * 20 + [30.0] * 20
    alone = interval(resampled({"candidate": scores(values)}, families(40), 500, seed=1)["candidate"], 0.95)
    tied = interval(resampled({"candidate": scores(values)}, families(40, 20), 500, seed=1)["candidate"], 0.95)
    assert (tied["low"], tied["high"]) == (1.0, 3.0)
    assert alone["low"] > 1.5


def test_same_seed_same_draws_in_any_row_order() -> None:
    rows = scores([5, 10, 20, 40])
    first = resampled({"candidate": rows}, families(4), 100, seed=3)["candidate"]
    again = resampled({"candidate": rows.iloc[::-1]}, dict(reversed(families(4).items())), 100, seed=3)["candidate"]
    np.testing.assert_array_equal(first, again)
