"""Detect values that have no checksum by their grammar and by cue words around them.

These rules see one text at a time; the dialogue rules handle answers to an agent's questions.
"""

from collections.abc import Iterator, Sequence

from tasks.scrub.cues import gate
from tasks.scrub.cues.address import addresses
from tasks.scrub.cues.age import ages
from tasks.scrub.cues.email import emails
from tasks.scrub.cues.identifiers import identifiers
from tasks.scrub.cues.names import names
from tasks.scrub.cues.numbers import numbers, spoken
from tasks.scrub.cues.postcodes import postcodes
from tasks.scrub.cues.secrets import births, secrets
from tasks.scrub.cues.telephones import telephones
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span

__all__ = ["cue"]


def cue(texts: Sequence[str]) -> list[list[Span]]:
    """Detect values by grammar and cue words in a batch of texts.

    Args:
        texts: n decoded texts; not modified. No finding overlaps a placeholder.
    Returns:
        n lists of spans, ordered by start; spans of one text may overlap.
    """
    spans = {text: _cue(text) for text in dict.fromkeys(texts)}
    return [spans[text] for text in texts]


def _cue(text: str) -> list[Span]:
    wanted = gate.rules(text)
    if not wanted:
        return []
    words = Tokens(shield(text))
    spans = {
        span
        for span in _run(words, wanted)
        if SHIELD not in words.text[span.start : span.end] and span.start < span.end
    }
    return _outer(spans)


def _outer(spans: set[Span]) -> list[Span]:
    """Return the spans that lie in no other, and of equal spans the one with the highest score."""
    outer: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, -span.score, span.type)):
        if (
            not outer
            or span.end > outer[-1].end
            or ((span.start, span.end) != outer[-1][:2] and span.score > outer[-1].score)
        ):
            outer.append(span)
    return outer


def _run(words: Tokens, wanted: int) -> Iterator[Span]:
    if wanted & gate.NUMBERS:
        if wanted & gate.IDENTIFIERS:
            yield from identifiers(words)
        if wanted & gate.PHONES:
            yield from telephones(words)
        yield from numbers(words)
        yield from postcodes(words, bool(wanted & gate.POST))
        yield from births(words, bool(wanted & gate.BORN))
        yield from ages(words)
    if wanted & (gate.NUMBERS | gate.STREETS):
        yield from addresses(words, bool(wanted & (gate.SAID_WORDS | gate.STREETS)))
    if wanted & gate.EMAILS:
        yield from emails(words)
    if wanted & gate.NAMES:
        yield from names(words)
    if wanted & gate.SECRETS:
        yield from secrets(words)
    if wanted & gate.SPOKEN:
        yield from spoken(words)
        yield from ages(words)
