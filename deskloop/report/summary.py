"""The head of the report: what became of the run in a sentence, what needs a look, and the figures that matter most."""

from typing import Any

from deskloop.report.data import arrivals, proof
from deskloop.report.evidence import expectations, missing
from deskloop.report.glossary import TERMS
from deskloop.report.words import duration, moment, number, percent

Run = dict[str, Any]
OUTCOMES = {
    # action: style class, badge, headline
    "promoted": ("good", "✓ in use", "The new model is in use."),
    "kept": ("warn", "waiting", "The new model waits for a decision."),
    "blocked": ("warn", "held back", "The new model was not put in use."),
    "already_champion": ("good", "✓ in use", "This model is the one in use already."),
    "not_judged": ("warn", "not judged", "The new model was not judged."),
    "undecided": ("good", "✓ completed", "The new model was measured; nothing had to be decided."),
    "trained": ("good", "✓ completed", "A new model was trained."),
}


def summary(run: Run) -> dict[str, Any]:
    """Verdict, facts about the run, what needs a look, and headline figures, of what the run has."""
    facts = [
        ("Pipeline", run["pipeline"]),
        ("Run", run["run_id"]),
        ("Started", moment(run["started_at"]) if run.get("started_at") else None),
        ("Took", duration(run["seconds"]) if run.get("seconds") is not None else None),
        ("deskloop", run.get("version")),
    ]
    kind, badge, headline = verdict(run)
    why, figures_told = (run.get("decision") or {}).get("why"), measured(run)
    told = f"{why or ''} {figures_told or ''}".lower()
    return {
        "kind": kind,
        "badge": badge,
        "headline": headline,
        "why": why,
        "measured": figures_told,
        "terms": [TERMS[name] for name in TERMS if name in told],
        "failed": run.get("status") == "failed",
        "error": run.get("error"),
        "facts": [(name, value) for name, value in facts if value],
        "figures": figures(run),
        "notices": notices(run),
    }


def verdict(run: Run) -> tuple[str, str, str]:
    """The run as a style class, a badge and one sentence."""
    if run.get("status") == "failed":
        step = run.get("failed_step")
        return "bad", "✗ failed", f"The run failed{f' at the step {step}' if step else ''}."
    if run.get("decision"):
        return OUTCOMES[action(run)]
    if _bits(run, "candidate") is not None:
        return OUTCOMES["undecided"]
    if run.get("training"):
        return OUTCOMES["trained"]
    read, kept = arrivals(run)
    told = f"{number(kept)} of {number(read)} conversations are ready for training."
    return "good", "✓ completed", told if read else "Nothing was read."


def action(run: Run) -> str:
    """What became of the candidate; told from the gates where the document does not say."""
    found = run.get("decision") or {}
    if found.get("action") in OUTCOMES:
        return str(found["action"])
    if found.get("promoted"):
        return "promoted"
    return "blocked" if any(not gate.get("passed") for gate in found.get("gates") or []) else "undecided"


def measured(run: Run) -> str | None:
    """The candidate's figure beside those of base and champion, in a sentence."""
    candidate, base, champion = (_bits(run, name) for name in ("candidate", "base", "champion"))
    if candidate is None or base is None:
        return None
    in_use = "the model in use before" if action(run) == "promoted" else "the model in use"
    others = f"its base needs {base:.2f}" + (f" and {in_use} {champion:.2f}" if champion is not None else "")
    needs = f"it needs {candidate:.2f} bits per byte"
    return f"To predict the agents' replies in conversations that it never saw, {needs}; {others}."


def notices(run: Run) -> list[dict[str, str]]:
    """What a person should look at, worst first: style class, text, and the section that tells more."""
    found = []
    for gate in (run.get("decision") or {}).get("gates") or []:
        if not gate.get("passed"):
            found.append({"kind": "bad", "text": f"Gate not passed: {gate.get('gate', '')}", "to": "decision"})
    for line in (proof(run) or {"lines": []})["lines"]:
        if line["verdict"] == "bad":
            found.append({"kind": "bad", "text": line["text"], "to": "proof"})
    for row in (expectations(run) or {"failed": []})["failed"]:
        found.append(
            {"kind": row["verdict"], "text": f"{row['step']}, not as expected: {row['text']}", "to": "expectations"}
        )
    for step, text in missing(run):
        found.append({"kind": "warn", "text": f"{step}: {text}", "to": "environment"})
    return sorted(found, key=lambda notice: notice["kind"] != "bad")


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
    if (generators := run.get("augmentation")) is not None:
        copies = sum(generator.get("kept", 0) for generator in generators)
        shown.append(("Copies written", number(copies), "for rare intents, in training only"))
    crossing = (run.get("proof") or {}).get("families_crossing")
    if crossing is not None:
        shown.append(
            (
                "Families across splits",
                number(crossing),
                "none may be" if crossing else "like conversations stay together",
            )
        )
    if held := expectations(run):
        note = "on the data, after every step" if held["passed"] == held["total"] else "see what needs a look"
        shown.append(("Expectations met", f"{number(held['passed'])} of {number(held['total'])}", note))
    candidate, base = _bits(run, "candidate"), _bits(run, "base")
    if candidate is not None and base:
        change = (candidate - base) / base
        less = f"{percent(abs(change), 0)} {'less' if change < 0 else 'more'} than its base; lower is better"
        shown.append(("Bits per byte", f"{candidate:.2f}", less))
    return shown
