"""Decide whether a candidate takes the champion's place: gates on figures that `evaluate` left.

A verdict needs more than a difference beyond the chance of the test split: the same training with another seed gives
another model, and that alone moves the figure. So "better" and "not worse" are each declared by how much, as a share of
the other model's bits per byte. `docs/models.md` has the measurements behind the defaults.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from deskloop.contract.stage import Port, PromotionStage, StageConfig

MEASURE = "bits_per_byte"
ENOUGH, REPLACED = "enough test families", "not replaced before"


class PromoteConfig(StageConfig):
    """Config of `promote`."""

    automatic: bool = Field(True, description="promote a candidate that passes all gates; false: a person does")
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
        description="what counts as better, as a share of the other model's bits per byte: the whole interval must lie "
        "below minus this share",
    )
    min_families: int = Field(
        50, ge=2, description="families that the test split must have; with fewer, a person decides"
    )


def judge(
    evaluations: Mapping[str, Mapping[str, Any]], config: PromoteConfig, replaced: bool = False
) -> list[dict[str, Any]]:
    """Every gate with what was measured.

    Args:
        evaluations: step -> figures as from `tasks.evaluate.compare.evaluate`, with the candidate's under `candidate`;
            a candidate must pass the gates of each.
        replaced: this very candidate was the champion before, and somebody promoted another in its place.
    Returns:
        [{gate, passed, value, threshold, low, high}]: `value` is the candidate's bits per byte less the other's, `low`
        and `high` its interval, null where the test split allows none; of the gate on the split's size, its families.
    """
    gates: list[dict[str, Any]] = []
    for step, evaluation in evaluations.items():
        suffix = f" on {step}" if len(evaluations) > 1 else ""
        gates += [{**gate, "gate": f"{gate['gate']}{suffix}"} for gate in _gates(evaluation, config)]
    if replaced:
        gates.append({"gate": REPLACED, "passed": False, "value": None, "threshold": None})
    return gates


def _gates(evaluation: Mapping[str, Any], config: PromoteConfig) -> list[dict[str, Any]]:
    """The gates of one evaluation."""
    paired = {found["against"]: found for found in evaluation["comparisons"]}
    metrics = evaluation["metrics"]
    gates = [_compared("better than", name, metrics, paired, -config.better_by) for name in config.better_than]
    if "champion" in paired:
        strict = config.champion == "better"
        rule, share = ("better than", -config.better_by) if strict else ("not worse than", config.margin)
        gates.append(_compared(rule, "champion", metrics, paired, share))
    families = min((found.get("families", 0) for found in paired.values()), default=0)
    enough = {"gate": ENOUGH, "passed": families >= config.min_families, "value": families}
    return [*gates, {**enough, "threshold": config.min_families}]


def choose(
    evaluations: Mapping[str, Mapping[str, Any]],
    config: PromoteConfig,
    gates: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """The best of several candidates: of those that pass all gates, or else of all, the lowest bits per byte.

    Args:
        evaluations: step -> figures with every candidate's under its own name; the first one ranks.
        gates: candidate -> its gates.
    """
    metrics = next(iter(evaluations.values()))["metrics"]
    order = list(gates)
    return min(order, key=lambda name: (bool(_failed(gates[name])), metrics[name][MEASURE], order.index(name)))


def decide(gates: Sequence[Mapping[str, Any]], config: PromoteConfig, in_use: bool = False) -> str:
    """What becomes of the candidate: promoted, already_champion, kept (until a person decides), or blocked.

    Args:
        in_use: the candidate is the champion.
    """
    failed = _failed(gates)
    if in_use:
        return "already_champion"
    if not failed:
        return "promoted" if config.automatic else "kept"
    return "kept" if any(map(_is_size, failed)) and REPLACED not in failed else "blocked"


def explain(action: str, gates: Sequence[Mapping[str, Any]]) -> str:
    """What became of the candidate, and why, in a plain sentence.

    Args:
        action: as from `decide`.
    """
    failed = _failed(gates)
    if action == "promoted":
        return f"the candidate is now the champion: it passed all {len(gates)} gates"
    if action == "already_champion":
        return "the candidate is the champion already; nothing had to change"
    waits = "the candidate waits for a person's decision (`deskloop models promote`)"
    others = [name for name in failed if not _is_size(name)]
    told = f"failed {len(others)} of {len(gates)} gates ({', '.join(others)})"
    if action == "kept" and failed:
        size = next(gate for gate in gates if _is_size(gate["gate"]) and not gate["passed"])
        few = f"the test split has {size['value']:,} families, and fewer than {size['threshold']:,} decide nothing"
        return f"{waits}: {few}" + (f"; it also {told}" if others else "")
    if action == "kept":
        return f"{waits}: it passed all {len(gates)} gates, and automatic is false"
    return f"the candidate was not promoted: it {told}"


def describe(gate: Mapping[str, Any]) -> str:
    """One gate with its figures, for a message."""
    if _is_size(gate["gate"]):
        return f"{gate['gate']}: {gate['value']:,}; at least {gate['threshold']:,} needed"
    if gate["value"] is None:
        return str(gate["gate"])
    known = gate.get("low") is not None and gate.get("high") is not None
    interval = f"between {gate['low']:+.3f} and {gate['high']:+.3f}" if known else "too few families for an interval"
    measured = f"{gate['value']:+.3f} bits per byte, {interval}"
    return f"{gate['gate']}: {measured}; all of it below {gate['threshold']:+.3f} needed"


def _is_size(gate: str) -> bool:
    """Whether a gate is the one on the size of a test split."""
    return gate == ENOUGH or gate.startswith(f"{ENOUGH} on ")


def _failed(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    return [gate["gate"] for gate in gates if not gate["passed"]]


def _compared(
    rule: str, name: str, metrics: Mapping[str, Any], paired: Mapping[str, Mapping[str, Any]], share: float
) -> dict[str, Any]:
    """A gate that the whole interval of a difference passes by lying below a share of the other's bits per byte."""
    found = paired.get(name, {})
    low, high = found.get("low"), found.get("high")
    threshold = round(share * float(metrics[name][MEASURE]), 6)
    return {
        "gate": f"{rule} {name}",
        "passed": high is not None and high < threshold,
        "value": found.get("difference"),
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
