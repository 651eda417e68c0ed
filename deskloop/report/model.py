"""The model's sections: how it was trained, how it compares, and what it answers."""

import math
from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, Series, bar, curve
from deskloop.report.words import METRICS, MODELS, decimals, duration, number, percent, setting, title

Run = dict[str, Any]
WIDE, NARROW = (760, 320), (360, 280)  # pixels
COLUMNS = ("bits_per_byte", "loss", "perplexity", "token_accuracy", "supervised_tokens")


def training(run: Run) -> dict[str, Any] | None:
    """Curves of the losses, settings, and the size of the effort."""
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
        "facts": [(name, value) for name, value in facts if value and value != number(None)],
        "settings": settings,
    }


def _points(history: list[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) of the entries of a training history that have that value."""
    found = [(entry.get("step"), entry.get(key)) for entry in history]
    return [(float(x), float(y)) for x, y in found if x is not None and y is not None and math.isfinite(y)]


def comparison(run: Run) -> dict[str, Any] | None:
    """Every evaluated model in a fixed order, with a bar of its bits per byte, and the gates if any decided."""
    metrics = {name: found for name, found in (run.get("metrics") or {}).items() if found}
    if not metrics:
        return None
    order = [name for name in MODELS if name in metrics] + [name for name in metrics if name not in MODELS]
    bits = [metrics[name].get("bits_per_byte") for name in order]
    most = max((value for value in bits if _finite(value)), default=0.0)
    decision, model = run.get("decision") or {}, run.get("model") or {}
    shown = [key for key in COLUMNS if any(key in found for found in metrics.values())]
    return {
        "rows": [_model(name, metrics[name], most) for name in order],
        "columns": [METRICS[key][0] for key in COLUMNS],
        "explained": [METRICS[key] for key in shown],
        "gates": [_gate(gate) for gate in decision.get("gates") or []],
        "references": "unigram" in metrics or "bigram" in metrics,
        "model": {key: model.get(key) for key in ("name", "version", "alias", "folder")} if model.get("name") else None,
    }


def _model(name: str, found: Mapping[str, Any], most: float) -> dict[str, Any]:
    """One model's row; `most` bits per byte fill the whole bar."""
    heading, note = MODELS.get(name, (title(name), ""))
    kind = name if name in ("candidate", "champion", "base") else "reference"
    bits = found.get("bits_per_byte")
    told = f"{decimals(bits, 3)} bits per byte"
    return {
        "model": heading,
        "note": note,
        "bits": decimals(bits, 3),
        "bar": bar([Segment(kind, float(bits), "")], most, told) if bits is not None and _finite(bits) else None,
        "cells": [
            decimals(bits, 3),
            decimals(found.get("loss"), 3),
            decimals(found.get("perplexity"), 1),
            percent(found.get("token_accuracy")),
            number(found.get("supervised_tokens")),
        ],
    }


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    """One gate's row."""
    return {
        "gate": title(gate.get("gate", "")),
        "passed": bool(gate.get("passed")),
        "value": number(gate.get("value")),
        "threshold": number(gate.get("threshold")),
    }


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def replies(run: Run) -> list[dict[str, Any]] | None:
    """Declared prompts with the reply of base and candidate; a model that said nothing is shown as saying nothing."""
    found = run.get("replies")
    if not found:
        return None
    return [
        {
            "prompt": [
                {"role": turn.get("role", ""), "text": turn.get("text", "")} for turn in reply.get("prompt", [])
            ],
            "answers": [(MODELS[name][0], name, (reply.get(name) or "").strip()) for name in ("base", "candidate")],
        }
        for reply in found
    ]
