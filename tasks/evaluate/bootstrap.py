"""How sure a figure is: families drawn again and again from the test split, the same ones for every model.

Conversations of one family resemble each other, so families are drawn, not conversations or tokens; and models are
compared on the same draws, which takes out how hard a draw happens to be (Koehn: Statistical significance tests for
machine translation evaluation, EMNLP 2004; Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 8).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK = 64  # draws at a time
DIGITS = 6

Ratios = NDArray[np.float64]


def resampled(
    scores: Mapping[str, pd.DataFrame], families: Mapping[str, str], resamples: int, seed: int
) -> dict[str, Ratios]:
    """Bits per byte of every model on the same draws of families.

    Args:
        scores: model -> (rows, `conversation_id`, `nll` in nats, `bytes`), as from `score`; the conversations of all
            models are the same, their rows need not be.
        families: conversation -> family, of all of them.
        resamples: draws.
    Returns:
        Model -> (1 + resamples,): its bits per byte on the split itself, then on each draw.
    """
    names = sorted(set(families.values()))
    place = {name: number for number, name in enumerate(names)}
    sums = {model: _sums(rows, families, place) for model, rows in scores.items()}
    rng = np.random.default_rng([seed, len(names)])
    result = {model: [total[0].sum() / total[1].sum()] for model, total in sums.items()}
    for start in range(0, resamples, CHUNK):
        draws = rng.integers(0, len(names), (min(CHUNK, resamples - start), len(names)))
        for model, (bits, size) in sums.items():
            result[model].extend(bits[draws].sum(1) / size[draws].sum(1))
    return {model: np.array(values) for model, values in result.items()}


def interval(values: Ratios, confidence: float) -> dict[str, float]:
    """The percentile interval of a figure: `low` and `high` of what the draws came to.

    Args:
        values: (1 + resamples,), as from `resampled`, or a difference of two such.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return {"low": round(float(low), DIGITS), "high": round(float(high), DIGITS)}


def compared(
    draws: Mapping[str, Ratios], against: str, confidence: float, families: int, conversations: int
) -> dict[str, Any]:
    """The candidate's bits per byte less another model's, paired draw by draw; below 0 the candidate is better."""
    difference = draws["candidate"] - draws[against]
    return {
        "against": against,
        "difference": round(float(difference[0]), DIGITS),
        **interval(difference, confidence),
        "families": families,
        "conversations": conversations,
    }


def _sums(rows: pd.DataFrame, families: Mapping[str, str], place: Mapping[str, int]) -> tuple[Ratios, Ratios]:
    """Bits and bytes of each family."""
    of = np.array([place[families[name]] for name in rows["conversation_id"]], dtype=np.int64)
    bits, size = rows["nll"].to_numpy() / np.log(2), rows["bytes"].to_numpy().astype(float)
    sums = [np.bincount(of, weights=values, minlength=len(place)).astype(float) for values in (bits, size)]
    return sums[0], sums[1]
