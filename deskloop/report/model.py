"""The model's sections: how it was trained, how it compares, what was decided, and what it answers."""

import math
from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, bar, difference
from deskloop.report.curve import Series, curve
from deskloop.report.glossary import GATES, METRICS, MODELS
from deskloop.report.words import MISSING, decimals, duration, moment, number, percent, setting, signed, title

Run = dict[str, Any]
WIDE, NARROW = (760, 320), (360, 280)  # pixels
COLUMNS = ("bits_per_byte", "loss", "perplexity", "token_accuracy", "supervised_tokens")
SPEAKERS = ("base", "candidate", "champion")


def training(run: Run) -> dict[str, Any] | None:
    """Return curves of the losses, settings, and the size of the effort."""
    trained = run.get("training")
    if not trained:
        return None
    history = trained.get("history") or []
    series = [
        Series("training", "training loss", _points(history, "loss")),
        Series("validation", "validation loss", _points(history, "validation_loss")),
    ]
    drawn = [line for line in series if line.points]
    axes = ("training step", "loss, nats per token")
    named = "Training and validation loss by training step"
    charts = [curve(drawn, size, name, named, axes) for name, size in (("wide", WIDE), ("narrow", NARROW)) if drawn]
    facts = [
        ("Parameters", number(trained.get("parameters"))),
        ("Tokens seen", number(trained.get("tokens"))),
        ("Time", duration(trained.get("seconds"))),
        ("Device", trained.get("device")),
        ("Precision", trained.get("precision")),
    ]
    settings = [(title(name), setting(value)) for name, value in (trained.get("settings") or {}).items()]
    best = min(series[1].points, key=lambda point: point[1], default=None)
    return {
        "charts": charts,
        "lines": [(line.kind, line.name) for line in drawn],
        "best": {"step": number(round(best[0])), "loss": decimals(best[1], 3)} if best else None,
        "facts": [(name, value) for name, value in facts if value and value != MISSING],
        "settings": settings,
    }


def _points(history: list[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) of the entries of a training history that have that value."""
    found = [(entry.get("step"), entry.get(key)) for entry in history]
    return [(float(x), float(y)) for x, y in found if x is not None and y is not None and math.isfinite(y)]


def comparison(run: Run) -> dict[str, Any] | None:
    """Every evaluated model in a fixed order, with a bar of its bits per byte, and the candidate's differences."""
    metrics = {name: found for name, found in (run.get("metrics") or {}).items() if found}
    if not metrics:
        return None
    order = [name for name in MODELS if name in metrics] + [name for name in metrics if name not in MODELS]
    ends = [metrics[name].get(key) for name in order for key in ("bits_per_byte", "bits_per_byte_high")]
    most = max((value for value in ends if _finite(value)), default=0.0)
    shown = [key for key in COLUMNS if any(key in found for found in metrics.values())]
    margins = run.get("margins") or {}
    pairs = [_pair(pair, metrics, margins) for pair in run.get("comparisons") or [] if _finite(pair.get("difference"))]
    return {
        "rows": [_model(name, metrics[name], most) for name in order],
        "columns": [METRICS[key][0] for key in COLUMNS],
        "explained": [METRICS[key] for key in shown],
        "intervals": any(_interval(metrics[name], "bits_per_byte_") for name in order) or any(p["low"] for p in pairs),
        "references": "unigram" in metrics or "bigram" in metrics,
        "pairs": pairs,
        "families": next((pair["families"] for pair in pairs if pair["families"] is not None), None),
        "conversations": next((pair["conversations"] for pair in pairs if pair["conversations"] is not None), None),
        "confidence": percent(run.get("confidence", 0.95), 0),
        "better_by": percent(margins["better_by"]) if "better_by" in margins else None,
        "margin": percent(margins.get("margin", 0.0)),
    }


def _model(name: str, found: Mapping[str, Any], most: float) -> dict[str, Any]:
    """Return one model's row; `most` bits per byte fill the whole bar."""
    heading, note = MODELS.get(name, (title(name), ""))
    kind = name if name in SPEAKERS else "reference"
    bits, interval = found.get("bits_per_byte"), _interval(found, "bits_per_byte_")
    label = f"{decimals(bits, 3)} bits per byte" + (f", {_range(interval, 3)}" if interval else "")
    return {
        "model": heading,
        "note": note,
        "bits": decimals(bits, 3),
        "interval": _range(interval, 3) if interval else None,
        "bar": bar([Segment(kind, float(bits), "")], most, label, interval)
        if bits is not None and _finite(bits)
        else None,
        "cells": [
            decimals(bits, 3),
            decimals(found.get("loss"), 3),
            decimals(found.get("perplexity"), 1),
            percent(found.get("token_accuracy")),
            number(found.get("supervised_tokens")),
        ],
    }


def _pair(
    pair: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], margins: Mapping[str, float]
) -> dict[str, Any]:
    """Return the candidate against one other model, and what its interval implies."""
    value, interval = float(pair["difference"]), _interval(pair, "")
    name = MODELS.get(pair.get("against", ""), (title(pair.get("against", "")), ""))[0]
    bits = metrics.get(pair.get("against", ""), {}).get("bits_per_byte") or 0.0
    verdict, words = _verdict(interval, bits * margins.get("better_by", 0.0), bits * margins.get("margin", 0.0))
    spread = f", {_range(interval, 3, sign=True)}" if interval else ""
    return {
        "against": name.lower(),
        "difference": signed(value),
        "low": signed(interval[0]) if interval else None,
        "high": signed(interval[1]) if interval else None,
        "verdict": verdict,
        "words": words,
        "chart": difference(value, interval, f"candidate less {name.lower()}: {signed(value)} bits per byte{spread}"),
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
    found, model, champion = run.get("decision") or {}, run.get("model") or {}, run.get("champion") or {}
    if not found and not model.get("name"):
        return None
    facts = [
        ("Model", _named(model)),
        (
            "Role",
            {"champion": "champion", "challenger": "challenger"}.get(model.get("alias", "")),
        ),
        ("Compared with", _named(champion)),
        ("Promoted", moment(champion["since"]) if champion.get("since") else None),
        ("In the catalog", model.get("catalog")),
        ("Folder", model.get("folder")),
    ]
    return {
        "why": found.get("why"),
        "gates": [_gate(gate) for gate in found.get("gates") or []],
        "facts": [(name, value) for name, value in facts if value],
        "first": bool(found) and not champion,
    }


def _named(model: Mapping[str, Any]) -> str | None:
    """Return name and version of a registered model."""
    return " version ".join(str(model[key]) for key in ("name", "version") if key in model) or None


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Return one gate's row: a comparison in bits per byte, or a count that has a least value."""
    name, interval, limit = gate.get("gate", ""), _interval(gate, ""), gate.get("threshold")
    needed = number(limit) if limit is not None else None
    compared = name.startswith(("better than", "not worse than"))
    if _finite(limit) and compared:
        needed = f"the whole interval below {signed(float(limit or 0))}"
    elif needed is not None:
        needed = f"at least {needed}"
    value = gate.get("value")
    return {
        "gate": title(name),
        "note": GATES.get(name, ""),
        "passed": bool(gate.get("passed")),
        "value": MISSING if value is None or not _finite(value) else signed(value) if compared else number(value),
        "interval": _range(interval, 3, sign=True) if interval else None,
        "needed": needed,
    }


def _interval(found: Mapping[str, Any], prefix: str) -> tuple[float, float] | None:
    """Return low and high end, if both are there."""
    low, high = found.get(f"{prefix}low"), found.get(f"{prefix}high")
    return (
        (float(low), float(high)) if low is not None and high is not None and _finite(low) and _finite(high) else None
    )


def _range(interval: tuple[float, float], places: int, sign: bool = False) -> str:
    return " to ".join(signed(end, places) if sign else decimals(end, places) for end in interval)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def replies(run: Run) -> dict[str, Any] | None:
    """Return declared prompts with the reply of each model; an empty reply is shown as such."""
    found = run.get("replies")
    if not found:
        return None
    models = [name for name in SPEAKERS if name != "champion" or any("champion" in reply for reply in found)]
    prompts = [
        {
            "prompt": [
                {"role": turn.get("role", ""), "text": turn.get("text", "")} for turn in reply.get("prompt", [])
            ],
            "answers": [(MODELS[name][0], name, (reply.get(name) or "").strip()) for name in models],
        }
        for reply in found
    ]
    return {"prompts": prompts, "models": [MODELS[name] for name in models]}
