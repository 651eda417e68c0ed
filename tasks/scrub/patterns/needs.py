"""Derive from a regular expression which characters a text must contain for a match.

The conditions are necessary and cheap to check: a text that lacks them has no match, any other text may have one. Only
characters without case are counted, because Presidio ignores case. An expression that cannot be analysed has no needs.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import regex  # type: ignore[import-untyped]

MARKS = ("@", ".", ":", "-", "/", ":-")  # characters that are counted besides digits; the last item is either of two
# Syntax of `regex` that `re` interprets differently: fuzzy matching, as in `(?:word){e<=1}`.
_FUZZY = re.compile(r"\{[^{}]*[a-z:][^{}]*\}")
_DIGITS = frozenset(range(ord("0"), ord("9") + 1))
_KINDS = (_DIGITS, *(frozenset(map(ord, mark)) for mark in MARKS))
_ASCII_DIGIT = re.compile(r"[0-9]")
_DIGIT = re.compile(r"\d")
_ANY_DIGIT = regex.compile(r"\d")  # may know a newer Unicode than `re`
_INNER_DOT = re.compile(r"\.\S")


@dataclass(frozen=True)
class Needs:
    """The minimum that a text must contain.

    Attributes:
        counts: number of digits, then of each of MARKS.
        inner_dot: whether it needs a full stop directly before a character other than white space.
        width: number of characters.
    """

    counts: tuple[int, ...] = (0,) * (1 + len(MARKS))
    inner_dot: bool = False
    width: int = 0

    def met(self, counts: Sequence[int], inner_dot: bool) -> bool:
        """Check whether a text with these counts may match, regardless of its length."""
        return all(map(int.__ge__, counts, self.counts)) and (inner_dot or not self.inner_dot)

    def either(self, other: "Needs") -> "Needs":
        """Return the needs of an alternation of two expressions."""
        counts = tuple(map(min, self.counts, other.counts))
        return Needs(counts, self.inner_dot and other.inner_dot, min(self.width, other.width))


NOTHING = Needs()


def needs(expression: str, flags: int) -> Needs:
    """Return the needs of an expression with flags, both of the module `regex`."""
    if flags & regex.VERBOSE or _FUZZY.search(expression):
        return NOTHING
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a nested set gives a warning in `re` and has another meaning in `regex`
            tree = parser.parse(expression)
    except (re.error, RecursionError, OverflowError, Warning):
        return NOTHING
    return Needs(tuple(_count(tree, kind) for kind in _KINDS), _has_inner_dot(tree), min(tree.getwidth()[0], 1 << 20))


def tally(text: str) -> tuple[int, ...]:
    """Count the digits of a text, then each of MARKS."""
    if text.isascii():
        digits = len(_ASCII_DIGIT.findall(text))
    else:
        digits = max(len(_DIGIT.findall(text)), len(_ANY_DIGIT.findall(text)))
    at, stop, colon, dash, slash = map(text.count, MARKS[:-1])
    return digits, at, stop, colon, dash, slash, colon + dash


def has_inner_dot(text: str) -> bool:
    """Check for a full stop directly before a character other than white space."""
    return _INNER_DOT.search(text) is not None


def _count(tree: Any, wanted: frozenset[int]) -> int:
    """Return the minimum number of characters from `wanted` in any match."""
    return sum(_count_one(code, value, wanted) for code, value in tree)


def _count_one(code: Any, value: Any, wanted: frozenset[int]) -> int:
    if code is op.LITERAL:
        return int(value in wanted)
    if code is op.IN:
        return int(all(_within(code, item, wanted) for code, item in value))
    if code is op.BRANCH:
        return min(_count(branch, wanted) for branch in value[1])
    if code is op.SUBPATTERN:
        return _count(value[3], wanted)
    if code is op.ATOMIC_GROUP:
        return _count(value, wanted)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, _, body = value
        return min(int(least) * _count(body, wanted), 1 << 20)
    return 0


def _within(code: Any, value: Any, wanted: frozenset[int]) -> bool:
    """Check whether an item of a character set is a subset of `wanted`."""
    if code is op.LITERAL:
        return value in wanted
    if code is op.RANGE:
        return wanted.issuperset(range(value[0], value[1] + 1))
    return code is op.CATEGORY and value is op.CATEGORY_DIGIT and wanted is _DIGITS


def _has_inner_dot(tree: Any) -> bool:
    """Check whether every match contains a full stop directly before a character other than white space."""
    items = list(tree)
    for index, (code, value) in enumerate(items):
        if code is op.LITERAL and value == ord("."):
            required = _solid_start(items[index + 1 :])
        elif code is op.BRANCH:
            required = all(map(_has_inner_dot, value[1]))
        elif code is op.SUBPATTERN:
            required = _has_inner_dot(value[3])
        else:
            required = code in (op.MAX_REPEAT, op.MIN_REPEAT) and value[0] > 0 and _has_inner_dot(value[2])
        if required:
            return True
    return False


def _solid_start(items: Sequence[Any]) -> bool:
    """Check whether every match of these items begins with a character other than white space."""
    if not items:
        return False
    code, value = items[0]
    if code is op.LITERAL:
        return not chr(value).isspace()
    if code is op.IN:
        return all(_solid_item(*item) for item in value)
    if code is op.BRANCH:
        return all(_solid_start(list(branch)) for branch in value[1])
    if code is op.SUBPATTERN:
        return _solid_start(list(value[3]))
    return code in (op.MAX_REPEAT, op.MIN_REPEAT) and value[0] > 0 and _solid_start(list(value[2]))


def _solid_item(code: Any, value: Any) -> bool:
    if code is op.LITERAL:
        return not chr(value).isspace()
    if code is op.RANGE:
        return bool(value[0] > 0x20 and value[1] < 0x7F)
    return code is op.CATEGORY and value in (op.CATEGORY_DIGIT, op.CATEGORY_WORD)
