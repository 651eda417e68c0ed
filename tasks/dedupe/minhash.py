"""Find near-duplicates with MinHash (Broder 1997): bands of minima propose pairs, the exact similarity decides.

The minimum of a random hash over a set is the same for two sets with a probability equal to their Jaccard similarity.
r such minima form a band; two sets that agree in any of b bands are compared. Every proposed pair is checked, so there
are no false positives; about one pair in a million is missed, see `rows_per_band` and `_plausible`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tasks.dedupe.shingles import BASE, Indices, ShingleSets, jaccard, mix, pairs_within

MISSES = 1e-6  # share of pairs exactly at the threshold that may be missed
CHUNK = 16_384  # shingles hashed at a time, to fit into the processor's cache

Signatures = NDArray[np.uint32]


def near_pairs(
    sets: ShingleSets, threshold: float, permutations: int, rng: np.random.Generator
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Find the pairs of distinct sets with a Jaccard similarity of at least `threshold`.

    Returns:
        left, right, similarity: (pairs,) each; each pair once.
    """
    minima = signatures(sets, permutations, rng)
    bands = _bands(minima, rows_per_band(threshold, permutations))
    likely = _plausible(threshold, permutations)
    lefts, rights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for number in range(bands.shape[1]):
        for left, right in pairs_within(bands[:, number]):
            sizes = sets.sizes[left], sets.sizes[right]
            fits = np.minimum(*sizes) >= threshold * np.maximum(*sizes) - 1e-9  # an upper bound of the similarity
            left, right = left[fits], right[fits]
            repeated = (bands[left, :number] == bands[right, :number]).any(axis=1)  # proposed by an earlier band
            left, right = left[~repeated], right[~repeated]
            near = (minima[left] == minima[right]).mean(axis=1) >= likely
            lefts.append(left[near])
            rights.append(right[near])
    left, right = np.concatenate(lefts), np.concatenate(rights)
    similarity = jaccard(sets, left, right)
    near = similarity >= threshold
    return left[near], right[near], similarity[near]


def signatures(sets: ShingleSets, permutations: int, rng: np.random.Generator) -> Signatures:
    """Return (sets, permutations) the minimum of each set's shingles under each keyed random hash.

    The shingles are already well mixed, so multiply-and-add modulo 2^64 is as good as a permutation. Signatures hold
    the upper half of each minimum.
    """
    factors = rng.integers(0, 2**63, permutations, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = rng.integers(0, 2**64, permutations, dtype=np.uint64)
    result = np.empty((permutations, len(sets.sizes)), dtype=np.uint32)
    first = 0
    while first < len(sets.sizes):
        last = max(int(np.searchsorted(sets.starts, sets.starts[first] + CHUNK, side="right")) - 1, first + 1)
        values = sets.values[sets.starts[first] : sets.starts[last]]
        offsets = sets.starts[first:last] - sets.starts[first]
        for number in range(permutations):
            hashed = values * factors[number] + shifts[number]
            result[number, first:last] = np.minimum.reduceat(hashed, offsets) >> np.uint64(32)
        first = last
    return np.ascontiguousarray(result.T)


def rows_per_band(threshold: float, permutations: int) -> int:
    """Return the most minima per band at which at most one in a million pairs at the threshold is missed.

    Such a pair differs in every band with probability (1 - threshold^rows)^(permutations // rows).
    """
    rows = 1
    while (1 - threshold ** (rows + 1)) ** (permutations // (rows + 1)) <= MISSES:
        rows += 1
    return rows


def _plausible(threshold: float, permutations: int) -> float:
    """Return the share of equal minima below which pairs are skipped: the threshold less five standard deviations."""
    return threshold - 5 * math.sqrt(threshold * (1 - threshold) / permutations)


def _bands(minima: Signatures, rows: int) -> NDArray[np.uint64]:
    """Return (sets, bands) a hash of each band of `rows` minima."""
    count = minima.shape[1] // rows
    result = np.zeros((len(minima), count), dtype=np.uint64)
    for row in range(rows):
        result = mix(result * BASE + minima[:, row : count * rows : rows])
    return result
