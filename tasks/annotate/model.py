"""The model: TF-IDF of words, word pairs and pieces of words, and logistic regression; kept as names and arrays.

Only features seen in several families are kept, so that no one person's words are part of it.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.annotate.calibration import Floats

ANALYZERS: dict[str, dict[str, Any]] = {
    "words": {"analyzer": "word", "ngram_range": (1, 2)},
    "pieces": {"analyzer": "char_wb", "ngram_range": (2, 4)},
}
MIN_FAMILIES = 3  # that a feature must be seen in
MOST_FEATURES = 20_000  # of each analyzer
INVERSE_REGULARISATION = 10.0

Counts = Mapping[str, Any]  # analyzer -> (n, its features) sparse matrix of int64
Integers = NDArray[np.int64]


def count(
    texts: Sequence[str], vocabulary: Mapping[str, list[str]] | None = None
) -> tuple[Counts, dict[str, list[str]]]:
    """How often each feature occurs in each text, and the features' names.

    Args:
        vocabulary: the features to count, by analyzer; None: all there are, sorted by name.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counts, names = {}, {}
    for name, settings in ANALYZERS.items():
        given = None if vocabulary is None else vocabulary.get(name, [])
        if given:
            counter = CountVectorizer(vocabulary={one: place for place, one in enumerate(given)}, **settings)
            counts[name], names[name] = counter.transform(texts), given
        elif given is None and any(map(CountVectorizer(**settings).build_analyzer(), texts)):
            counter = CountVectorizer(**settings)
            counts[name] = counter.fit_transform(texts)
            names[name] = counter.get_feature_names_out().tolist()
    return counts, names


def part(counts: Counts, rows: Integers) -> Counts:
    """The counts of some texts."""
    return {name: matrix[rows] for name, matrix in counts.items()}


@dataclass(frozen=True)
class Model:
    """Features and weights.

    Attributes:
        columns: analyzer -> the places of its features among all that were counted; empty for a model from a file.
        idf: analyzer -> (features,) inverse document frequencies.
        weights: (all features + 1, classes), the intercepts last; an intercept of -inf: a class that it never saw.
    """

    columns: Mapping[str, Integers]
    idf: Mapping[str, Floats]
    weights: Floats

    def arrays(self) -> bytes:
        """Its numbers as an `.npz` in float32; the same numbers give the same bytes."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f"idf_{name}": values.astype(np.float32) for name, values in self.idf.items()}
        np.savez(buffer, weights=self.weights.astype(np.float32), **arrays)
        return buffer.getvalue()

    def scores(self, counts: Counts) -> Floats:
        """(n, classes) log-odds, each row from its own counts alone.

        Args:
            counts: of all features where the model has `columns`, else of its own.
        """
        own = {name: counts[name][:, self.columns[name]] if self.columns else counts[name] for name in self.idf}
        result: Floats = _weigh(own, self.idf) @ self.weights[:-1] + self.weights[-1]
        return result


def load(arrays: bytes) -> Model:
    """A model from `Model.arrays`."""
    with np.load(io.BytesIO(arrays), allow_pickle=False) as kept:
        idf = {name: kept[f"idf_{name}"].astype(float) for name in ANALYZERS if f"idf_{name}" in kept.files}
        return Model({}, idf, kept["weights"].astype(float))


def fit_model(counts: Counts, targets: Integers, families: Integers, classes: int) -> Model | None:
    """Learn from texts.

    Args:
        counts: of the texts.
        targets: (n,) class numbers; -1: not to be learned from.
        families: (n,) family numbers.
    Returns:
        None where no feature is in `MIN_FAMILIES` families, or there are fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    known = np.flatnonzero(targets >= 0)
    counts, labels = part(counts, known), targets[known]
    columns = {name: _shared(matrix, families[known]) for name, matrix in counts.items()}
    columns = {name: places for name, places in columns.items() if len(places)}
    present = np.unique(labels)
    if len(present) < 2 or not columns:
        return None
    own = {name: counts[name][:, places] for name, places in columns.items()}
    idf = {name: _inverse_frequency(matrix) for name, matrix in own.items()}
    with threadpool_limits(1):  # sums must not depend on how many threads share them
        regression = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000)
        regression.fit(_weigh(own, idf), labels)
    found = np.vstack([regression.coef_.T, regression.intercept_])
    if len(present) == 2:  # one column of log-odds for the second class against the first
        found = np.hstack([np.zeros_like(found), found])
    weights = np.zeros((len(found), classes), dtype=np.float32)
    weights[-1] = -np.inf
    weights[:, present] = found
    return Model(columns, idf, weights.astype(float))


def _shared(matrix: Any, families: Integers) -> Integers:
    """The columns of features of several families, ascending; those of the most families where there are too many."""
    from scipy.sparse import csr_matrix

    numbers = pd.factorize(families)[0]
    member = csr_matrix((np.ones(len(numbers), dtype=np.int64), (numbers, np.arange(len(numbers)))))
    spread = np.asarray(((member @ matrix) > 0).sum(axis=0)).ravel()
    shared = np.flatnonzero(spread >= MIN_FAMILIES)
    result: Integers = np.sort(shared[np.argsort(-spread[shared], kind="stable")][:MOST_FEATURES])
    return result


def _inverse_frequency(matrix: Any) -> Floats:
    """ln((1 + n) / (1 + texts with the feature)) + 1, in float32's precision, as it will be kept."""
    texts = np.asarray((matrix > 0).sum(axis=0)).ravel()
    result: Floats = (np.log((1 + matrix.shape[0]) / (1 + texts)) + 1).astype(np.float32).astype(float)
    return result


def _weigh(counts: Counts, idf: Mapping[str, Floats]) -> Any:
    """(n, all features) TF-IDF: (1 + ln count) * idf, each analyzer's features of unit length."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.preprocessing import normalize

    parts = []
    for name, factors in idf.items():
        matrix = csr_matrix(counts[name], dtype=np.float64)
        matrix.data = (1 + np.log(matrix.data)) * factors[matrix.indices]
        parts.append(normalize(matrix))
    return hstack(parts).tocsr()
