"""Spans that no generator may change: placeholders, links, addresses, codes, numbers, declared words.

Protected are placeholders such as `<PERSON_1>`, links, tokens with an `@`, a digit or a dot inside (NV-2081, $49,
norvale.example), words in capitals or with a capital inside (EUR, PayPal), and what a config declares. A rewritten text
is intact if it has the same protected spans in the same order, none of them joined to a word.
"""

from collections.abc import Sequence
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from deskloop.contract.placeholders import PLACEHOLDER

EDGE = r".,;:!?…*~"  # not part of a token that ends with it
BREAK = r"\s()\[\]{}<>\"'‘’“”«»|\\"  # never inside a token
LINK = rf"(?:https?://|www\.)[^\s<>\[\]\"]*[^\s<>\[\]\"'’)({EDGE}]"
# One look ahead for each run of characters that no BREAK parts, so that a long run costs no more than its length.
HAS = rf"(?=[^{BREAK}]*(?:[\d@]|\w\.\p{{Ll}}{{2}}))"
TOKEN = rf"(?<![^{BREAK}])[{EDGE}]*+\K{HAS}[^{BREAK}{EDGE}](?:[^{BREAK}]*[^{BREAK}{EDGE}])?"
CODE = r"(?<!\w)(?:\p{Lu}{2}|\p{L}*\p{Ll}\p{Lu})\p{L}*(?!\w)"
NAME = regex.compile(r"(?<=[\p{Ll},;] )\p{Lu}\p{Ll}+(?!\w)")


def spans(text: str, protect: Sequence[str] = ()) -> list[tuple[int, int]]:
    """Protected spans of a text, in order: [(start, end)] in characters.

    Args:
        protect: declared words, found in any case.
    """
    return [match.span() for match in _pattern(tuple(protect)).finditer(text)]


def protected(text: str, protect: Sequence[str] = ()) -> list[str]:
    """Return the texts of the protected spans, in order."""
    return [text[start:end] for start, end in spans(text, protect)]


def intact(before: str, after: str, protect: Sequence[str] = ()) -> bool:
    """Check that `after` has exactly the protected spans of `before`, unchanged and in order."""
    old, new = spans(before, protect), spans(after, protect)
    if [before[slice(*span)] for span in old] != [after[slice(*span)] for span in new]:
        return False
    return all(_free(after, *there) or not _free(before, *here) for here, there in zip(old, new, strict=True))


def pieces(text: str, protect: Sequence[str] = (), names: bool = False) -> list[tuple[str, bool]]:
    """The text in pieces, [(piece, whether it is protected)]; joined, they are the text.

    Args:
        names: treat words that begin with a capital inside a sentence as protected too.
    """
    taken = spans(text, protect)
    if names:
        inside = [match.span() for match in NAME.finditer(text)]
        taken = sorted([*taken, *(name for name in inside if all(name[1] <= s or name[0] >= e for s, e in taken))])
    result, position = [], 0
    for start, end in taken:
        result += [(text[position:start], False), (text[start:end], True)]
        position = end
    return [piece for piece in [*result, (text[position:], False)] if piece[0]]


@lru_cache(maxsize=64)
def _pattern(protect: tuple[str, ...]) -> regex.Pattern[str]:
    declared = "|".join(regex.escape(word) for word in sorted(protect, key=lambda word: (-len(word), word)) if word)
    words = [rf"(?<!\w)(?i:{declared})(?!\w)"] if declared else []
    return regex.compile("|".join([PLACEHOLDER.pattern, LINK, TOKEN, *words, CODE]))


def _free(text: str, start: int, end: int) -> bool:
    """Check that no letter or digit touches a span."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
