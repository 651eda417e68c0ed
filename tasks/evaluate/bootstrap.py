"""Confidence intervals over families of the test split, for models and for paired differences.

Conversations of one family resemble each other, so families are resampled instead of conversations or tokens. Two
models are compared family by family, which cancels the difficulty of each family (Koehn: Statistical significance tests
for machine translation evaluation, EMNLP 2004).

Bits per byte are a ratio of two sums over families. A percentile interval of such a ratio is too narrow for a few dozen
families of very different sizes: with 20 families it contained the true value in 80 to 93% of simulated splits instead
of 95%. The interval here is the union of two better ones: the bootstrap-t, which follows a skewed distribution, and
Student's t on the jackknife's standard error, which is stable for few families (Efron, Tibshirani: An Introduction to
the Bootstrap, 1993, chapters 11 and 12). `docs/models.md` gives the coverage of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK = 256  # resamples at a time
DIGITS = 6
SMALLEST = 1e-12  # standard error below which all families count as equal

Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """The draws of each family in each resample, shared by all models and differences.

    Attributes:
        counts: (resamples, families).
        confidence: of the intervals, two-sided.
    """

    counts: Sums
    confidence: float


def family_sums(
    scores: Mapping[str, pd.DataFrame], families: Mapping[str, str]
) -> tuple[dict[str, tuple[Sums, Sums]], list[str]]:
    """Sum the bits and bytes of every family for every model.

    Args:
        scores: model -> (rows, `conversation_id`, `nll` in nats, `bytes`), the result of `score`; all models have the
            same conversations, but possibly different rows.
        families: conversation -> family.
    Returns:
        Model -> (bits, bytes), (families,) each; and the families' names in that order.
    """
    names = sorted(set(families.values()))
    place = {name: number for number, name in enumerate(names)}
    return {model: _sums(rows, families, place) for model, rows in scores.items()}, names


def resampling(families: int, resamples: int, confidence: float, seed: int) -> Resampling:
    """Draw `resamples` bootstrap samples of the families."""
    rng = np.random.default_rng([seed, families])
    counts = rng.multinomial(families, np.full(families, 1 / families), resamples)
    return Resampling(counts.astype(float), confidence)


def interval(amounts: Sums, size: Sums, draws: Resampling) -> dict[str, float | None]:
    """Return the interval of a ratio of sums over families: `low` and `high`, null if there are too few families.

    Args:
        amounts: (families,) the numerator: bits, or one model's bits less another's.
        size: (families,) bytes.
    """
    families, total = len(amounts), size.sum()
    if families < 2:
        return {"low": None, "high": None}
    ratio = amounts.sum() / total
    residuals = amounts - ratio * size
    error = _jackknife_error(amounts, size)
    if error < SMALLEST:
        return {"low": round(float(ratio), DIGITS), "high": round(float(ratio), DIGITS)}
    from scipy.stats import t

    tail = (1 - draws.confidence) / 2
    reach = float(t.ppf(1 - tail, families - 1)) * error
    linear = float(np.sqrt(families / (families - 1) * (residuals**2).sum()) / total)
    low, high = np.quantile(_studentised(residuals, size, draws.counts), [tail, 1 - tail], method="nearest")
    ends = min(ratio - reach, ratio - high * linear), max(ratio + reach, ratio - low * linear)
    if not np.isfinite(ends).all():
        return {"low": None, "high": None}
    return {"low": round(float(ends[0]), DIGITS), "high": round(float(ends[1]), DIGITS)}


def compared(
    sums: Mapping[str, tuple[Sums, Sums]], candidate: str, against: str, draws: Resampling, conversations: int
) -> dict[str, Any]:
    """Compare two models, paired by family: the candidate's bits per byte less the other's; negative is better."""
    bits, size = sums[candidate]
    other, other_size = sums[against]
    difference = bits.sum() / size.sum() - other.sum() / other_size.sum()
    # Each model has its own bytes, because another tokenizer may cut a conversation elsewhere.
    paired = bits / size.sum() - other / other_size.sum()
    share = size / size.sum()
    return {
        "against": against,
        "difference": round(float(difference), DIGITS),
        **interval(paired, share, draws),
        "families": len(bits),
        "conversations": conversations,
    }


def _studentised(residuals: Sums, size: Sums, counts: Sums) -> Sums:
    """Return (resamples,) each resample's ratio less the split's, in units of that resample's standard error."""
    families = len(residuals)
    columns = np.stack([residuals, size, residuals**2, residuals * size, size**2], axis=1)
    chunks = [counts[start : start + CHUNK] @ columns for start in range(0, len(counts), CHUNK)]
    amount, total, square, cross, size_square = np.concatenate(chunks).T
    shift = amount / total
    spread = np.maximum(square - 2 * shift * cross + shift**2 * size_square, 0)
    error = np.sqrt(families / (families - 1) * spread) / total
    constant = error < SMALLEST  # a resample in which only one family was drawn
    without_error = np.select([shift > 0, shift < 0], [np.inf, -np.inf], 0.0)
    return np.where(constant, without_error, shift / np.where(constant, 1, error))


def _jackknife_error(amounts: Sums, size: Sums) -> float:
    """Return the jackknife's standard error of the ratio, omitting one family at a time."""
    families = len(amounts)
    without = (amounts.sum() - amounts) / (size.sum() - size)
    return float(np.sqrt((families - 1) / families * ((without - without.mean()) ** 2).sum()))


def _sums(rows: pd.DataFrame, families: Mapping[str, str], place: Mapping[str, int]) -> tuple[Sums, Sums]:
    """Return the bits and bytes of each family."""
    of = np.array([place[families[name]] for name in rows["conversation_id"]], dtype=np.int64)
    bits, size = rows["nll"].to_numpy() / np.log(2), rows["bytes"].to_numpy().astype(float)
    sums = [np.bincount(of, weights=values, minlength=len(place)).astype(float) for values in (bits, size)]
    return sums[0], sums[1]
