"""The classifier: learned from labelled conversations, measured in cross-validation, silent where it is not sure.

It reads what the customer says, all of it: on STAR the first message alone gives 0.67 accuracy in place of 0.99, and
counting it twice changes nothing.
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
from tasks.annotate.model import MIN_FAMILIES, Counts, Integers, count, fit_model, load, part

METRICS, VOCABULARY, WEIGHTS = "metrics.json", "vocabulary.json", "weights.npz"
FOLDS = 5
MIN_ROWS = 5  # labelled conversations of an intent that can be learned


def learn(
    turns: Sequence[list[dict[str, Any]]] | pd.Series,
    intents: Sequence[str] | pd.Series,
    families: Sequence[str] | pd.Series,
    min_precision: float,
    min_confidence: float | None,
) -> dict[str, bytes]:
    """Fit on labelled conversations, and measure in cross-validation what the result is worth.

    Args:
        turns, intents, families: of n conversations, in the order of their row ids; not modified. A family is never
            on both sides of a fold.
        min_precision: chooses the threshold, unless `min_confidence` is given as such.
    Returns:
        The artifact's files; `metrics.json` alone, with a `reason`, where nothing can be learned.
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
    told = {**seen, **figures, "temperature": temperature, "threshold": threshold, "reason": reason}
    vocabulary = {name: [names[name][place] for place in places] for name, places in model.columns.items()}
    return {METRICS: _json(told), VOCABULARY: _json({"classes": classes, **vocabulary}), WEIGHTS: model.arrays()}


def classify(
    turns: Sequence[list[dict[str, Any]]] | pd.Series, files: Mapping[str, bytes]
) -> tuple[list[str | None], list[float | None]]:
    """The intent of each conversation and its probability; both None below the threshold, or without a known word.

    The likeliest intent is taken after rounding, and the first by name of several.
    """
    told = json.loads(files[METRICS])
    if told.get("threshold") is None:
        return [None] * len(turns), [None] * len(turns)
    vocabulary = json.loads(files[VOCABULARY])
    classes = vocabulary.pop("classes")
    counts, _ = count(_texts(turns), vocabulary)
    chances = probabilities(load(files[WEIGHTS]).scores(counts), told["temperature"])
    best = chances.argmax(axis=1)
    confidence = chances[np.arange(len(best)), best]
    known = sum(matrix.getnnz(axis=1) for matrix in counts.values()) > 0
    sure = known & (confidence >= told["threshold"])
    intents = [classes[number] if yes else None for number, yes in zip(best, sure, strict=True)]
    return intents, [float(one) if yes else None for one, yes in zip(confidence, sure, strict=True)]


def _out_of_fold(counts: Counts, targets: Integers, families: Integers, classes: int) -> Floats:
    """(n, classes) scores of each text by a model that saw none of its family; -inf for a class that it never saw."""
    from sklearn.model_selection import GroupKFold

    result = np.zeros((len(targets), classes))
    folds = GroupKFold(min(FOLDS, len(set(families.tolist()))))
    for rest, held in folds.split(targets, groups=families):
        model = fit_model(part(counts, rest), targets[rest], families[rest], classes)
        if model is not None:
            result[held] = model.scores(part(counts, held))
    return result


def _figures(
    scores: Floats, targets: Integers, temperature: float, min_precision: float, min_confidence: float | None
) -> tuple[dict[str, float | None], float | None]:
    """The classifier's figures on out-of-fold scores, and its threshold; None: it labels nothing."""
    from sklearn.metrics import f1_score

    chances, before = probabilities(scores, temperature), probabilities(scores, 1.0)
    predicted, confidence = chances.argmax(axis=1), chances.max(axis=1)
    correct = predicted == targets
    threshold = min_confidence if min_confidence is not None else threshold_of(confidence, correct, min_precision)
    sure = confidence >= (np.inf if threshold is None else threshold)
    known = np.unique(targets[targets >= 0])
    figures: dict[str, float | None] = {
        "accuracy": float(correct.mean()),
        "macro_f1": float(f1_score(targets, predicted, labels=known, average="macro", zero_division=0)),
        "coverage": float(sure.mean()),
        "precision": float(correct[sure].mean()) if sure.any() else None,
        "ece": expected_calibration_error(confidence, correct),
        "ece_before": expected_calibration_error(before.max(axis=1), before.argmax(axis=1) == targets),
    }
    return {name: None if value is None else round(value, DIGITS) for name, value in figures.items()}, threshold


def _texts(turns: Iterable[list[dict[str, Any]]]) -> list[str]:
    """What the customer says; `<PERSON_2>` reads as `<PERSON>`."""
    return [generalise("\n".join(turn["text"] or "" for turn in cell if turn["role"] == "customer")) for cell in turns]


def _nothing(reason: str, seen: Mapping[str, Any]) -> dict[str, bytes]:
    return {METRICS: _json({**seen, "threshold": None, "reason": reason})}


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
