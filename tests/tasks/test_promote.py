"""A candidate is put in use only on figures: certainly better than the base, not certainly worse than the champion."""

from typing import Any

import pytest

from tasks.promote import PromoteConfig, judge, sentence


def evaluation(base: tuple[float, float, float], champion: tuple[float, float, float] | None = None) -> dict[str, Any]:
    found = {"base": base} | ({"champion": champion} if champion else {})
    metrics = {"candidate": 1.0, "base": 1.0 - base[0], "unigram": 1.5, "bigram": 1.2}
    return {
        "metrics": {name: {"bits_per_byte": value} for name, value in metrics.items()},
        "comparisons": [
            {"against": name, "difference": value, "low": low, "high": high}
            for name, (value, low, high) in found.items()
        ],
    }


def passed(gates: list[dict[str, Any]]) -> dict[str, bool]:
    return {gate["gate"]: gate["passed"] for gate in gates}


def test_better_than_the_base_and_the_count_models() -> None:
    gates = judge(evaluation((-0.2, -0.3, -0.1)), PromoteConfig())
    assert passed(gates) == {"better than base": True, "better than unigram": True, "better than bigram": True}
    assert gates[0] == {
        "gate": "better than base", "passed": True, "value": -0.2, "threshold": 0.0, "low": -0.3, "high": -0.1,
    }  # fmt: skip
    assert gates[2]["value"] == -0.2


def test_better_by_chance_is_not_better() -> None:
    assert not passed(judge(evaluation((-0.2, -0.5, 0.1)), PromoteConfig()))["better than base"]


@pytest.mark.parametrize(
    ("difference", "rule", "tolerance", "good"),
    [
        ((0.02, -0.01, 0.05), "not_worse", 0.0, True),
        ((0.02, 0.01, 0.05), "not_worse", 0.0, False),
        ((0.02, 0.01, 0.05), "not_worse", 0.015, True),
        ((-0.02, -0.05, 0.01), "better", 0.0, False),
        ((-0.02, -0.05, -0.01), "better", 0.0, True),
    ],
)
def test_against_the_champion(difference: Any, rule: Any, tolerance: float, good: bool) -> None:
    config = PromoteConfig(champion=rule, tolerance=tolerance)
    (gate,) = [one for one in judge(evaluation((-1, -1, -1), difference), config) if "champion" in one["gate"]]
    assert gate["passed"] is good


def test_what_a_person_took_out_of_use_stays_out() -> None:
    gates = judge(evaluation((-0.2, -0.3, -0.1)), PromoteConfig(), taken_out=True)
    assert passed(gates)["not taken out of use before"] is False
    assert sentence("blocked", gates).endswith("failed 1 of 4 gates (not taken out of use before)")
