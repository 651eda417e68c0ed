"""Unigram and bigram models on the same tokens: baselines that a trained model must beat."""

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.encode.windows import IGNORED
from tasks.evaluate.batches import columns
from tasks.evaluate.likelihood import metrics

ADD = 0.5  # additive smoothing of the unigram counts


def baselines(train: pa.Table, test: pa.Table, vocabulary: int) -> dict[str, tuple[dict[str, float], pd.DataFrame]]:
    """Fit and score a unigram and a bigram model of the supervised tokens.

    The bigram model is conditioned on the previous token, supervised or not, and interpolated with the unigram model by
    absolute discounting (Ney, Essen, Kneser 1994), with a discount estimated from the counts of counts.

    Args:
        train, test: (n, ENCODED); a training row counts `repeats` times, a test row once.
        vocabulary: tokens of the tokenizer.
    Returns:
        `unigram` and `bigram`: metrics, and rows in the table's order, as from `tasks.evaluate.likelihood.score`.
    """
    before, tokens, rows = _pairs(train)
    counts = columns(train)["repeats"][rows]
    seen = np.bincount(tokens, weights=counts, minlength=vocabulary) + ADD
    unigram = seen / seen.sum()

    pairs, places = np.unique(before * vocabulary + tokens, return_inverse=True)
    pair_counts = np.bincount(places, weights=counts)
    once, twice = int((pair_counts == 1).sum()), int((pair_counts == 2).sum())
    discount = once / (once + 2 * twice) if once else 0.5
    contexts = pairs // vocabulary
    context_counts = np.bincount(contexts, weights=pair_counts, minlength=vocabulary)
    followers = np.bincount(contexts, minlength=vocabulary)
    likeliest = _likeliest(contexts, pairs % vocabulary, pair_counts, vocabulary, int(unigram.argmax()))

    before, tokens, rows = _pairs(test)
    tested = before * vocabulary + tokens
    place = np.minimum(np.searchsorted(pairs, tested), max(len(pairs) - 1, 0))
    observed = np.where(pairs[place] == tested, pair_counts[place], 0.0)
    total = context_counts[before]
    discounted, freed = np.maximum(observed - discount, 0), discount * followers[before]
    bigram = np.where(total > 0, (discounted + freed * unigram[tokens]) / np.maximum(total, 1), unigram[tokens])
    return {
        "unigram": _scored(test, rows, unigram[tokens], tokens == unigram.argmax()),
        "bigram": _scored(test, rows, bigram, tokens == likeliest[before]),
    }


def _pairs(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (tokens,) arrays: the token before each supervised token, the token itself, and its row."""
    data = columns(table)
    before = np.concatenate([tokens[:-1] for tokens in data["tokens"]])
    tokens = np.concatenate([labels[1:] for labels in data["labels"]])
    rows = np.repeat(np.arange(len(table)), np.maximum(data["lengths"] - 1, 0))
    seen = tokens != IGNORED
    return before[seen], tokens[seen], rows[seen]


def _likeliest(contexts: np.ndarray, tokens: np.ndarray, counts: np.ndarray, vocabulary: int, other: int) -> np.ndarray:
    """Return the most common follower of each token; ties go to the smaller id, `other` if there is none."""
    result = np.full(vocabulary, other)
    order = np.lexsort((-tokens, counts))  # the last assignment to a context wins
    result[contexts[order]] = tokens[order]
    return result


def _scored(
    test: pa.Table, rows: np.ndarray, probability: np.ndarray, correct: np.ndarray
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return metrics and rows from the probability of each supervised token and its row."""
    count = len(test)
    frame = pd.DataFrame(
        {
            "row_id": test.column("row_id").to_pylist(),
            "conversation_id": test.column("conversation_id").to_pylist(),
            "nll": np.bincount(rows, -np.log(probability), minlength=count),
            "tokens": np.bincount(rows, minlength=count),
            "correct": np.bincount(rows, correct, minlength=count).astype(int),
            "bytes": test.column("supervised_bytes").to_numpy().astype(np.int64),
        }
    )
    return metrics(frame), frame
