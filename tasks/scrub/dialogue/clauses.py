"""Split a turn into clauses without leading small talk."""

from collections.abc import Iterator

from tasks.scrub.dialogue.stopwords import CLAUSE, FILLER


def clauses(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each clause without its leading fillers."""
    start = 0
    for mark in CLAUSE.finditer(text):
        yield without_fillers(text, start, mark.start())
        start = mark.end()
    yield without_fillers(text, start, len(text))


def without_fillers(text: str, start: int, end: int) -> tuple[int, int]:
    """Return `[start, end)` without leading fillers such as "sure, "; empty if there is nothing else."""
    while start < end and text[start] in " \t\"'“‘-—*":
        start += 1
    filler = FILLER.match(text, start, end)
    return min(filler.end(), end) if filler else start, end
