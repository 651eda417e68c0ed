"""The batches of a training run: every epoch's order in advance, so that training can be resumed at any step.

Windows of like length share a batch; with `packing`, several windows share a row instead.
"""

import numpy as np

from tasks.evaluate.batches import Batch, fill

POOL = 50  # batches whose windows are sorted together: enough for even lengths, few enough for a random order


def plan(
    lengths: np.ndarray, repeats: np.ndarray, epochs: float, batches: int | None, budget: int, seed: int, packing: bool
) -> tuple[list[Batch], int]:
    """Lay out all batches of a training run.

    Args:
        lengths: (windows,) tokens.
        repeats: (windows,) how often a window occurs in an epoch; 0: never.
        epochs: passes over the windows; a fraction is allowed.
        batches: batches in all; overrides `epochs`.
        budget: tokens of a batch, padding included; a longer window is a batch of its own.
        seed: the same seed gives the same plan.
        packing: rows are filled with windows up to the longest window's length.
    Returns:
        The batches in order, and the number of batches in the first epoch.
    """
    windows = np.repeat(np.arange(len(lengths)), repeats)
    result: list[Batch] = []
    first = wanted = 0
    epoch = 0
    while not epoch or len(result) < wanted:
        rng = np.random.default_rng([seed, epoch])
        result += _epoch(rng.permutation(windows), lengths, budget, rng, packing)
        if not epoch:
            first = len(result)
            wanted = batches if batches is not None else max(1, round(first * epochs))
        epoch += 1
    return result[:wanted], first


def _epoch(
    windows: np.ndarray, lengths: np.ndarray, budget: int, rng: np.random.Generator, packing: bool
) -> list[Batch]:
    pool = max(1, POOL * budget // max(1, int(lengths[windows].mean())))
    result: list[Batch] = []
    for start in range(0, len(windows), pool):
        part = windows[start : start + pool]
        part = part[np.argsort(-lengths[part], kind="stable")]
        rows = _pack(part, lengths, int(lengths.max())) if packing else [[int(window)] for window in part]
        batches = fill(rows, lengths, budget)
        result += [batches[place] for place in rng.permutation(len(batches))]
    return result


def _pack(windows: np.ndarray, lengths: np.ndarray, width: int) -> list[list[int]]:
    """First-fit decreasing: within 22% of the fewest rows (Johnson, 1973)."""
    rows: list[list[int]] = []
    left: list[int] = []
    for window in windows:
        length = int(lengths[window])
        place = next((place for place, room in enumerate(left) if room >= length), None)
        if place is None:
            rows.append([])
            left.append(width)
            place = len(rows) - 1
        rows[place].append(int(window))
        left[place] -= length
    return rows
