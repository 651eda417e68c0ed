"""A candidate is promoted only on figures: paired intervals that clear a margin, on a test split of sufficient size."""

from typing import Any

import pytest

from deskloop.contract.errors import DataError
from tasks import promote
from tasks.promote import PromoteConfig, choose, decide, describe, explain

Ends = tuple[float, float | None, float | None]
GOOD: Ends = (-0.2, -0.3, -0.1)


def evaluation(families: int = 100, **against: Ends) -> dict[str, Any]:
    """What `evaluate` leaves: the candidate at 1.0 bits per byte, and paired differences with their intervals."""
    found = {"base": GOOD, "unigram": GOOD, "bigram": GOOD} | against
    return {
        "candidates": {"finetune": "desk@1"},
        "metrics": {"candidate": {"bits_per_byte": 1.0}}
        | {name: {"bits_per_byte": 1.0 - value} for name, (value, _, _) in found.items()},
        "comparisons": [
            {"against": name, "difference": value, "low": low, "high": high, "families": families}
            for name, (value, low, high) in found.items()
        ],
    }


def judge(figures: dict[str, Any], config: PromoteConfig, replaced: bool = False) -> list[dict[str, Any]]:
    return promote.judge({"evaluate": figures}, config, replaced)


def passed(gates: list[dict[str, Any]]) -> dict[str, bool]:
    return {gate["gate"]: gate["passed"] for gate in gates}


def judged(name: str, evaluation: dict[str, Any], **options: Any) -> bool:
    """Whether the gate against one model was passed."""
    (gate,) = [one for one in judge(evaluation, PromoteConfig(**options)) if one["gate"].endswith(name)]
    return bool(gate["passed"])


def test_better_than_the_base_and_the_count_models_by_their_intervals() -> None:
    gates = judge(evaluation(), PromoteConfig())
    assert passed(gates) == dict.fromkeys(
        ["better than base", "better than unigram", "better than bigram", "enough test families"], True
    )
    assert gates[0] == {
        "gate": "better than base", "passed": True, "value": -0.2, "threshold": -0.06, "low": -0.3, "high": -0.1,
    }  # fmt: skip
    assert gates[3] == {"gate": "enough test families", "passed": True, "value": 100, "threshold": 50}


def test_a_noisy_model_does_not_beat_a_bigram_model() -> None:
    """0.823 bits per byte (0.614 to 1.026, 20 conversations) once "beat" 0.833 without an interval."""
    noisy = evaluation(20, bigram=(-0.01, -0.18, 0.16))
    gates = judge(noisy, PromoteConfig())
    assert passed(gates)["better than bigram"] is False
    assert decide(gates, PromoteConfig()) == "kept"
    assert decide(judge(noisy | {"comparisons": evaluation(400, bigram=(-0.01, -0.18, 0.16))["comparisons"]},
                        PromoteConfig()), PromoteConfig()) == "blocked"  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "options", "good"),
    [
        ((0.0, -0.3, 0.3), {}, False),  # inconclusive
        ((0.005, -0.01, 0.025), {}, True),
        ((0.005, -0.01, 0.035), {}, False),
        ((0.005, -0.01, 0.035), {"margin": 0.04}, True),
        ((-0.01, -0.015, -0.005), {"champion": "better"}, False),  # beyond chance, but too small to matter
        ((-0.01, -0.015, -0.005), {"champion": "better", "better_by": 0.0}, True),
        ((-0.1, -0.13, -0.06), {"champion": "better"}, True),
        ((-0.05, None, None), {"champion": "better"}, False),
        ((-0.05, None, None), {}, False),
    ],
)
def test_against_the_champion_the_whole_interval_clears_the_margin(
    difference: Ends, options: dict[str, Any], good: bool
) -> None:
    assert judged("champion", evaluation(champion=difference), **options) is good


def test_the_margin_is_a_share_of_the_other_models_figure() -> None:
    gates = judge(evaluation(champion=(-0.5, -0.6, -0.4)), PromoteConfig(margin=0.1, better_by=0.2))
    assert [gate["threshold"] for gate in gates] == [-0.24, -0.24, -0.24, 0.15, 50]


def test_a_missing_comparison_fails() -> None:
    """An evaluation of an earlier version compared no count models."""
    found = evaluation()
    found["comparisons"] = found["comparisons"][:1]
    assert passed(judge(found, PromoteConfig()))["better than bigram"] is False


def test_below_the_least_size_a_person_decides() -> None:
    config = PromoteConfig()
    gates = judge(evaluation(49), config)
    assert decide(gates, config) == "kept"
    pending = "the candidate needs a person's decision (`deskloop models promote`): the test split has 49 families, "
    assert explain("kept", gates) == pending + "too few for a decision (at least 50)"
    gates = judge(evaluation(49, base=(0.1, 0.05, 0.15)), config)
    assert decide(gates, config) == "kept"
    assert explain("kept", gates).endswith("; it also failed 1 of 4 gates (better than base)")
    assert decide(judge(evaluation(49), PromoteConfig(min_families=49)), config) == "promoted"


def test_what_becomes_of_a_candidate() -> None:
    gates = judge(evaluation(), PromoteConfig())
    assert decide(gates, PromoteConfig()) == "promoted"
    assert decide(gates, PromoteConfig(automatic=False)) == "kept"
    assert explain("kept", gates).endswith("it passed all 4 gates, and automatic is false")
    assert decide(judge(evaluation(2), PromoteConfig()), PromoteConfig(), is_champion=True) == "already_champion"


@pytest.mark.parametrize("families", [100, 10])
def test_what_a_person_took_out_of_use_stays_out(families: int) -> None:
    gates = judge(evaluation(families), PromoteConfig(), replaced=True)
    assert passed(gates)["not replaced before"] is False
    assert decide(gates, PromoteConfig()) == "blocked"
    assert "(not replaced before)" in explain("blocked", gates)


def test_a_message_gives_the_figures() -> None:
    gates = judge(evaluation(10, base=(0.1, 0.05, 0.15), bigram=(-0.1, None, None)), PromoteConfig(), replaced=True)
    assert [describe(gate) for gate in gates if not gate["passed"]] == [
        "better than base: +0.100 bits per byte (+0.050 to +0.150); the whole interval must be below -0.045",
        "better than bigram: -0.100 bits per byte (too few families for an interval); the whole interval must be below "
        "-0.055",
        "enough test families: 10; at least 50 required",
        "not replaced before",
    ]


def test_every_evaluation_has_gates_of_its_own() -> None:
    figures = {"evaluate": evaluation(), "evaluate_mails": evaluation(30, base=(0.1, 0.05, 0.15))}
    gates = promote.judge(figures, PromoteConfig(min_families=20))
    assert [gate["gate"] for gate in gates if not gate["passed"]] == ["better than base on evaluate_mails"]
    assert len(gates) == 8
    assert decide(gates, PromoteConfig()) == "blocked"
    few = promote.judge(figures, PromoteConfig())
    assert decide(few, PromoteConfig()) == "kept"
    assert "the test split has 30 families" in explain("kept", few)


def test_of_several_candidates_the_best_that_passes_is_chosen() -> None:
    metrics = {name: {"bits_per_byte": bits} for name, bits in [("a", 2.0), ("b", 1.0), ("c", 1.5)]}
    figures = {"evaluate": {"candidates": dict.fromkeys(metrics, "desk@1"), "metrics": metrics}}
    good, bad = [{"gate": "g", "passed": True}], [{"gate": "g", "passed": False}]
    assert choose(figures, PromoteConfig(), {"a": good, "b": good, "c": good}) == "b"
    assert choose(figures, PromoteConfig(), {"a": good, "b": bad, "c": good}) == "c"
    assert choose(figures, PromoteConfig(), {"a": bad, "b": bad, "c": bad}) == "b"


DRIFT = {"metrics": {"drift": {"psi": 0.2}}}


def test_figures_of_another_kind_neither_gate_nor_rank() -> None:
    alone = {"evaluate": evaluation()}
    for evaluations in (alone | {"drift": DRIFT}, {"drift": DRIFT} | alone):
        assert promote.judge(evaluations, PromoteConfig()) == promote.judge(alone, PromoteConfig())
        assert choose(evaluations, PromoteConfig(), {"candidate": []}) == "candidate"
    with pytest.raises(DataError, match="no candidate was evaluated by drift"):
        promote.judge({"drift": DRIFT}, PromoteConfig())
