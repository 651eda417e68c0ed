"""Calibrate a classifier: temperature, expected calibration error, and the confidence threshold for its labels.

Temperature and expected calibration error follow Guo et al., On Calibration of Modern Neural Networks, ICML 2017
(https://arxiv.org/abs/1706.04599). Targets are smoothed as in Platt, Probabilistic Outputs for Support Vector Machines,
1999, so that error-free predictions do not become certainties. Everything is measured on out-of-fold predictions.
"""

import numpy as np
from numpy.typing import NDArray

DIGITS = 4  # decimals of a probability, which is rounded before it is compared or stored
BINS = 10
FLOOR = 0.5  # confidence below which a label is more likely wrong than right
FEWEST = 10  # predictions needed to estimate a precision

Floats = NDArray[np.float64]


def probabilities(scores: Floats, temperature: float) -> Floats:
    """Return (n, classes) the rounded softmax of the scores divided by the temperature."""
    scaled = scores / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: Floats = (powers / powers.sum(axis=1, keepdims=True)).round(DIGITS)
    return result


def temperature_of(scores: Floats, targets: NDArray[np.int64]) -> float:
    """Return the temperature with the highest likelihood of the targets, smoothed by 1 / (n + 2).

    Args:
        scores: (n, classes) log-odds, -inf for classes that could not be predicted.
        targets: (n,) class numbers; rows whose target is -1 or could not be predicted are ignored.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows = np.flatnonzero(targets >= 0)
    rows = rows[np.isfinite(scores[rows, targets[rows]])]
    if not len(rows):
        return 1.0

    chosen, doubt = scores[rows], 1 / (len(rows) + 2)
    right = chosen[np.arange(len(rows)), targets[rows]]
    possible = np.isfinite(chosen)
    others = (np.where(possible, chosen, 0.0).sum(axis=1) - right) / np.maximum(possible.sum(axis=1) - 1, 1)
    expected = (1 - doubt) * right + doubt * others

    def loss(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        return float(np.mean(logsumexp(chosen / temperature, axis=1) - expected / temperature))

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x).round(DIGITS))


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and accuracy over bins of equal width, weighted by their rows."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def threshold_of(confidence: Floats, correct: NDArray[np.bool_], min_precision: float) -> float | None:
    """Find the lowest confidence c >= 0.5 at which a share `min_precision` of the predictions is correct.

    Returns:
        One of the confidences, or 0.5 if it suffices; None if there is no such c or there are too few predictions.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # a threshold includes all predictions with its confidence
    count = np.arange(1, len(ranked) + 1)
    precise = np.cumsum(correct[order]) >= min_precision * count
    fitting = np.flatnonzero(last & precise & (count >= FEWEST) & (ranked >= FLOOR))
    if not len(fitting):
        return None
    return FLOOR if fitting[-1] + 1 == (confidence >= FLOOR).sum() else float(ranked[fitting[-1]])
