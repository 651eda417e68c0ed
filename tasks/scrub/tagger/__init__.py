"""Tagger: people's names and addresses in English chat, found by a small network that ships with the package.

Trained by `python -m tasks.scrub.tagger.train` on sentences that `corpus` makes. Needs numpy only.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tasks.scrub.span import Span
from tasks.scrub.tagger.model import FILE, TYPES, Tagger
from tasks.scrub.tagger.plausible import plausible, whole_name
from tasks.scrub.tagger.tokens import GAP, pieces

THRESHOLD = 0.6
EDGE = 0.15  # a neighbour of a sure token belongs to the span from here on
CHUNK = 20_000  # characters of texts looked at together


def tag(texts: Sequence[str], threshold: float = THRESHOLD) -> list[list[Span]]:
    """Find names (PERSON) and addresses (ADDRESS).

    Args:
        texts: n decoded texts; not modified. Placeholders are context only: never tagged, inside or across.
        threshold: probability that the surest token of a span must reach.
    Returns:
        n lists of spans in order, none overlapping, scored by their surest token. A text's spans depend on it alone.
    """
    found: list[list[Span]] = []
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + GAP
        if size >= CHUNK:
            found += _tag(batch, threshold)
            batch, size = [], 0
    return found + _tag(batch, threshold) if batch else found


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 of the model file, for the fingerprint of what scrub does."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def _tagger() -> Tagger:
    return Tagger()


def _tag(texts: list[str], threshold: float) -> list[list[Span]]:
    tokens = pieces(texts)
    scores = _tagger().scores(tokens)
    best = scores.max(axis=1)
    warm = np.flatnonzero(best >= EDGE).tolist()
    found: list[list[Span]] = [[] for _ in texts]
    if not warm or best.max() < threshold:
        return found
    types, best = scores.argmax(axis=1), best.tolist()
    ends = np.fromiter(map(len, tokens), np.int64, len(tokens)).cumsum()
    begins = np.fromiter(map(len, texts), np.int64, len(texts))
    begins = GAP * np.arange(1, len(texts) + 1) + np.concatenate([[0], begins.cumsum()[:-1]])
    at = 0
    while at < len(warm):
        first = last = warm[at]
        at += 1
        while at < len(warm) and warm[at] == last + 1 and types[warm[at]] == types[first]:
            last = warm[at]
            at += 1
        score = max(best[first : last + 1])
        if score < threshold:
            continue
        start, end = int(ends[first]) - len(tokens[first]), int(ends[last])
        number = int(np.searchsorted(begins, start, side="right")) - 1
        text, origin = texts[number], int(begins[number])
        start, end = _trim(text, start - origin, end - origin)
        span = Span(start, end, TYPES[types[first]], score)
        if plausible(text, span):
            found[number].append(whole_name(text, span))
    return found


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without what is neither letter nor digit at its ends."""
    while start < end and not text[start].isalnum():
        start += 1
    while start < end and not text[end - 1].isalnum():
        end -= 1
    return start, end
