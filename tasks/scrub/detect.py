"""Detect: where a text holds something personal, by Presidio's patterns and checksums.

The whole batch is given at once and every distinct text is looked at once, so that a model can take the place of the
loop over texts. A long text is looked at in pieces: patterns may be quadratic in what they are given.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from deskloop.placeholders import PLACEHOLDER
from tasks.scrub.config import ScrubConfig
from tasks.scrub.recognizers import Recognizers, build

CORE, MARGIN = 1500, 300  # characters: a finding belongs to the piece in whose core it starts
SHIELD = "\ue000"  # stands for a placeholder's characters: neither letter, digit nor space to any pattern


class Span(NamedTuple):
    """A personal value in a text: `[start, end)` in characters, its entity type, and how sure it is (0 to 1)."""

    start: int
    end: int
    type: str
    score: float


def detect(texts: Sequence[str], config: ScrubConfig) -> list[list[Span]]:
    """Find personal values in a batch of texts.

    Args:
        texts: n decoded texts; not modified. Placeholders in them are never matched, inside or across.
        config: entities, patterns, deny lists and the threshold.
    Returns:
        n lists of spans, ordered by start; spans of one text may overlap.
    Raises:
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    distinct = dict.fromkeys(texts)
    recognizers = build(config.entities, config.pattern_items, config.deny_items)
    found = {text: _detect_one(text, recognizers, config.threshold) for text in distinct}
    return [found[text] for text in texts]


def shield(text: str) -> str:
    """The text with its placeholders covered, so that nothing is found in them; offsets stay."""
    return PLACEHOLDER.sub(lambda match: SHIELD * len(match[0]), text)


def _detect_one(text: str, recognizers: Recognizers, threshold: float) -> list[Span]:
    spans: set[Span] = set()
    for offset, core, piece in _pieces(shield(text)):
        for result in _results(piece, recognizers):
            start, end = _strip(piece, result.start, result.end)
            if result.score >= threshold and start < end and start in core and SHIELD not in piece[start:end]:
                spans.add(Span(offset + start, offset + end, result.entity_type, float(result.score)))
    return sorted(spans)


def _pieces(text: str) -> Iterator[tuple[int, range, str]]:
    """(offset, core, piece): overlapping pieces, and the part of each whose findings count."""
    if len(text) <= CORE + MARGIN:
        yield 0, range(len(text)), text
        return
    for begin in range(0, len(text), CORE):
        offset = max(0, begin - MARGIN)
        piece = text[offset : begin + CORE + MARGIN]
        yield offset, range(begin - offset, begin - offset + CORE), piece


def _results(text: str, recognizers: Recognizers) -> list[Any]:
    results = []
    ran = []
    for recognizer, test in recognizers.each:
        if test is None or test(text):
            found = recognizer.analyze(text, recognizer.supported_entities)
            if found:
                results += found
                ran.append(recognizer)
    for result in results:
        result.start, result.end = _strip(text, result.start, result.end)
    results = [result for result in results if result.start < result.end]
    if not any(result.score < 1.0 for result in results):
        return results
    return recognizers.enhance(text, results, recognizers.artifacts(text), ran)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
