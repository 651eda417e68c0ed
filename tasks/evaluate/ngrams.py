"""The simplest language models on the same tokens: what a trained model has to beat."""

import numpy as np
import pyarrow as pa

from tasks.evaluate.batches import UNSEEN, columns
from tasks.evaluate.likelihood import metrics

ADD = 0.5  # to every count of the unigram model, so that unseen tokens are possible


def baselines(train: pa.Table, test: pa.Table, vocabulary: int) -> dict[str, dict[str, float]]:
    """A unigram and a bigram model of the supervised tokens.

    The bigram model sees the token before, supervised or not, and interpolates with the unigram by absolute
    discounting (Ney, Essen, Kneser 1994), its discount estimated from the counts of counts.

    Args:
        train, test: (n, ENCODED); a training row counts `repeats` times, a test row once.
        vocabulary: tokens of the tokenizer.
    Returns:
        `unigram` and `bigram`: metrics as of `tasks.evaluate.likelihood.metrics`.
    """
    before, tokens, counts = _pairs(train, repeated=True)
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

    before, tokens, _ = _pairs(test, repeated=False)
    wanted = before * vocabulary + tokens
    place = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    found = np.where(pairs[place] == wanted, pair_counts[place], 0.0)
    total = context_counts[before]
    kept, left = np.maximum(found - discount, 0), discount * followers[before]
    bigram = np.where(total > 0, (kept + left * unigram[tokens]) / np.maximum(total, 1), unigram[tokens])
    size = np.asarray(test.column("supervised_bytes").to_numpy())
    return {
        "unigram": _figures(unigram[tokens], tokens == unigram.argmax(), size),
        "bigram": _figures(bigram, tokens == likeliest[before], size),
    }


def _pairs(table: pa.Table, repeated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each supervised token, the token before it, and how often the row counts; (tokens,) arrays."""
    data = columns(table)
    before = np.concatenate([tokens[:-1] for tokens in data["tokens"]])
    tokens = np.concatenate([labels[1:] for labels in data["labels"]])
    counts = np.repeat(data["repeats"] if repeated else np.ones(len(table), int), np.maximum(data["lengths"] - 1, 0))
    seen = tokens != UNSEEN
    return before[seen], tokens[seen], counts[seen]


def _likeliest(contexts: np.ndarray, tokens: np.ndarray, counts: np.ndarray, vocabulary: int, other: int) -> np.ndarray:
    """The commonest follower of each token, the smaller id of equals; `other` where none was seen."""
    result = np.full(vocabulary, other)
    order = np.lexsort((-tokens, counts))  # the last assignment to a context wins
    result[contexts[order]] = tokens[order]
    return result


def _figures(probability: np.ndarray, correct: np.ndarray, size: np.ndarray) -> dict[str, float]:
    nll = -np.log(probability)
    return metrics({"nll": nll, "tokens": np.array([len(nll)]), "correct": correct, "bytes": size})
