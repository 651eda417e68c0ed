"""Split texts into words, digit runs and signs; the tokens cover every character."""

import re
from collections.abc import Sequence

from deskloop.contract.placeholders import PLACEHOLDER

PAD = "\0"  # separates two texts
GAP = 4  # pads between two texts, the reach of the widest layer
LONGEST = 24  # maximum characters of a word; a longer run of letters becomes several tokens
# Combining marks count as letters (a vowel sign does not end a word); punctuation, symbols and private characters do
# not.
_LETTER = (
    "[a-zA-Z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u1fff\u2070-\u218f\u2c00-\u2fff\u3021-\udfff"
    "\uf900-\ufdff\ufe10-\ufeff\uff21-\U0001efff]"
)
_SHIELDED = "\ue000"
# A token includes the blank before it, so that the tokens give all offsets and "no 12 b" differs from "no12b".
TOKEN = re.compile(
    rf" ?{PLACEHOLDER.pattern}| ?{_SHIELDED}++| ?{_LETTER}{{1,{LONGEST}}}+| ?[0-9]{{1,12}}+|\0|\n| ?[^\s\0]|\s"
)
_DIGITS = str.maketrans("123456789", "000000000")


def pieces(texts: Sequence[str]) -> list[str]:
    """Return the tokens of all texts in order, with `GAP` pads before, between and after the texts.

    Args:
        texts: n texts; not modified. A zero byte is treated as a blank.
    Returns:
        Tokens whose cumulative lengths are the offsets. All digits become 0, also in placeholders.
    """
    gap = PAD * GAP
    joined = gap + gap.join([text.replace(PAD, " ") if PAD in text else text for text in texts]) + gap
    return TOKEN.findall(joined.translate(_DIGITS))


def is_placeholder(token: str) -> bool:
    """Check whether a token is a placeholder, plain or shielded, which is context and never part of a finding."""
    token = token.lstrip(" ")
    return token[:1] == _SHIELDED or (token[:1] == "<" and len(token) > 1)
