"""The span type that all layers of detection return."""

from typing import NamedTuple


class Span(NamedTuple):
    """A personal value in a text: `[start, end)` in characters, its entity type, and a score (known values: over 1)."""

    start: int
    end: int
    type: str
    score: float
