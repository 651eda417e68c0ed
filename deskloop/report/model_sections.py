"""The model's sections: how it was trained, how it compares, what was decided, and what it answers."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from deskloop.report.charts import Segment, bar, difference
from deskloop.report.curve import Series, curve
from deskloop.report.glossary import GATES, METRICS, MODELS
from deskloop.report.summary import choice
from deskloop.report.words import MISSING, decimals, duration, moment, number, percent, setting, signed, title

Run = dict[str, Any]
Metrics = Mapping[str, Mapping[str, Any]]
SIZES = {"wide": (760, 320), "narrow": (360, 280)}  # pixels
COLUMNS = ("bits_per_byte", "loss", "perplexity", "token_accuracy", "supervised_tokens")
SPEAKERS = ("base", "candidate", "champion")


def training(run: Run) -> list[dict[str, Any]] | None:
    """Return the losses, settings and effort of every candidate's training."""
    chosen = (run.get("candidates") or {}).get("chosen")
    trained = run.get("training") or {}
    labels = {step: f"{step} (chosen)" if step == chosen else step if len(trained) > 1 else "" for step in trained}
    return [
        {"label": labels[step], **_training(step, index, details)}
        for index, (step, details) in enumerate(trained.items(), 1)
    ] or None


def _training(step: str, index: int, trained: Mapping[str, Any]) -> dict[str, Any]:
    """Return the curves of one training, its settings, and its effort."""
    history = trained.get("history") or []
    series = [
        Series("training", "training loss", _points(history, "loss")),
        Series("validation", "validation loss", _points(history, "validation_loss")),
    ]
    drawn = [line for line in series if line.points]
    axes = ("training step", "loss, nats per token")
    heading = f"Training and validation loss of {step} by training step"
    charts = [curve(drawn, size, f"{name}-{index}", heading, axes) for name, size in SIZES.items() if drawn]
    facts = [
        ("Parameters", number(trained.get("parameters"))),
        ("Tokens seen", number(trained.get("tokens"))),
        ("Time", duration(trained.get("seconds"))),
        ("Device", trained.get("device")),
        ("Compute dtype", trained.get("precision")),
    ]
    best = min(series[1].points, key=lambda point: point[1], default=None)
    return {
        "charts": charts,
        "lines": [(line.kind, line.name) for line in drawn],
        "best": {"step": number(round(best[0])), "loss": decimals(best[1], 3)} if best else None,
        "facts": [(name, value) for name, value in facts if value and value != MISSING],
        "settings": [(title(name), setting(value)) for name, value in (trained.get("settings") or {}).items()],
    }


def _points(history: list[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) of the entries of a training history that have that value."""
    pairs = [(entry.get("step"), entry.get(key)) for entry in history]
    return [(float(x), float(y)) for x, y in pairs if x is not None and y is not None and math.isfinite(y)]


def comparison(run: Run) -> dict[str, Any] | None:
    """Return the models of every evaluation in a fixed order, with their figures and the candidate's differences."""
    evaluations = run.get("evaluations") or {"": run}
    metrics = [
        {name: cell for name, cell in (each.get("metrics") or {}).items() if cell} for each in evaluations.values()
    ]
    if not any(metrics):
        return None
    margins, names = run.get("margins") or {}, _names(run)
    shown = [key for key in COLUMNS if any(key in cell for models in metrics for cell in models.values())]
    return {
        "evaluations": [
            {"step": step, **_evaluation(each, models, names, margins)}
            for (step, each), models in zip(evaluations.items(), metrics, strict=True)
            if models
        ],
        "candidate": names["candidate"][0],
        "columns": [METRICS[key][0] for key in COLUMNS],
        "explained": [METRICS[key] for key in shown],
        "references": any("unigram" in models or "bigram" in models for models in metrics),
        "better_by": percent(margins["better_by"]) if "better_by" in margins else None,
        "margin": percent(margins.get("margin", 0.0)),
    }


def _names(run: Run) -> dict[str, tuple[str, str]]:
    """Return the name of every model and what it is; with several candidates, which of them was chosen."""
    chosen, steps = ((run.get("candidates") or {}).get(key) for key in ("chosen", "steps"))
    if not chosen:
        return MODELS
    others = {
        step: (f"Candidate {step}", "another model that this run trained") for step in steps or () if step != chosen
    }
    candidate = (f"Candidate {chosen}", "the chosen one of the models that this run trained")
    return {"candidate": candidate, **others, **{name: MODELS[name] for name in MODELS if name != "candidate"}}


def _evaluation(
    evaluation: Run, metrics: Metrics, names: Mapping[str, tuple[str, str]], margins: Mapping[str, float]
) -> dict[str, Any]:
    """Return the bars of all models on the same conversations, and the candidate against each other model."""
    order = [name for name in names if name in metrics] + [name for name in metrics if name not in names]
    ends = [metrics[name].get(key) for name in order for key in ("bits_per_byte", "bits_per_byte_high")]
    most = max((value for value in ends if _finite(value)), default=0.0)
    compared = [pair for pair in evaluation.get("comparisons") or [] if _finite(pair.get("difference"))]
    pairs = [_pair(pair, metrics, names, margins) for pair in compared]
    return {
        "rows": [_model(name, names.get(name, (title(name), "")), metrics[name], most) for name in order],
        "intervals": any(_interval(metrics[name], "bits_per_byte_") for name in order) or any(p["low"] for p in pairs),
        "pairs": pairs,
        "families": next((pair["families"] for pair in pairs if pair["families"] is not None), None),
        "conversations": next((pair["conversations"] for pair in pairs if pair["conversations"] is not None), None),
        "confidence": percent(evaluation.get("confidence", 0.95), 0),
    }


def _model(name: str, named: tuple[str, str], figures: Mapping[str, Any], most: float) -> dict[str, Any]:
    """Return one model's row; `most` bits per byte fill the whole bar."""
    kind = name if name in SPEAKERS else "reference"
    bits, interval = figures.get("bits_per_byte"), _interval(figures, "bits_per_byte_")
    label = f"{decimals(bits, 3)} bits per byte" + (f", {_range(interval, 3)}" if interval else "")
    return {
        "model": named[0],
        "note": named[1],
        "bits": decimals(bits, 3),
        "interval": _range(interval, 3) if interval else None,
        "bar": bar([Segment(kind, bits, "")], most, label, interval) if _finite(bits) else None,
        "cells": [
            decimals(bits, 3),
            decimals(figures.get("loss"), 3),
            decimals(figures.get("perplexity"), 1),
            percent(figures.get("token_accuracy")),
            number(figures.get("supervised_tokens")),
        ],
    }


def _pair(
    pair: Mapping[str, Any], metrics: Metrics, names: Mapping[str, tuple[str, str]], margins: Mapping[str, float]
) -> dict[str, Any]:
    """Return the candidate against one other model, and what its interval implies."""
    value, interval, against = float(pair["difference"]), _interval(pair, ""), pair.get("against", "")
    name = names.get(against, (title(against), ""))[0].lower()
    bits = metrics.get(against, {}).get("bits_per_byte") or 0.0
    verdict, words = _verdict(interval, bits * margins.get("better_by", 0.0), bits * margins.get("margin", 0.0))
    spread = f", {_range(interval, 3, sign=True)}" if interval else ""
    return {
        "against": name,
        "difference": signed(value),
        "low": signed(interval[0]) if interval else None,
        "high": signed(interval[1]) if interval else None,
        "verdict": verdict,
        "words": words,
        "chart": difference(value, interval, f"candidate minus {name}: {signed(value)} bits per byte{spread}"),
        "families": pair.get("families"),
        "conversations": pair.get("conversations"),
    }


def _verdict(interval: tuple[float, float] | None, better_by: float, margin: float) -> tuple[str, str]:
    """Style class and words; both limits are in bits per byte."""
    if interval is None:
        return "warn", "too few families for an interval"
    low, high = interval
    if high < -better_by:
        return "good", "better"
    if low > margin:
        return "bad", "worse"
    if high < margin:
        return "warn", "not worse"
    return "warn", "undecided: it may be better, equal or worse" if low < 0 else "undecided: it may be worse"


def decision(run: Run) -> dict[str, Any] | None:
    """Return the decision, every gate with its measurement, the model, and the champion that it was compared with."""
    outcome, model, champion = run.get("decision") or {}, run.get("model") or {}, run.get("champion") or {}
    if not outcome and not model.get("name"):
        return None
    facts = [
        ("Model", _named(model)),
        ("Candidate", (run.get("candidates") or {}).get("chosen")),
        ("Role", model["alias"] if model.get("alias") in ("champion", "challenger") else None),
        ("Compared with", _named(champion)),
        ("Promoted", moment(champion["since"]) if champion.get("since") else None),
        ("Version in the catalog", model.get("catalog")),
        ("Folder", model.get("folder")),
    ]
    return {
        "why": outcome.get("why"),
        "choice": choice(run),
        "gates": [_gate(gate) for gate in outcome.get("gates") or []],
        "facts": [(name, value) for name, value in facts if value],
        "first": bool(outcome) and not champion,
    }


def _named(model: Mapping[str, Any]) -> str | None:
    """Return name and version of a registered model."""
    return " version ".join(str(model[key]) for key in ("name", "version") if key in model) or None


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Return one gate's row: a comparison in bits per byte, or a count that has a least value."""
    name, _, evaluation = gate.get("gate", "").partition(" on ")
    interval, limit = _interval(gate, ""), gate.get("threshold")
    needed = number(limit) if limit is not None else None
    compared = name.startswith(("better than", "not worse than"))
    if _finite(limit) and compared:
        needed = f"the whole interval below {signed(float(limit or 0))}"
    elif needed is not None:
        needed = f"at least {needed}"
    value = gate.get("value")
    return {
        "gate": f"{title(name)} on {evaluation}" if evaluation else title(name),
        "note": GATES.get(name, ""),
        "passed": bool(gate.get("passed")),
        "value": MISSING if value is None or not _finite(value) else signed(value) if compared else number(value),
        "interval": _range(interval, 3, sign=True) if interval else None,
        "needed": needed,
    }


def _interval(figures: Mapping[str, Any], prefix: str) -> tuple[float, float] | None:
    """Return low and high end, if both are there."""
    low, high = figures.get(f"{prefix}low"), figures.get(f"{prefix}high")
    return (low, high) if _finite(low) and _finite(high) else None


def _range(interval: tuple[float, float], places: int, sign: bool = False) -> str:
    return " to ".join(signed(end, places) if sign else decimals(end, places) for end in interval)


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def replies(run: Run) -> dict[str, Any] | None:
    """Return declared prompts with the reply of each model; an empty reply is shown as such."""
    declared = run.get("replies")
    if not declared:
        return None
    names = _names(run)
    answering = [name for name in names if name != "base" and any(name in reply for reply in declared)]
    models = list(dict.fromkeys(("base", "candidate", *answering)))
    prompts = [
        {
            "prompt": [
                {"role": turn.get("role", ""), "text": turn.get("text", "")} for turn in reply.get("prompt", [])
            ],
            "answers": [
                (names[name][0], name if name in SPEAKERS else "reference", (reply.get(name) or "").strip())
                for name in models
            ],
        }
        for reply in declared
    ]
    return {"prompts": prompts, "models": [names[name] for name in models]}
