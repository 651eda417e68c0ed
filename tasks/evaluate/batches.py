"""Group windows of similar length into batches, with a few percent of padding.

Padding all windows to the longest one would waste most of the work.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.encode.windows import IGNORED

Batch = list[list[int]]  # rows of a batch; a row is the windows in it, as positions in the table


def by_length(lengths: np.ndarray, budget: int) -> list[Batch]:
    """Batch windows for evaluation: the longest first, each once."""
    order = np.lexsort((np.arange(len(lengths)), -lengths))
    return fill([[int(window)] for window in order], lengths, budget)


def fill(rows: Sequence[list[int]], lengths: np.ndarray, budget: int) -> list[Batch]:
    """Fill batches with neighbouring rows, up to `budget` tokens including padding."""
    result: list[Batch] = []
    widest = 0
    for row in rows:
        width = int(lengths[row].sum())
        if result and max(widest, width) * (len(result[-1]) + 1) <= budget:
            result[-1].append(row)
            widest = max(widest, width)
        else:
            result.append([row])
            widest = width
    return result


def collate(
    batch: Batch,
    tokens: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    pad: int,
    packing: bool = False,
    weights: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Convert a batch to tensors.

    Args:
        batch: rows of window positions.
        tokens, labels: (windows,) int arrays.
        pad: token id for padding; masked from the loss.
        packing: return `position_ids` that restart with each window instead of an attention mask; transformers
            separates the windows of a row by them (exact only with `use_cache=False`).
        weights: (windows,) weight of each window's supervised tokens in the loss.
    Returns:
        `input_ids` and `labels`, (rows, longest row) int64, and `attention_mask` or `position_ids`; with `weights`,
        also `weights`, (rows, longest row) float32, constant within a window and 0 for padding.
    """
    import torch

    width = max(sum(len(tokens[window]) for window in row) for row in batch)
    shape = (len(batch), width)
    result: dict[str, np.ndarray] = {
        "input_ids": np.full(shape, pad),
        "labels": np.full(shape, IGNORED),
        "attention_mask": np.zeros(shape, int),
    }
    positions = np.zeros(shape, int)
    counts = np.zeros(shape, np.float32)
    for place, row in enumerate(batch):
        end = 0
        for window in row:
            start, end = end, end + len(tokens[window])
            result["input_ids"][place, start:end] = tokens[window]
            result["labels"][place, start:end] = labels[window]
            result["labels"][place, start] = IGNORED  # the token before it belongs to another conversation
            positions[place, start:end] = np.arange(end - start)
            counts[place, start:end] = 1 if weights is None else weights[window]
        positions[place, end:] = np.arange(width - end)
        result["attention_mask"][place, :end] = 1
    if packing:
        del result["attention_mask"]
        result["position_ids"] = positions
    if weights is not None:
        result["weights"] = counts
    return {name: torch.from_numpy(array) for name, array in result.items()}


def columns(table: pa.Table) -> Mapping[str, Any]:
    """Return the columns for training: lists of int arrays `tokens` and `labels`; arrays `lengths`, `repeats` and
    `weights`."""
    tokens = [np.asarray(cell, dtype=np.int64) for cell in table.column("input_ids").to_pylist()]
    labels = [np.asarray(cell, dtype=np.int64) for cell in table.column("labels").to_pylist()]
    repeats, weights = (
        table.column(name).to_numpy() if name in table.column_names else np.ones(len(tokens), int)
        for name in ("repeats", "weight")
    )
    return {
        "tokens": tokens,
        "labels": labels,
        "lengths": np.array([len(cell) for cell in tokens], dtype=np.int64),
        "repeats": np.asarray(repeats, dtype=np.int64),
        "weights": np.asarray(weights, dtype=np.float32),
    }
