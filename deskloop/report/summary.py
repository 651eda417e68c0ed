"""The head of the report: the outcome in one sentence, what needs attention, and the most important figures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from deskloop.contract.report import Report
from deskloop.report.attempt import attempt
from deskloop.report.evidence import expectations, missing_tools
from deskloop.report.funnel import Stages, arrivals
from deskloop.report.glossary import TERMS
from deskloop.report.words import duration, moment, number, percent

Run = dict[str, Any]
Tallied = Sequence[tuple[str, Report, Mapping[str, Run]]]  # a stage's name and report, and step -> document
OUTCOMES = {
    # action: style class, badge, headline
    "promoted": ("good", "✓ promoted", "The new model is the champion."),
    "kept": ("warn", "needs a decision", "The new model needs a decision."),
    "blocked": ("warn", "blocked", "The new model was not promoted."),
    "already_champion": ("good", "✓ champion", "This model is already the champion."),
    "not_judged": ("warn", "not judged", "The new model was not evaluated for promotion."),
    "undecided": ("good", "✓ completed", "The new model was evaluated; the pipeline has no promotion step."),
    "trained": ("good", "✓ completed", "A new model was trained."),
}


def summary(run: Run, stages: Stages, reports: Tallied, problems: list[str]) -> dict[str, Any]:
    """Return the verdict, facts about the run, what needs attention, and headline figures, of what the run has.

    Args:
        problems: as of `deskloop.report.render`.
    """
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
        "choice": choice(run),
        "measured": comparison,
        "terms": [TERMS[name] for name in TERMS if name in words],
        "failed": run.get("status") == "failed",
        "error": run.get("error"),
        "facts": [(name, value) for name, value in facts if value],
        "figures": figures(run, stages, reports, problems),
        "notices": notices(run, reports, problems),
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
    read, left = arrivals(run, stages)
    ready = f"{number(left)} of {number(read)} conversations are ready for training."
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
    """Return the candidate's figure beside those of base and champion, in a sentence per evaluation."""
    former = "the former champion" if action(run) == "promoted" else "the champion"
    sentences = []
    for step, evaluation in (run.get("evaluations") or {"": run}).items():
        candidate, base, champion = (_bits(evaluation, name) for name in ("candidate", "base", "champion"))
        if candidate is None or base is None:
            continue
        others = f"its base needs {base:.2f}" + (f" and {former} {champion:.2f}" if champion is not None else "")
        data = f"the test data of {step}" if step else "conversations that it was not trained on"
        needs = f"it needs {candidate:.2f} bits per byte"
        sentences.append(f"To predict the agents' replies in {data}, {needs}; {others}.")
    return " ".join(sentences) or None


def choice(run: Run) -> str | None:
    """Return a sentence on which of several candidates was chosen and why."""
    steps, chosen = ((run.get("candidates") or {}).get(key) for key in ("steps", "chosen"))
    if not steps or not chosen:
        return None
    names = f"{', '.join(steps[:-1])} and {steps[-1]}"
    gates = (run.get("decision") or {}).get("gates")
    if not gates:
        return f"The candidates are {names}; the figures on this page are those of {chosen}."
    passed = all(gate.get("passed") for gate in gates)
    reason = "it needs the fewest bits per byte" + (
        " of those that passed all gates" if passed else "; none passed all gates"
    )
    return f"Of the candidates {names}, {chosen} was chosen: {reason}."


def notices(run: Run, reports: Tallied, problems: list[str]) -> list[dict[str, str]]:
    """Return what needs attention, worst first: style class, text, and the section with details."""
    listed = []
    for gate in (run.get("decision") or {}).get("gates") or []:
        if not gate.get("passed"):
            listed.append({"kind": "bad", "text": f"Gate not passed: {gate.get('gate', '')}", "to": "decision"})
    for row in (expectations(run) or {"failed": []})["failed"]:
        listed.append(
            {"kind": row["verdict"], "text": f"{row['step']}, expectation not met: {row['text']}", "to": "expectations"}
        )
    for step, text in missing_tools(run):
        listed.append({"kind": "warn", "text": f"{step}: {text}", "to": "environment"})
    for name, report, documents in reports:
        for step, document in documents.items():
            reading = partial(_notices, report, step, document)
            listed += attempt(f"the notices of {step or name}", problems, reading, lambda _: [])
    listed += [{"kind": "warn", "text": f"{problem[:1].upper()}{problem[1:]}", "to": ""} for problem in problems]
    return sorted(listed, key=lambda notice: notice["kind"] != "bad")


def _notices(report: Report, step: str, document: Run) -> list[dict[str, str]]:
    prefix = f"{step}: " if step else ""
    rows = report.notices(document)
    return [{"kind": row["kind"], "text": f"{prefix}{row['text']}", "to": row["to"]} for row in rows]


def _bits(run: Run, name: str) -> float | None:
    """Return bits per byte of one of the models, if it was evaluated."""
    return ((run.get("metrics") or {}).get(name) or {}).get("bits_per_byte")


def figures(run: Run, stages: Stages, reports: Tallied, problems: list[str]) -> list[tuple[str, str, str]]:
    """Return (name, figure, note) of the headline figures."""
    shown = []
    read, left = arrivals(run, stages)
    if read:
        shown.append(("Conversations kept", number(left), f"{percent(left / read)} of {number(read)} read"))
    for name, report, documents in reports:
        for step, document in documents.items():
            reading = partial(_figures, report, step, document)
            shown += attempt(f"the headline figures of {step or name}", problems, reading, lambda _: [])
    if checked := expectations(run):
        note = "checked after every step" if checked["passed"] == checked["total"] else "see what needs attention"
        shown.append(("Expectations met", f"{number(checked['passed'])} of {number(checked['total'])}", note))
    candidate, base = _bits(run, "candidate"), _bits(run, "base")
    if candidate is not None and base:
        change = (candidate - base) / base
        less = f"{percent(abs(change), 0)} {'less' if change < 0 else 'more'} than its base; lower is better"
        data = next(iter(run.get("evaluations") or ()), None)
        shown.append(("Bits per byte", f"{candidate:.2f}", f"{less} ({data})" if data else less))
    return shown


def _figures(report: Report, step: str, document: Run) -> list[tuple[str, str, str]]:
    return [(name, figure, f"{note} ({step})" if step else note) for name, figure, note in report.figures(document)]
