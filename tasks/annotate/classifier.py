"""The intent classifier: trained on labelled conversations, measured in cross-validation, calibrated to abstain.

It uses all of the customer's messages: on STAR, the first message alone gives an accuracy of 0.67 instead of 0.99, and
weighting it double changes nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deskloop.contract.placeholders import generalise
from tasks.annotate.calibration import (
    DIGITS,
    Floats,
    expected_calibration_error,
    probabilities,
    temperature_of,
    threshold_of,
)
from tasks.annotate.logistic import MIN_FAMILIES, Counts, Integers, count, fit_model, load, part

METRICS, VOCABULARY, WEIGHTS = "metrics.json", "vocabulary.json", "weights.npz"
FOLDS = 5
MIN_ROWS = 5  # labelled conversations that an intent needs


def learn(
    turns: Sequence[list[dict[str, Any]]] | pd.Series,
    intents: Sequence[str] | pd.Series,
    families: Sequence[str] | pd.Series,
    min_precision: float,
    min_confidence: float | None,
) -> dict[str, bytes]:
    """Train on labelled conversations, and measure the classifier in cross-validation.

    Args:
        turns, intents, families: of n conversations, in the order of their row ids; not modified. A family is never
            on both sides of a fold.
        min_precision: determines the threshold, unless `min_confidence` sets it.
    Returns:
        The artifact's files; only `metrics.json`, with a `reason`, if there is too little data.
    """
    frequency = pd.Series(list(intents), dtype=object).value_counts()
    classes = sorted(frequency.index[frequency >= MIN_ROWS])
    targets = pd.Index(classes, dtype=object).get_indexer(pd.Index(list(intents), dtype=object)).astype(np.int64)
    groups = pd.factorize(np.array(list(families), dtype=object))[0].astype(np.int64)
    seen = {"labelled": len(targets), "intents": len(classes), "intents_seen": len(frequency)}
    if len(classes) < 2:
        return _nothing(f"fewer than two intents with {MIN_ROWS} labelled training conversations each", seen)
    if len(set(groups[targets >= 0])) < 2 * MIN_FAMILIES:
        return _nothing(f"fewer than {2 * MIN_FAMILIES} labelled training families", seen)
    counts, names = count(_texts(turns))
    model = fit_model(counts, targets, groups, len(classes))
    if model is None:
        return _nothing(f"no word is shared by {MIN_FAMILIES} families", seen)
    scores = _out_of_fold(counts, targets, groups, len(classes))
    temperature = temperature_of(scores, targets)
    figures, threshold = _figures(scores, targets, temperature, min_precision, min_confidence)
    reason = None if threshold is not None else f"no confidence at which {min_precision:.0%} of its labels are right"
    measured = {**seen, **figures, "temperature": temperature, "threshold": threshold, "reason": reason}
    vocabulary = {name: [names[name][place] for place in places] for name, places in model.columns.items()}
    return {METRICS: _json(measured), VOCABULARY: _json({"classes": classes, **vocabulary}), WEIGHTS: model.arrays()}


def classify(
    turns: Sequence[list[dict[str, Any]]] | pd.Series, files: Mapping[str, bytes]
) -> tuple[list[str | None], list[float | None]]:
    """Return each conversation's intent and probability; both None below the threshold or without a known feature.

    The likeliest intent is chosen after rounding; ties go to the first by name.
    """
    settings = json.loads(files[METRICS])
    if settings.get("threshold") is None:
        return [None] * len(turns), [None] * len(turns)
    vocabulary = json.loads(files[VOCABULARY])
    classes = vocabulary.pop("classes")
    counts, _ = count(_texts(turns), vocabulary)
    chances = probabilities(load(files[WEIGHTS]).scores(counts), settings["temperature"])
    best = chances.argmax(axis=1)
    confidence = chances[np.arange(len(best)), best]
    has_features = sum(matrix.getnnz(axis=1) for matrix in counts.values()) > 0
    sure = has_features & (confidence >= settings["threshold"])
    intents = [classes[number] if accepted else None for number, accepted in zip(best, sure, strict=True)]
    return intents, [float(chance) if accepted else None for chance, accepted in zip(confidence, sure, strict=True)]


def _out_of_fold(counts: Counts, targets: Integers, families: Integers, classes: int) -> Floats:
    """Return (n, classes) scores of each text by a model not trained on its family; -inf for missing classes."""
    from sklearn.model_selection import GroupKFold

    result = np.zeros((len(targets), classes))
    folds = GroupKFold(min(FOLDS, len(set(families.tolist()))))
    for rest, fold in folds.split(targets, groups=families):
        model = fit_model(part(counts, rest), targets[rest], families[rest], classes)
        if model is not None:
            result[fold] = model.scores(part(counts, fold))
    return result


def _figures(
    scores: Floats, targets: Integers, temperature: float, min_precision: float, min_confidence: float | None
) -> tuple[dict[str, float | None], float | None]:
    """Return the classifier's metrics on out-of-fold scores and its threshold, or None if it should label nothing."""
    from sklearn.metrics import f1_score

    chances, before = probabilities(scores, temperature), probabilities(scores, 1.0)
    predicted, confidence = chances.argmax(axis=1), chances.max(axis=1)
    correct = predicted == targets
    threshold = min_confidence if min_confidence is not None else threshold_of(confidence, correct, min_precision)
    sure = confidence >= (np.inf if threshold is None else threshold)
    classes = np.unique(targets[targets >= 0])
    figures: dict[str, float | None] = {
        "accuracy": float(correct.mean()),
        "macro_f1": float(f1_score(targets, predicted, labels=classes, average="macro", zero_division=0)),
        "coverage": float(sure.mean()),
        "precision": float(correct[sure].mean()) if sure.any() else None,
        "ece": expected_calibration_error(confidence, correct),
        "ece_before": expected_calibration_error(before.max(axis=1), before.argmax(axis=1) == targets),
    }
    return {name: None if value is None else round(value, DIGITS) for name, value in figures.items()}, threshold


def _texts(turns: Iterable[list[dict[str, Any]]]) -> list[str]:
    """Join the customer's messages of each conversation; `<PERSON_2>` becomes `<PERSON>`."""
    return [generalise("\n".join(turn["text"] or "" for turn in cell if turn["role"] == "customer")) for cell in turns]


def _nothing(reason: str, seen: Mapping[str, Any]) -> dict[str, bytes]:
    return {METRICS: _json({**seen, "threshold": None, "reason": reason})}


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
