"""A turn in its clauses, each without the small talk before it."""

from collections.abc import Iterator

from tasks.scrub.dialogue.words import CLAUSE, FILLER


def clauses(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each clause without the fillers before it."""
    start = 0
    for mark in CLAUSE.finditer(text):
        yield without_fillers(text, start, mark.start())
        start = mark.end()
    yield without_fillers(text, start, len(text))


def without_fillers(text: str, start: int, end: int) -> tuple[int, int]:
    """`[start, end)` without "sure, it is fine, " and the like at its start; empty where nothing else is left."""
    while start < end and text[start] in " \t\"'“‘-—*":
        start += 1
    filler = FILLER.match(text, start, end)
    return min(filler.end(), end) if filler else start, end
