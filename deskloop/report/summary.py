"""The head of the report: the outcome of the run in a sentence, what needs a look, and the most important figures."""

from collections.abc import Sequence
from typing import Any

from deskloop.contract.report import Report
from deskloop.report.data import Stages, arrivals
from deskloop.report.evidence import expectations, missing_tools
from deskloop.report.glossary import TERMS
from deskloop.report.words import duration, moment, number, percent

Run = dict[str, Any]
OUTCOMES = {
    # action: style class, badge, headline
    "promoted": ("good", "✓ promoted", "The new model is the champion."),
    "kept": ("warn", "waiting", "The new model waits for a decision."),
    "blocked": ("warn", "blocked", "The new model was not promoted."),
    "already_champion": ("good", "✓ champion", "This model is the champion already."),
    "not_judged": ("warn", "not judged", "The new model was not evaluated for promotion."),
    "undecided": ("good", "✓ completed", "The new model was measured; nothing had to be decided."),
    "trained": ("good", "✓ completed", "A new model was trained."),
}


def summary(run: Run, stages: Stages, reports: Sequence[Report]) -> dict[str, Any]:
    """Return the verdict, facts about the run, what needs a look, and headline figures, of what the run has."""
    facts = [
        ("Pipeline", run["pipeline"]),
        ("Run", run["run_id"]),
        ("Started", moment(run["started_at"]) if run.get("started_at") else None),
        ("Took", duration(run["seconds"]) if run.get("seconds") is not None else None),
        ("deskloop", run.get("version")),
    ]
    kind, badge, headline = verdict(run, stages)
    why, comparison = (run.get("decision") or {}).get("why"), measured(run)
    words = f"{why or ''} {comparison or ''}".lower()
    return {
        "kind": kind,
        "badge": badge,
        "headline": headline,
        "why": why,
        "measured": comparison,
        "terms": [TERMS[name] for name in TERMS if name in words],
        "failed": run.get("status") == "failed",
        "error": run.get("error"),
        "facts": [(name, value) for name, value in facts if value],
        "figures": figures(run, stages, reports),
        "notices": notices(run, reports),
    }


def verdict(run: Run, stages: Stages) -> tuple[str, str, str]:
    """Return the run as a style class, a badge and one sentence."""
    if run.get("status") == "failed":
        step = run.get("failed_step")
        return "bad", "✗ failed", f"The run failed{f' at the step {step}' if step else ''}."
    if run.get("decision"):
        return OUTCOMES[action(run)]
    if _bits(run, "candidate") is not None:
        return OUTCOMES["undecided"]
    if run.get("training"):
        return OUTCOMES["trained"]
    read, kept = arrivals(run, stages)
    ready = f"{number(kept)} of {number(read)} conversations are ready for training."
    return "good", "✓ completed", ready if read else "Nothing was read."


def action(run: Run) -> str:
    """Return what happened to the candidate; derived from the gates where the document does not say."""
    decision = run.get("decision") or {}
    if decision.get("action") in OUTCOMES:
        return str(decision["action"])
    if decision.get("promoted"):
        return "promoted"
    return "blocked" if any(not gate.get("passed") for gate in decision.get("gates") or []) else "undecided"


def measured(run: Run) -> str | None:
    """Return the candidate's figure beside those of base and champion, in a sentence."""
    candidate, base, champion = (_bits(run, name) for name in ("candidate", "base", "champion"))
    if candidate is None or base is None:
        return None
    former = "the former champion" if action(run) == "promoted" else "the champion"
    others = f"its base needs {base:.2f}" + (f" and {former} {champion:.2f}" if champion is not None else "")
    needs = f"it needs {candidate:.2f} bits per byte"
    return f"To predict the agents' replies in conversations that it never saw, {needs}; {others}."


def notices(run: Run, reports: Sequence[Report]) -> list[dict[str, str]]:
    """Return what a person should look at, worst first: style class, text, and the section with details."""
    found = []
    for gate in (run.get("decision") or {}).get("gates") or []:
        if not gate.get("passed"):
            found.append({"kind": "bad", "text": f"Gate not passed: {gate.get('gate', '')}", "to": "decision"})
    for row in (expectations(run) or {"failed": []})["failed"]:
        found.append(
            {"kind": row["verdict"], "text": f"{row['step']}, not as expected: {row['text']}", "to": "expectations"}
        )
    for step, text in missing_tools(run):
        found.append({"kind": "warn", "text": f"{step}: {text}", "to": "environment"})
    for report in reports:
        found += [notice for notice in report.notices(run) if notice not in found]
    return sorted(found, key=lambda notice: notice["kind"] != "bad")


def _bits(run: Run, name: str) -> float | None:
    """Return bits per byte of one of the models, if it was evaluated."""
    return ((run.get("metrics") or {}).get(name) or {}).get("bits_per_byte")


def figures(run: Run, stages: Stages, reports: Sequence[Report]) -> list[tuple[str, str, str]]:
    """Return (name, figure, note) of the headline figures."""
    shown = []
    read, kept = arrivals(run, stages)
    if read:
        shown.append(("Conversations kept", number(kept), f"{percent(kept / read)} of {number(read)} read"))
    shown += [figure for report in reports for figure in report.figures(run)]
    if checked := expectations(run):
        note = "on the data, after every step" if checked["passed"] == checked["total"] else "see what needs a look"
        shown.append(("Expectations met", f"{number(checked['passed'])} of {number(checked['total'])}", note))
    candidate, base = _bits(run, "candidate"), _bits(run, "base")
    if candidate is not None and base:
        change = (candidate - base) / base
        less = f"{percent(abs(change), 0)} {'less' if change < 0 else 'more'} than its base; lower is better"
        shown.append(("Bits per byte", f"{candidate:.2f}", less))
    return shown
