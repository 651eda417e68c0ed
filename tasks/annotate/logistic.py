"""The classifier's model: TF-IDF of words, word pairs and character n-grams, with logistic regression.

It contains only features that occur in several families, so that it holds no individual person's words.
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
MIN_FAMILIES = 3  # families that a feature must occur in
MOST_FEATURES = 20_000  # per analyzer
INVERSE_REGULARISATION = 10.0

Counts = Mapping[str, Any]  # analyzer -> (n, its features) sparse matrix of int64
Integers = NDArray[np.int64]


def count(
    texts: Sequence[str], vocabulary: Mapping[str, list[str]] | None = None
) -> tuple[Counts, dict[str, list[str]]]:
    """Count the features of each text; return the counts and the features' names.

    Args:
        vocabulary: the features to count, by analyzer; None for all, sorted by name.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counts, names = {}, {}
    for name, settings in ANALYZERS.items():
        features = None if vocabulary is None else vocabulary.get(name, [])
        if features:
            counter = CountVectorizer(vocabulary={feature: place for place, feature in enumerate(features)}, **settings)
            counts[name], names[name] = counter.transform(texts), features
        elif features is None and any(map(CountVectorizer(**settings).build_analyzer(), texts)):
            counter = CountVectorizer(**settings)
            counts[name] = counter.fit_transform(texts)
            names[name] = counter.get_feature_names_out().tolist()
    return counts, names


def part(counts: Counts, rows: Integers) -> Counts:
    """Select the counts of `rows`."""
    return {name: matrix[rows] for name, matrix in counts.items()}


@dataclass(frozen=True)
class Model:
    """Features and weights.

    Attributes:
        columns: analyzer -> positions of its features among all counted ones; empty for a model loaded from a file.
        idf: analyzer -> (features,) inverse document frequencies.
        weights: (all features + 1, classes), the intercepts last; -inf is the intercept of a class without examples.
    """

    columns: Mapping[str, Integers]
    idf: Mapping[str, Floats]
    weights: Floats

    def arrays(self) -> bytes:
        """Return the model's arrays as an `.npz` in float32; deterministic."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f"idf_{name}": values.astype(np.float32) for name, values in self.idf.items()}
        np.savez(buffer, weights=self.weights.astype(np.float32), **arrays)
        return buffer.getvalue()

    def scores(self, counts: Counts) -> Floats:
        """Return (n, classes) log-odds; each row depends only on its own counts.

        Args:
            counts: of all features if the model has `columns`, else of the model's features.
        """
        selected = {name: counts[name][:, self.columns[name]] if self.columns else counts[name] for name in self.idf}
        result: Floats = _weigh(selected, self.idf) @ self.weights[:-1] + self.weights[-1]
        return result


def load(arrays: bytes) -> Model:
    """Load a model from the bytes of `Model.arrays`."""
    with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
        idf = {name: stored[f"idf_{name}"].astype(float) for name in ANALYZERS if f"idf_{name}" in stored.files}
        return Model({}, idf, stored["weights"].astype(float))


def fit_model(counts: Counts, targets: Integers, families: Integers, classes: int) -> Model | None:
    """Train a model.

    Args:
        counts: of n texts.
        targets: (n,) class numbers; texts with -1 are not used.
        families: (n,) family numbers.
    Returns:
        None if no feature occurs in `MIN_FAMILIES` families, or if there are fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    labelled = np.flatnonzero(targets >= 0)
    counts, labels = part(counts, labelled), targets[labelled]
    columns = {name: _shared(matrix, families[labelled]) for name, matrix in counts.items()}
    columns = {name: places for name, places in columns.items() if len(places)}
    present = np.unique(labels)
    if len(present) < 2 or not columns:
        return None
    selected = {name: counts[name][:, places] for name, places in columns.items()}
    idf = {name: _inverse_frequency(matrix) for name, matrix in selected.items()}
    with threadpool_limits(1):  # floating-point sums must not depend on the number of threads
        regression = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000)
        regression.fit(_weigh(selected, idf), labels)
    fitted = np.vstack([regression.coef_.T, regression.intercept_])
    if len(present) == 2:  # one column of log-odds for the second class against the first
        fitted = np.hstack([np.zeros_like(fitted), fitted])
    weights = np.zeros((len(fitted), classes), dtype=np.float32)
    weights[-1] = -np.inf
    weights[:, present] = fitted
    return Model(columns, idf, weights.astype(float))


def _shared(matrix: Any, families: Integers) -> Integers:
    """Return the ascending columns of features in several families; if too many, those in the most families."""
    from scipy.sparse import csr_matrix

    numbers = pd.factorize(families)[0]
    member = csr_matrix((np.ones(len(numbers), dtype=np.int64), (numbers, np.arange(len(numbers)))))
    spread = np.asarray(((member @ matrix) > 0).sum(axis=0)).ravel()
    shared = np.flatnonzero(spread >= MIN_FAMILIES)
    result: Integers = np.sort(shared[np.argsort(-spread[shared], kind="stable")][:MOST_FEATURES])
    return result


def _inverse_frequency(matrix: Any) -> Floats:
    """Return ln((1 + n) / (1 + texts with the feature)) + 1, rounded to float32, in which it is stored."""
    texts = np.asarray((matrix > 0).sum(axis=0)).ravel()
    result: Floats = (np.log((1 + matrix.shape[0]) / (1 + texts)) + 1).astype(np.float32).astype(float)
    return result


def _weigh(counts: Counts, idf: Mapping[str, Floats]) -> Any:
    """Return (n, all features) TF-IDF: (1 + ln count) * idf, normalised to unit length per analyzer."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.preprocessing import normalize

    parts = []
    for name, factors in idf.items():
        matrix = csr_matrix(counts[name], dtype=np.float64)
        matrix.data = (1 + np.log(matrix.data)) * factors[matrix.indices]
        parts.append(normalize(matrix))
    return hstack(parts).tocsr()
