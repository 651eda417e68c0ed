from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dedupe.minhash import near_pairs, rows_per_band, signatures
from tasks.dedupe.shingles import jaccard, pairs_within, plain_text, shingle_sets


def talk(*texts: str | None) -> list[dict[str, str | None]]:
    return [{"role": "customer", "text": text} for text in texts]


def similarity(one: str, other: str, size: int) -> float:
    """Jaccard similarity the long way: sets of tuples of words."""
    sets = []
    for words in (one.split(), other.split()):
        sets.append({tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_plain_text_forgets_case_and_white_space() -> None:
    assert plain_text([{"role": "agent", "text": " Hello \n<PERSON_1> "}, {"role": "system", "text": None}]) == [
        ("agent", "hello <person_1>"),
        ("system", ""),
    ]


def test_equal_shingles_are_one_set() -> None:
    sets = shingle_sets(
        [
            talk("a b c d"),
            talk("A b, c", "d!"),
            talk("a b c"),
            talk("c b a"),
            talk("!?"),
            talk("?!"),
            talk(""),
            talk(None),
        ],
        3,
    )
    assert sets.of.tolist() == [0, 0, 1, 2, 3, 4, 5, 5]
    assert sets.sizes.tolist() == [2, 1, 1, 1, 1, 1]


def test_empty_input_gives_no_pairs() -> None:
    sets = shingle_sets([], 5)
    left, right, similarities = near_pairs(sets, 0.7, 128, np.random.default_rng(0))
    assert (len(sets.sizes), len(left), len(right), len(similarities)) == (0, 0, 0, 0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9).map(" ".join), min_size=2, max_size=6),
    st.integers(1, 4),
)
def test_jaccard_is_the_true_one(texts: list[str], size: int) -> None:
    sets = shingle_sets([talk(text) for text in texts], size)
    pairs = np.array(list(combinations(range(len(texts)), 2)))
    expected = [similarity(texts[one], texts[other], size) for one, other in pairs]
    assert jaccard(sets, sets.of[pairs[:, 0]], sets.of[pairs[:, 1]]).tolist() == pytest.approx(expected)


@given(st.lists(st.integers(0, 4), max_size=12))
def test_pairs_within_are_all_pairs_once(keys: list[int]) -> None:
    found = [
        tuple(sorted(pair))
        for left, right in pairs_within(np.array(keys, dtype=np.int64))
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    ]
    assert sorted(found) == [(i, j) for i, j in combinations(range(len(keys)), 2) if keys[i] == keys[j]]


def variants(count: int, words: int) -> list[str]:
    """Texts that differ from their predecessor in a few words: similarities of all sizes."""
    rng = np.random.default_rng(5)
    current = [f"w{number}" for number in rng.integers(0, 10_000, words)]
    result = []
    for _ in range(count):
        for place in rng.integers(0, words, rng.integers(0, 4)):
            current[place] = f"w{rng.integers(0, 10_000)}"
        result.append(" ".join(current))
    return result


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_near_pairs_are_those_of_brute_force(threshold: float) -> None:
    texts = variants(150, 60)
    sets = shingle_sets([talk(text) for text in texts], 3)
    first = {number: position for position, number in reversed(list(enumerate(sets.of.tolist())))}
    every = np.array(list(combinations(range(len(sets.sizes)), 2)))
    expected = {
        (one, other)
        for one, other in every.tolist()
        if similarity(texts[first[one]], texts[first[other]], 3) >= threshold
    }
    left, right, similarities = near_pairs(sets, threshold, 128, np.random.default_rng(1))
    found = [tuple(sorted(pair)) for pair in zip(left.tolist(), right.tolist(), strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert (similarities >= threshold).all()
    assert threshold in (0.3, 1.0) or 0 < len(expected) < len(every)


def test_equal_minima_estimate_the_similarity() -> None:
    sets = shingle_sets([talk(text) for text in variants(120, 100)], 3)
    minima = signatures(sets, 1024, np.random.default_rng(2))
    pairs = np.array(list(combinations(range(len(sets.sizes)), 2)))
    true = jaccard(sets, pairs[:, 0], pairs[:, 1])
    error = (minima[pairs[:, 0]] == minima[pairs[:, 1]]).mean(axis=1) - true
    assert abs(error.mean()) < 0.02  # the pairs share words, so that their errors go together
    assert np.abs(error).max() < 5 * 0.5 / 32  # five standard deviations at 0.5


def test_signatures_do_not_depend_on_the_other_conversations() -> None:
    texts = [talk(text) for text in variants(400, 60)]
    whole, part = shingle_sets(texts, 3), shingle_sets(texts[200:], 3)
    one, other = (signatures(sets, 64, np.random.default_rng(3)) for sets in (whole, part))
    np.testing.assert_array_equal(one[whole.of[200:]], other[part.of])


@pytest.mark.parametrize(("threshold", "rows"), [(0.2, 1), (0.5, 2), (0.7, 3), (0.9, 6), (1.0, 128)])
def test_bands_miss_one_pair_in_a_million_at_most(threshold: float, rows: int) -> None:
    assert rows_per_band(threshold, 128) == rows
    assert (1 - threshold**rows) ** (128 // rows) <= 1e-6
