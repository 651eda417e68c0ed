"""Decide whether a candidate takes the champion's place: gates on figures that `evaluate` left."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from deskloop.stage import StageConfig

MEASURE = "bits_per_byte"


class PromoteConfig(StageConfig):
    """Config of `promote`."""

    automatic: bool = Field(True, description="put a candidate in use that passes all gates; false: a person does")
    better_than: tuple[Literal["base", "unigram", "bigram"], ...] = Field(
        ("base", "unigram", "bigram"), description="models that the candidate must beat in bits per byte"
    )
    champion: Literal["not_worse", "better"] = Field(
        "not_worse",
        description="against the model in use, by the paired bootstrap interval of the difference. not_worse: the "
        "interval does not lie wholly above `tolerance`; better: it lies wholly below 0",
    )
    tolerance: float = Field(0.0, ge=0, description="bits per byte that a candidate may be worse for certain")


def judge(evaluation: Mapping[str, Any], config: PromoteConfig, taken_out: bool = False) -> list[dict[str, Any]]:
    """Every gate with what was measured.

    Args:
        evaluation: as from `tasks.evaluate.compare.evaluate`.
        taken_out: this very candidate was in use before, and somebody put another in its place.
    Returns:
        [{gate, passed, value, threshold, low, high}]: `value` is the candidate's bits per byte less the other's, `low`
        and `high` its interval where one was computed.
    """
    paired = {found["against"]: found for found in evaluation["comparisons"]}
    gates = [_better(evaluation["metrics"], paired.get(name), name) for name in config.better_than]
    if "champion" in paired:
        gates.append(_champion(paired["champion"], config))
    if taken_out:
        gates.append({"gate": "not taken out of use before", "passed": False, "value": None, "threshold": None})
    return gates


def sentence(action: str, gates: Sequence[Mapping[str, Any]]) -> str:
    """What became of the candidate, and why, in a plain sentence.

    Args:
        action: promoted, already_champion, kept (until a person decides), or blocked.
    """
    failed = [gate["gate"] for gate in gates if not gate["passed"]]
    return {
        "promoted": f"the candidate is now in use: it passed all {len(gates)} gates",
        "already_champion": "the candidate is the model in use already; nothing had to change",
        "kept": "the candidate passed all gates and waits for a person (`deskloop models promote`): automatic is false",
        "blocked": f"the candidate was not put in use: it failed {len(failed)} of {len(gates)} gates "
        f"({', '.join(failed)})",
    }[action]


def told(gate: Mapping[str, Any]) -> str:
    """One gate with its figures, for a message."""
    if gate["value"] is None:
        return str(gate["gate"])
    interval = f", between {gate['low']:+.3f} and {gate['high']:+.3f}" if "low" in gate else ""
    return f"{gate['gate']}: {gate['value']:+.3f} bits per byte{interval}; allowed up to {gate['threshold']:+.3f}"


def _better(metrics: Mapping[str, Any], paired: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Certainly better where draws tell, better at all where they do not (the count models)."""
    if paired is not None:
        return _gate(f"better than {name}", paired["high"] < 0, paired, 0.0)
    difference = round(metrics["candidate"][MEASURE] - metrics[name][MEASURE], 6)
    return {"gate": f"better than {name}", "passed": difference < 0, "value": difference, "threshold": 0.0}


def _champion(paired: Mapping[str, Any], config: PromoteConfig) -> dict[str, Any]:
    if config.champion == "better":
        return _gate("better than champion", paired["high"] < 0, paired, 0.0)
    return _gate("not worse than champion", paired["low"] <= config.tolerance, paired, config.tolerance)


def _gate(name: str, passed: bool, paired: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    found = {"value": paired["difference"], "low": paired["low"], "high": paired["high"]}
    return {"gate": name, "passed": passed, "threshold": threshold, **found}
