"""Span: a personal value's place in a text, as every layer of detection gives it."""

from typing import NamedTuple


class Span(NamedTuple):
    """A personal value in a text: `[start, end)` in characters, its entity type, and how sure it is (0 to 1)."""

    start: int
    end: int
    type: str
    score: float
