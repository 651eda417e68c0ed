"""Tokens: a text cut into words, digit runs and signs that cover every character of it."""

import re
from collections.abc import Sequence

from deskloop.contract.placeholders import PLACEHOLDER

PAD = "\0"  # stands between two texts
GAP = 4  # pads between two texts: as far as the widest layer looks
LONGEST = 24  # characters of one word; a longer run of letters is several tokens
# Marks count as letters (a vowel sign does not end a word); punctuation, symbols and private characters do not.
_LETTER = (
    "[a-zA-Z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u1fff\u2070-\u218f\u2c00-\u2fff\u3021-\udfff"
    "\uf900-\ufdff\ufe10-\ufeff\uff21-\U0001efff]"
)
_SHIELDED = "\ue000"
# A word takes the blank before it along, so that the pieces give all offsets and "no 12 b" differs from "no12b".
TOKEN = re.compile(
    rf" ?{PLACEHOLDER.pattern}| ?{_SHIELDED}++| ?{_LETTER}{{1,{LONGEST}}}+| ?[0-9]{{1,12}}+|\0|\n| ?[^\s\0]|\s"
)
_DIGITS = str.maketrans("123456789", "000000000")


def pieces(texts: Sequence[str]) -> list[str]:
    """The tokens of all texts in order, with `GAP` pads before, between and behind the texts.

    Args:
        texts: n texts; not modified. A zero byte in one is read as a blank.
    Returns:
        Tokens whose joined lengths give every offset. Digits other than 0 read 0, in placeholders too.
    """
    gap = PAD * GAP
    joined = gap + gap.join([text.replace(PAD, " ") if PAD in text else text for text in texts]) + gap
    return TOKEN.findall(joined.translate(_DIGITS))


def is_placeholder(token: str) -> bool:
    """Whether a token is a placeholder, as written or shielded: context, and never part of a finding."""
    token = token.lstrip(" ")
    return token[:1] == _SHIELDED or (token[:1] == "<" and len(token) > 1)
