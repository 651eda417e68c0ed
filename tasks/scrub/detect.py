"""Detect personal values in texts, layer by layer.

The layers are patterns and checksums (Presidio's and the pipeline file's), grammar and cue words (`cues`), and names
and addresses (the embedded tagger or a larger model). Each distinct text of a batch is searched once. Patterns can take
quadratic time, so they see a long text in pieces.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from deskloop.contract.errors import DataError
from tasks.scrub import adapted
from tasks.scrub.config import ScrubConfig
from tasks.scrub.patterns.context_words import forgetting
from tasks.scrub.patterns.recognition import Engine
from tasks.scrub.recognizers import build
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, written

CORE, MARGIN = 1500, 300  # characters; a finding belongs to the piece in whose core it starts


def detect(texts: Sequence[str], config: ScrubConfig) -> list[list[Span]]:
    """Find personal values in a batch of texts.

    Args:
        texts: n decoded texts; not modified. No finding overlaps a placeholder.
        config: entities, patterns, deny lists, `keep`, the detector and the threshold of patterns.
    Returns:
        n lists of spans, ordered by start; spans of one text may overlap. A number spelled out in words is detected as
        its figures would be, and its span covers all of its words.
    Raises:
        ConfigError: the recognizers' file or the detector cannot be used.
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    views = {text: view for text in dict.fromkeys(texts) if (view := written(text))}
    distinct = list(dict.fromkeys([*texts, *(view.text for view in views.values())]))
    rules = build(config.entities, config.pattern_items, config.deny_items, config.recognizers)
    detected, denied = (_searched(distinct, engine, config.threshold) for engine in (rules.patterns, rules.denied))
    for layer in _layers(distinct, config):
        for spans, more in zip(detected, layer, strict=True):
            spans.update(more)
    if config.keep:
        detected = [_unkept(text, spans, config.keep) for text, spans in zip(distinct, detected, strict=True)]
    merged = {text: sorted(spans | listed) for text, spans, listed in zip(distinct, detected, denied, strict=True)}
    for text, view in views.items():
        merged[text] = sorted({*merged[text], *filter(None, map(back(view), merged[view.text]))})
    return [list(merged[text]) for text in texts]


def _layers(texts: Sequence[str], config: ScrubConfig) -> Iterator[list[list[Span]]]:
    """Yield the spans that each layer after the patterns finds in each text, as selected by `detector`."""
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
    """Return an engine's findings in each text that reach the threshold."""
    if not engine:
        return [set() for _ in texts]
    with forgetting():
        return [_search(text, engine, threshold) for text in texts]


def _search(text: str, engine: Engine, threshold: float) -> set[Span]:
    spans: set[Span] = set()
    for offset, core, piece in _pieces(shield(text)):
        for finding in engine.find(piece):
            start, end = _strip(piece, finding.start, finding.end)
            if finding.score >= threshold and start < end and start in core and SHIELD not in piece[start:end]:
                spans.add(Span(offset + start, offset + end, finding.type, finding.score))
    return spans


def _unkept(text: str, spans: set[Span], keep: tuple[str, ...]) -> set[Span]:
    """Return the spans that do not lie entirely inside a match of `keep`."""
    if not spans:
        return spans
    excluded = sorted(
        (offset + start, offset + end)
        for offset, _, piece in _pieces(shield(text))
        for expression in keep
        for start, end in _matches(expression, piece)
    )
    starts, reached = [start for start, _ in excluded], [0, *itertools.accumulate((end for _, end in excluded), max)]
    # A span lies inside a match if any match that starts no later ends no earlier.
    return {span for span in spans if reached[bisect_right(starts, span.start)] < span.end}


def _matches(expression: str, text: str) -> list[tuple[int, int]]:
    seconds = adapted.PATTERN_SECONDS
    try:
        return [match.span() for match in _compiled(expression).finditer(text, timeout=seconds)]
    except TimeoutError:
        raise DataError(
            f"scrub: a pattern of `keep` took over {seconds} s on {len(text)} characters; simplify it (nested "
            "repetitions such as (a+)+ are the usual cause)"
        ) from None


@lru_cache
def _compiled(expression: str) -> Any:
    import regex  # type: ignore[import-untyped]

    return regex.compile(expression, flags=regex.DOTALL | regex.MULTILINE | regex.IGNORECASE)


def _pieces(text: str) -> Iterator[tuple[int, range, str]]:
    """Yield (offset, core, piece): overlapping pieces of a text, and the part of each whose findings count."""
    if len(text) <= CORE + MARGIN:
        yield 0, range(len(text)), text
        return
    for begin in range(0, len(text), CORE):
        offset = max(0, begin - MARGIN)
        piece = text[offset : begin + CORE + MARGIN]
        yield offset, range(begin - offset, begin - offset + CORE), piece


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without white space at its ends."""
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
