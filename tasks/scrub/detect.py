"""Detect: where a text holds something personal, layer by layer.

Patterns and checksums (Presidio's, and the pipeline file's), then the grammar and the words around a value (`cues`),
then names and addresses (the embedded tagger, or a larger model). The whole batch is given at once and every distinct
text is looked at once. Patterns may be quadratic in what they are given: they see a long text in pieces.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from deskloop.contract.errors import DataError
from tasks.scrub import adapted
from tasks.scrub.config import ScrubConfig
from tasks.scrub.patterns.context import forgetting
from tasks.scrub.patterns.engine import Engine
from tasks.scrub.recognizers import build
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, written

CORE, MARGIN = 1500, 300  # characters: a finding belongs to the piece in whose core it starts


def detect(texts: Sequence[str], config: ScrubConfig) -> list[list[Span]]:
    """Find personal values in a batch of texts.

    Args:
        texts: n decoded texts; not modified. Placeholders in them are never matched, inside or across.
        config: entities, patterns, deny lists, what is kept, the detector and the threshold of patterns.
    Returns:
        n lists of spans, ordered by start; spans of one text may overlap. What is said in words is found as what it
        would be in figures, and covers all of its words.
    Raises:
        ConfigError: the recognizers' file or the detector cannot be used.
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    views = {text: view for text in dict.fromkeys(texts) if (view := written(text))}
    distinct = list(dict.fromkeys([*texts, *(view.text for view in views.values())]))
    rules = build(config.entities, config.pattern_items, config.deny_items, config.recognizers)
    found, denied = (_searched(distinct, engine, config.threshold) for engine in (rules.patterns, rules.denied))
    for layer in _layers(distinct, config):
        for spans, more in zip(found, layer, strict=True):
            spans.update(more)
    if config.keep:
        found = [_unkept(text, spans, config.keep) for text, spans in zip(distinct, found, strict=True)]
    merged = {text: sorted(one | other) for text, one, other in zip(distinct, found, denied, strict=True)}
    for text, view in views.items():
        merged[text] = sorted({*merged[text], *filter(None, map(back(view), merged[view.text]))})
    return [list(merged[text]) for text in texts]


def _layers(texts: Sequence[str], config: ScrubConfig) -> Iterator[list[list[Span]]]:
    """What the layers after the patterns find in each text, as the config's `detector` says."""
    if config.detector == "patterns":
        return
    from tasks.scrub.cues import cue

    yield cue(texts)
    if config.detector == "embedded":
        from tasks.scrub.tagger import tag

        yield tag(texts)
    else:
        from tasks.scrub.external import load

        yield load(config.detector)(texts)


def _searched(texts: Sequence[str], engine: Engine, threshold: float) -> list[set[Span]]:
    """What an engine finds in each text that reaches the threshold."""
    if not engine:
        return [set() for _ in texts]
    with forgetting():
        return [_search(text, engine, threshold) for text in texts]


def _search(text: str, engine: Engine, threshold: float) -> set[Span]:
    spans: set[Span] = set()
    for offset, core, piece in _pieces(shield(text)):
        for found in engine.find(piece):
            start, end = _strip(piece, found.start, found.end)
            if found.score >= threshold and start < end and start in core and SHIELD not in piece[start:end]:
                spans.add(Span(offset + start, offset + end, found.type, found.score))
    return spans


def _unkept(text: str, spans: set[Span], keep: tuple[str, ...]) -> set[Span]:
    """The spans that do not lie wholly inside what is not personal in this domain."""
    if not spans:
        return spans
    kept = sorted(
        (offset + start, offset + end)
        for offset, _, piece in _pieces(shield(text))
        for expression in keep
        for start, end in _matches(expression, piece)
    )
    starts, reached = [start for start, _ in kept], [0, *itertools.accumulate((end for _, end in kept), max)]
    # Inside of one where any that starts before reaches behind.
    return {span for span in spans if reached[bisect_right(starts, span.start)] < span.end}


def _matches(expression: str, text: str) -> list[tuple[int, int]]:
    seconds = adapted.PATTERN_SECONDS
    try:
        return [match.span() for match in _compiled(expression).finditer(text, timeout=seconds)]
    except TimeoutError:
        raise DataError(
            f"scrub: a pattern of `keep` took over {seconds} s on {len(text)} characters: simplify it, nested "
            "repetitions such as (a+)+ are the usual cause"
        ) from None


@lru_cache
def _compiled(expression: str) -> Any:
    import regex  # type: ignore[import-untyped]

    return regex.compile(expression, flags=regex.DOTALL | regex.MULTILINE | regex.IGNORECASE)


def _pieces(text: str) -> Iterator[tuple[int, range, str]]:
    """(offset, core, piece): overlapping pieces, and the part of each whose findings count."""
    if len(text) <= CORE + MARGIN:
        yield 0, range(len(text)), text
        return
    for begin in range(0, len(text), CORE):
        offset = max(0, begin - MARGIN)
        piece = text[offset : begin + CORE + MARGIN]
        yield offset, range(begin - offset, begin - offset + CORE), piece


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
