"""Detect bare numbers in a chat that are not amounts: long digit runs, short answers, spelled-out numbers."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import COUNTED, DIGITS, MONEY_SIGNS, STOP, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.shield import SHIELD
from tasks.scrub.span import Span

LONG = 7  # minimum digits of a bare number that is personal; a shorter one only counts as an answer
_GROUPS = re.compile(
    r"(?<![\w.,/#-])(?<![$€£¥₹+-][ ])"
    r"(?:1[ -](?=\d{10}(?!\d)|\d{3}[ -]\d{3}))?\d{2,30}(?:(?P<sep>[ -])\d{2,12}(?:(?P=sep)\d{2,12}){0,4})?"
    r"(?![\w/%])(?![.,:-]\d)(?!-\w)"
)
# Shapes in which people write numbers in groups of digits: cards, phones, social security numbers.
_SHAPE_LIST = (
    "4-4-4-4 4-4-4 4-4-4-3 4-6-5 4-6-4 5-5-6 4-4-4-4-3 4-4-8 8-4 4-8 2-10 3-2-4 3-3-3-3 "
    "3-3-4 3-4-4 3-4-3 4-3-3 4-3-4 3-7 3-8 4-7 5-5 5-6 5-4 6-4 2-4-4 2-3-4 2-3-3-4 2-5-5 2-2-2-2-2 1-3-3-4 1-10"
)
_SHAPES = frozenset(tuple(map(int, shape.split("-"))) for shape in _SHAPE_LIST.split())
_COMPACT = re.compile(r"(?:\d{1,2}\d{1,2})(?:20[0-3]\d|[12]\d)|20[0-3]\d\d{4}")
_EXTENSION = re.compile(r"[ ]?(?:x|ext)\.?[ ]?\d{1,6}(?!\d)", re.IGNORECASE)
_EITHER = re.compile(r"\beither (\d{4,8}) or (\d{4,8})(?![\w/.%])")
_MOVED = re.compile(r"\b(?:from|to|account|acc|ac) (\d{4,12})(?<!00)(?![\w/.%])")
_CLOCK = re.compile(
    r"(?:at|time|times|timing|around|by|from|until|till|on|date|dated|to|since|@)[ :]{1,2}$", re.IGNORECASE
)
_ENOUGH = re.compile(r"\d{4}|\d{2}[ -]\d{2}")
_LONGER = re.compile(r"\d{4}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_FREE = listed(
    """
    and is its it's it my sir ok okay yes yeah ya sure sorry the number numbers no nos name names im i am this
    here hi hello thanks thank you please pls oh well so that thats a id last digits digit are of for city they
    code zip zipcode sorry
    """
)
_SHORT_WORDS, _SHORT_LENGTH = 3, 48  # maximum name-like words and characters of an answer
_DATED = listed(
    """
    date dated on time timing dates travel travelling depart departing departure charged used
    """
)
_SPOKEN_WORD = "|".join(sorted(DIGITS, key=lambda word: (-len(word), word)))
_SPOKEN = re.compile(rf"\b(?:{_SPOKEN_WORD}|\d)(?:[ ,-]{{1,2}}(?:{_SPOKEN_WORD}|\d)){{6,40}}+(?![^\W_])", re.IGNORECASE)
_SPOKEN_ENOUGH = 4  # minimum digit words in a text for the pattern to run


def numbers(words: Tokens) -> Iterator[Span]:
    """Yield every number that is an account, a card, a phone or a secret by its length, shape or place."""
    text = words.text
    if not _ENOUGH.search(text):
        return
    answer = _LONGER.search(text) is not None and _is_answer(words)
    for match in _GROUPS.finditer(text):
        value = match[0]
        sizes = tuple(map(len, re.split("[ -]", value)))
        if len(sizes) == 1:
            yield from _single(text, match.start(), value, answer)
        else:
            yield from _grouped(text, match, sizes, answer)
    for match in _EITHER.finditer(text):
        if not any(_YEAR.fullmatch(number) or _counted(text, *match.span(2)) for number in match.groups()):
            yield Span(*match.span(1), "PIN", 0.6)
            yield Span(*match.span(2), "PIN", 0.6)
    if "transfer" in text:
        for match in _MOVED.finditer(text):
            if not _YEAR.fullmatch(match[1]) and not _counted(text, *match.span(1)):
                yield Span(*match.span(1), "ACCOUNT_NUMBER", 0.5)


def _grouped(text: str, match: re.Match[str], sizes: tuple[int, ...], answer: bool) -> Iterator[Span]:
    """Yield a grouped number if its shape, or a part of it, is usual; else each group on its own."""
    pieces = [(match.start() + piece.start(), match.start() + piece.end()) for piece in re.finditer(r"\d+", match[0])]
    ends = [
        (0, len(sizes)),
        *((0, keep) for keep in range(len(sizes) - 1, 2, -1)),
        *((drop, len(sizes)) for drop in (1, 2)),
    ]
    shape = next((place for place in ends if sizes[slice(*place)] in _SHAPES), None)
    if sizes == (3, 4) and "-" in match[0]:  # with a space, it is two numbers as often
        shape = (0, 2)
    first, last = shape or (0, 0)
    if shape:
        start, end = pieces[first][0], pieces[last - 1][1]
        if sum(sizes[first:last]) >= LONG and not _counted(text, start, end):
            yield Span(start, end, kind(sum(sizes[first:last])), 0.6)
    for place, (start, end) in enumerate(pieces):
        if not shape or not first <= place < last:
            yield from _single(text, start, text[start:end], answer)


def _single(text: str, start: int, value: str, answer: bool) -> Iterator[Span]:
    end = start + len(value)
    if len(value) < 4 or _counted(text, start, end):
        return
    alone = len(value) == len(text.strip())
    if len(value) >= LONG:
        dated = len(value) < 9 and _is_date(value)
        if not dated:
            yield Span(start, end, kind(len(value)), 0.6)
        extension = _EXTENSION.match(text, end)
        if extension and len(value) > 9:
            yield Span(start, extension.end(), "PHONE_NUMBER", 0.6)
    elif value[0] == "0" and len(value) == 4 and not _CLOCK.search(text, max(0, start - 12), start):
        yield Span(start, end, "PIN", 0.45)
    elif (
        answer
        and not (len(value) == 4 and _YEAR.fullmatch(value))
        and not (alone and len(value) > 4 and _is_date(value))
    ):
        yield Span(start, end, kind(len(value)), 0.45)


def kind(digits: int) -> str:
    """Return the most likely type of a bare number in a support chat, by its number of digits."""
    if digits <= 4:
        return "PIN"
    if digits <= 6:
        return "ZIP_CODE"
    if digits == 9:
        return "US_SSN"
    if digits in (10, 11):
        return "PHONE_NUMBER"
    return "CREDIT_CARD" if 13 <= digits <= 19 else "ACCOUNT_NUMBER"


def _is_answer(words: Tokens) -> bool:
    """Check whether the text is an answer of a few name-like words and numbers, without amounts or dates."""
    if len(words.text) > _SHORT_LENGTH:
        return False
    named = 0
    for word in words.low:
        if word in COUNTED or word in _DATED or word.startswith(SHIELD):
            return False
        if word.isalpha() and word not in _FREE:
            named += 1
            if word in STOP or named > _SHORT_WORDS:
                return False
    return True


_WORD_BEFORE = re.compile(
    r"([^\W_]{1,20}+|[^\w\s])(?:[ ]?(?:\b(?:number|numbers|no|nr|num|id|is|was|code|its|it's)\b|[#:=])){0,3}[ ]?$",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(r"[ ]?([^\W\d_]+|[^\w\s])")


def _counted(text: str, start: int, end: int) -> bool:
    """Check whether a word or sign next to the number makes it an amount, a size, a version or a calculation."""
    before = _WORD_BEFORE.search(text, max(0, start - 40), start)
    after = _WORD_AFTER.match(text, end)
    left, right = before[1].lower() if before else "", after[1].lower() if after else ""
    return left in MONEY_SIGNS or left in _COUNTED_BEFORE or right in _COUNTED_AFTER


_COUNTED_BEFORE = COUNTED - listed(". , # : -")
_COUNTED_AFTER = COUNTED - listed("* = case transfer charge charged credits")


def _is_date(value: str) -> bool:
    """Check whether five to eight digits can be a date of this century, in one of the usual orders."""
    if not _COMPACT.fullmatch(value):
        return False
    if len(value) == 8 and value.startswith("20") and _day_month(value[4:]):
        return True
    short = value[:-4] if len(value) >= 6 and value[-4:-2] == "20" else value[:-2]
    return _day_month(short)


def _day_month(digits: str) -> bool:
    pairs = [(digits[:cut], digits[cut:]) for cut in range(1, len(digits))]
    return any(
        (1 <= int(first) <= 12 and 1 <= int(second) <= 31) or (1 <= int(second) <= 12 and 1 <= int(first) <= 31)
        for first, second in pairs
        if len(first) <= 2 and len(second) <= 2
    )


def spoken(words: Tokens) -> Iterator[Span]:
    """Yield spelled-out numbers of seven or more digits ("zero six six nine double four ...")."""
    if sum(word in DIGITS for word in words.low) < _SPOKEN_ENOUGH:
        return
    for match in _SPOKEN.finditer(words.text):
        yield Span(*match.span(), "PHONE_NUMBER", 0.7)
