"""Decide whether a candidate replaces the champion: gates on the figures of `evaluate`.

A significant difference on the test split is not enough, because training again with another seed also changes the
figures. "Better" and "not worse" therefore each have a margin, as a share of the other model's bits per byte.
`docs/models.md` has the measurements behind the defaults.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from deskloop.contract.errors import DataError
from deskloop.contract.stage import Port, PromotionStage, StageConfig

MEASURE = "bits_per_byte"
ENOUGH, REPLACED = "enough test families", "not replaced before"


class PromoteConfig(StageConfig):
    """Config of `promote`."""

    automatic: bool = Field(True, description="promote a candidate that passes all gates; false: a person decides")
    better_than: tuple[Literal["base", "unigram", "bigram"], ...] = Field(
        ("base", "unigram", "bigram"), description="models that the candidate must beat in bits per byte"
    )
    champion: Literal["not_worse", "better"] = Field(
        "not_worse",
        description="against the champion, by the paired interval of the difference over test families. not_worse: "
        "the candidate is worse by less than `margin`; better: it is better by more than `better_by`",
    )
    margin: float = Field(
        0.03,
        ge=0,
        lt=1,
        description="non-inferiority margin, as a share of the champion's bits per byte: the whole interval must lie "
        "below it",
    )
    better_by: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="superiority margin, as a share of the other model's bits per byte: the whole interval must lie "
        "below minus this share",
    )
    min_families: int = Field(50, ge=2, description="families in the test split; with fewer, a person decides")


def judge(
    evaluations: Mapping[str, Mapping[str, Any]], config: PromoteConfig, replaced: bool = False
) -> list[dict[str, Any]]:
    """Evaluate all gates.

    Args:
        evaluations: step -> result of `tasks.evaluate.compare.evaluate`, with the candidate named `candidate`; it must
            pass the gates of each that has `candidates`.
        replaced: this candidate was the champion before and another one has been promoted in its place.
    Returns:
        [{gate, passed, value, threshold, low, high}]: `value` is the candidate's bits per byte less the other's, `low`
        and `high` its interval, null if the test split is too small; for the gate on that size, `value` is its
        families.
    Raises:
        DataError: no evaluation has `candidates`.
    """
    gates: list[dict[str, Any]] = []
    comparing = _comparing(evaluations)
    for step, evaluation in comparing.items():
        suffix = f" on {step}" if len(comparing) > 1 else ""
        gates += [{**gate, "gate": f"{gate['gate']}{suffix}"} for gate in _gates(evaluation, config)]
    if replaced:
        gates.append({"gate": REPLACED, "passed": False, "value": None, "threshold": None})
    return gates


def _comparing(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the evaluations that compare candidates; others, such as one of drift, have figures of another kind."""
    comparing = {step: evaluation for step, evaluation in evaluations.items() if evaluation.get("candidates")}
    if not comparing:
        raise DataError(f"no candidate was evaluated by {', '.join(evaluations)}; add an `evaluate` step as an input")
    return comparing


def _gates(evaluation: Mapping[str, Any], config: PromoteConfig) -> list[dict[str, Any]]:
    """Evaluate the gates of one evaluation."""
    paired = {comparison["against"]: comparison for comparison in evaluation["comparisons"]}
    metrics = evaluation["metrics"]
    gates = [_compared("better than", name, metrics, paired, -config.better_by) for name in config.better_than]
    if "champion" in paired:
        strict = config.champion == "better"
        rule, share = ("better than", -config.better_by) if strict else ("not worse than", config.margin)
        gates.append(_compared(rule, "champion", metrics, paired, share))
    families = min((comparison.get("families", 0) for comparison in paired.values()), default=0)
    enough = {"gate": ENOUGH, "passed": families >= config.min_families, "value": families}
    return [*gates, {**enough, "threshold": config.min_families}]


def choose(
    evaluations: Mapping[str, Mapping[str, Any]],
    config: PromoteConfig,
    gates: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Choose the candidate with the lowest bits per byte among those that pass all gates, or else among all.

    Args:
        evaluations: step -> figures, with each candidate under its own name; the first with `candidates` ranks them.
        gates: candidate -> its gates.
    """
    metrics = next(iter(_comparing(evaluations).values()))["metrics"]
    order = list(gates)
    return min(order, key=lambda name: (bool(_failed(gates[name])), metrics[name][MEASURE], order.index(name)))


def decide(gates: Sequence[Mapping[str, Any]], config: PromoteConfig, is_champion: bool = False) -> str:
    """Decide on a candidate: promoted, already_champion, kept (until a person decides), or blocked.

    Args:
        is_champion: the candidate is the champion.
    """
    failed = _failed(gates)
    if is_champion:
        return "already_champion"
    if not failed:
        return "promoted" if config.automatic else "kept"
    return "kept" if any(map(_is_size, failed)) and REPLACED not in failed else "blocked"


def explain(action: str, gates: Sequence[Mapping[str, Any]]) -> str:
    """Explain a decision in one sentence.

    Args:
        action: the result of `decide`.
    """
    failed = _failed(gates)
    if action == "promoted":
        return f"the candidate is now the champion: it passed all {len(gates)} gates"
    if action == "already_champion":
        return "the candidate is already the champion; nothing changed"
    pending = "the candidate needs a person's decision (`deskloop models promote`)"
    others = [name for name in failed if not _is_size(name)]
    failure = f"failed {len(others)} of {len(gates)} gates ({', '.join(others)})"
    if action == "kept" and failed:
        size = next(gate for gate in gates if _is_size(gate["gate"]) and not gate["passed"])
        few = f"the test split has {size['value']:,} families, too few for a decision (at least {size['threshold']:,})"
        return f"{pending}: {few}" + (f"; it also {failure}" if others else "")
    if action == "kept":
        return f"{pending}: it passed all {len(gates)} gates, and automatic is false"
    return f"the candidate was not promoted: it {failure}"


def describe(gate: Mapping[str, Any]) -> str:
    """Describe one gate with its figures, for a message."""
    if _is_size(gate["gate"]):
        return f"{gate['gate']}: {gate['value']:,}; at least {gate['threshold']:,} required"
    if gate["value"] is None:
        return str(gate["gate"])
    has_interval = gate.get("low") is not None and gate.get("high") is not None
    interval = f"{gate['low']:+.3f} to {gate['high']:+.3f}" if has_interval else "too few families for an interval"
    measured = f"{gate['value']:+.3f} bits per byte ({interval})"
    return f"{gate['gate']}: {measured}; the whole interval must be below {gate['threshold']:+.3f}"


def _is_size(gate: str) -> bool:
    """Check that a gate is the one on the size of a test split."""
    return gate == ENOUGH or gate.startswith(f"{ENOUGH} on ")


def _failed(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    return [gate["gate"] for gate in gates if not gate["passed"]]


def _compared(
    rule: str, name: str, metrics: Mapping[str, Any], paired: Mapping[str, Mapping[str, Any]], share: float
) -> dict[str, Any]:
    """Build a gate that passes if the whole interval of a difference is below a share of the other's bits per byte."""
    comparison = paired.get(name, {})
    low, high = comparison.get("low"), comparison.get("high")
    threshold = round(share * float(metrics[name][MEASURE]), 6)
    return {
        "gate": f"{rule} {name}",
        "passed": high is not None and high < threshold,
        "value": comparison.get("difference"),
        "threshold": threshold,
        "low": low,
        "high": high,
    }


STAGE = PromotionStage(
    name="promote",
    dataset="promotion",
    summary="Promotes the best candidate to champion if it passes every gate.",
    config=PromoteConfig,
    ports={"evaluation": Port(kind="figures", many=True)},
    judge=judge,
    choose=choose,
    decide=decide,
    explain=explain,
    describe=describe,
)
