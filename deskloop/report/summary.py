"""The head of the report: the verdict in one sentence, and the few figures that matter most."""

from typing import Any

from deskloop.report.data import arrivals
from deskloop.report.words import duration, moment, number, percent, spoken

Run = dict[str, Any]


def summary(run: Run) -> dict[str, Any]:
    """Verdict, facts about the run, and headline figures, of what the run has."""
    facts = [
        ("Pipeline", run["pipeline"]),
        ("Run", run["run_id"]),
        ("Started", moment(run["started_at"]) if run.get("started_at") else None),
        ("Took", duration(run["seconds"]) if run.get("seconds") is not None else None),
        ("deskloop", run.get("version")),
    ]
    return {
        "verdict": verdict(run),
        "failed": run.get("status") == "failed",
        "error": run.get("error"),
        "facts": [(name, value) for name, value in facts if value],
        "figures": figures(run),
    }


def verdict(run: Run) -> str:
    """The run in one sentence."""
    if run.get("status") == "failed":
        step = run.get("failed_step")
        return f"The run failed{f' at the step {step}' if step else ''}."
    candidate, base, champion = (_bits(run, name) for name in ("candidate", "base", "champion"))
    if candidate is None or base is None:
        read, kept = arrivals(run)
        return (
            f"{number(kept)} of {number(read)} conversations are ready for training." if read else "Nothing was read."
        )
    beats = "beats" if candidate < base else "does not beat"
    text = f"The candidate {beats} its base: {candidate:.2f} against {base:.2f} bits per byte"
    if champion is not None:
        better = "better" if candidate < champion else "no better"
        text += f", and is {better} than the model in use ({champion:.2f})"
    return f"{text}.{_decided(run)}"


def _decided(run: Run) -> str:
    """What follows from it: promoted, or held back and by which gates; nothing if nobody had to decide."""
    decision = run.get("decision")
    if not decision:
        return ""
    if decision.get("promoted"):
        return " It is promoted."
    gates = [spoken(gate["gate"]) for gate in decision.get("gates") or [] if not gate.get("passed")]
    return f" It is not promoted: {', '.join(gates)}." if gates else " It passed every gate."


def _bits(run: Run, name: str) -> float | None:
    """Bits per byte of one of the models, if it was evaluated."""
    return ((run.get("metrics") or {}).get(name) or {}).get("bits_per_byte")


def figures(run: Run) -> list[tuple[str, str, str]]:
    """(name, figure, note) of the headline figures."""
    shown = []
    read, kept = arrivals(run)
    if read:
        shown.append(("Conversations kept", number(kept), f"{percent(kept / read)} of {number(read)} read"))
    if (entities := run.get("entities")) is not None:
        found = sum(entity.get("count", 0) for entity in entities.values())
        shown.append(("Personal values", number(found), f"replaced, of {len(entities)} types"))
    crossing = (run.get("proof") or {}).get("families_crossing")
    if crossing is not None:
        shown.append(("Families across splits", number(crossing), "none may be" if crossing else "as it must be"))
    candidate, base = _bits(run, "candidate"), _bits(run, "base")
    if candidate is not None and base:
        change = (candidate - base) / base
        less = f"{percent(abs(change), 0)} {'less' if change < 0 else 'more'} than its base"
        shown.append(("Bits per byte", f"{candidate:.2f}", less))
    return shown
