"""Represent conversations as sets of word shingles, and compute their exact Jaccard similarity."""

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that the polynomial over word hashes loses no bits
BLOCK = 20_000  # pairs compared at a time: some 10 million shingles in memory

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ShingleSets:
    """The distinct shingle sets of n conversations, in compressed sparse rows.

    Attributes:
        of: (n,) the number of each conversation's set; conversations with equal sets share it.
        starts: (sets + 1,) set s holds `values[starts[s]:starts[s + 1]]`, at least one, ascending.
        values: 64-bit hashes of shingles.
    """

    of: Indices
    starts: Indices
    values: NDArray[np.uint64]

    @property
    def sizes(self) -> Indices:
        """(sets,) shingles in each set."""
        return np.diff(self.starts)


def plain_text(turns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (role, text) of every turn, casefolded and with single spaces; equal for exact duplicates."""
    return [(turn["role"], " ".join((turn["text"] or "").casefold().split())) for turn in turns]


def shingle_sets(conversations: Iterable[Sequence[Mapping[str, Any]]], size: int) -> ShingleSets:
    """Collect every run of `size` words of each conversation, across the borders of its turns.

    A conversation with fewer words is one shingle; one without words is the shingle of its plain text.

    Args:
        conversations: n lists of turns; not modified.
        size: words in a shingle.
    """
    hashes = _WordHashes()
    words = array("Q")
    lengths: list[int] = []
    for turns in conversations:
        text = "\n".join(line for _, line in plain_text(turns))
        tokens = WORD.findall(text) or [text]
        words.extend(map(hashes.__getitem__, tokens))
        lengths.append(len(tokens))
    return _distinct(np.array(words, dtype=np.uint64), np.array(lengths, dtype=np.int64), size)


class _WordHashes(dict[str, int]):
    """Caches 64 bits of BLAKE2b per word."""

    def __missing__(self, word: str) -> int:
        self[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        return self[word]


def _distinct(words: NDArray[np.uint64], lengths: Indices, size: int) -> ShingleSets:
    """Build the sets from the concatenated word hashes of all conversations, `lengths` words each."""
    counts = np.maximum(lengths - size + 1, 1)  # shingles of each conversation, repetitions included
    first = np.repeat(np.cumsum(lengths) - lengths, counts) + _ranges(counts)
    width = np.repeat(np.minimum(lengths, size), counts)
    shingles = np.zeros(len(first), dtype=np.uint64)
    for offset in range(size):
        inside = width > offset
        shingles[inside] = shingles[inside] * BASE + words[first[inside] + offset]
    shingles = mix(shingles)
    owner = np.repeat(np.arange(len(lengths)), counts)
    order = np.lexsort((shingles, owner))
    owner, shingles = owner[order], shingles[order]
    new = np.ones(len(owner), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (shingles[1:] != shingles[:-1])
    return _shared(owner[new], shingles[new], len(lengths))


def _shared(owner: Indices, shingles: NDArray[np.uint64], count: int) -> ShingleSets:
    """Store equal sets once.

    Args:
        owner: (shingles,) ascending numbers of the `count` conversations.
        shingles: (shingles,) ascending within a conversation.
    """
    bounds = np.searchsorted(owner, np.arange(count + 1))
    numbers: dict[bytes, int] = {}
    distinct: list[NDArray[np.uint64]] = []
    of = np.empty(count, dtype=np.int64)
    for number, (start, stop) in enumerate(pairwise(bounds)):
        of[number] = numbers.setdefault(shingles[start:stop].tobytes(), len(numbers))
        if len(numbers) > len(distinct):
            distinct.append(shingles[start:stop])
    starts = np.cumsum([0, *(len(values) for values in distinct)], dtype=np.int64)
    return ShingleSets(of, starts, np.concatenate([*distinct, np.empty(0, dtype=np.uint64)]))


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64, https://prng.di.unimi.it/splitmix64.c, so that all bits are well mixed."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def jaccard(sets: ShingleSets, left: Indices, right: Indices) -> NDArray[np.float64]:
    """Return the (pairs,) exact Jaccard similarity of sets `left` and `right`: intersection over union."""
    from scipy.sparse import csr_matrix

    _, columns = np.unique(sets.values, return_inverse=True)
    shape = (len(sets.sizes), int(columns.max(initial=-1)) + 1)
    matrix = csr_matrix((np.ones(len(columns), dtype=np.int32), columns, sets.starts), shape=shape)
    shared = np.zeros(len(left), dtype=np.int64)
    for start in range(0, len(left), BLOCK):
        block = slice(start, start + BLOCK)
        shared[block] = np.asarray(matrix[left[block]].multiply(matrix[right[block]]).sum(axis=1)).ravel()
    return shared / (sets.sizes[left] + sets.sizes[right] - shared)


def pairs_within(keys: NDArray[Any]) -> Iterator[tuple[Indices, Indices]]:
    """Yield every pair of positions with equal keys, once, in arrays of at most `len(keys)` pairs.

    In sorted keys, equal keys `gap` apart imply equal keys in between, so each round only extends the previous pairs.
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    position = np.arange(len(keys) - 1)
    gap = 1
    while len(position := position[ranked[position] == ranked[position + gap]]):
        yield order[position], order[position + gap]
        gap += 1
        position = position[position + gap < len(keys)]


def _ranges(counts: Indices) -> Indices:
    """Return 0, 1, ... count - 1 for each count, concatenated."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
