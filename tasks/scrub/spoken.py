"""Convert spelled-out numbers and e-mail addresses to figures: "N V dash double four oh" becomes `NV-440`.

Customers spell out values on the phone and in writing. Every layer of detection reads such a text twice: as it is, and
converted. The converted text maps back to the input, and a finding in it covers all words of its number.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from tasks.scrub.decode import Decoded, Edit
from tasks.scrub.dialogue.stopwords import is_usual
from tasks.scrub.shield import shield
from tasks.scrub.span import Span

DIGITS = 4  # minimum for a run to be a number; letters in it count as one digit
SAID = 2  # minimum parts of a number that are words for digits
LONG = 7  # minimum digits of a run in which only marks are words, or which has hundreds; a shorter one is a quantity
SPELLED = 4  # minimum letters of a spelled-out word, such as a name
LOCAL = 120  # maximum characters before the "at" of an address

_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DIGIT = {word: str(digit) for digit, word in enumerate(_UNITS)} | {"niner": "9"}
_DIGIT |= dict.fromkeys(["oh", "o", "nought", "naught", "null", "nil"], "0")
_PAIR = {word: str(number) for number, word in enumerate(_TEENS, 10)}
_TEN = {word: str(number) for number, word in enumerate(_TENS, 2)}
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_POWERS = {"hundred": "00", "thousand": "000"}
_MARKS = {
    "dash": "-", "hyphen": "-", "minus": "-", "dot": ".", "point": ".", "period": ".", "slash": "/", "stroke": "/",
    "underscore": "_", "plus": "+", "space": " ",
}  # fmt: skip
_IN_ADDRESS = {word: mark for word, mark in _MARKS.items() if mark in ".-_+"}
_NUMBER_WORDS = frozenset([*_DIGIT, *_PAIR, *_TEN, *_TIMES])
_NO_LETTERS = frozenset(
    ["a", "i", "ah", "am", "eh", "er", "hi", "id", "no", "ok", "pc", "pm", "tv", "uh", "uk", "um", "us", "ya"]
)
_TOKEN = re.compile(r"[^\W\d_]++|\d++")
_WORD = re.compile(r"[^\W\d_]++")
_LETTERS = re.compile(rf"(?<!\w)[^\W\d_](?:[ .,\-]{{1,3}}[^\W\d_]){{{SPELLED - 1}}}(?!\w)")
_BETWEEN = re.compile(r"[ \t\n,;./\u2026\-\u2010-\u2015]{0,4}")
_PAUSE = re.compile(r"[,;.\u2026\n]")
_FILLERS = frozenset(["um", "uh", "er", "erm", "then"])
_PART = r"[^\W_]{1,40}(?:[._+-][^\W_]{1,40}){0,4}"
_MARK = rf" (?:{'|'.join(_IN_ADDRESS)}) "
_SPOKEN = {**_DIGIT, **_PAIR, **{word: digit + "0" for word, digit in _TEN.items()}}
_SPOKEN |= {f"{word}{gap}{unit}": _TEN[word] + _DIGIT[unit] for word in _TENS for gap in " -" for unit in _UNITS[1:]}
_SAID = "|".join(sorted(_SPOKEN, key=len, reverse=True))
_SAID_DIGITS = rf"(?: (?:{_SAID}|\d{{1,4}})){{0,6}}"
_LOCAL = re.compile(rf"(?<![\w.+-])(?:{_PART}{_SAID_DIGITS}{_MARK}){{0,5}}{_PART}{_SAID_DIGITS}\Z", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?P<at> at | ?@ ?)(?P<domain>[^\W_]{1,40}"
    r"(?:(?: (?:dot|point|period|dash|hyphen) |[.-])[^\W_]{1,40}){1,6})(?![\w'])",
    re.IGNORECASE,
)
_SAID_MARK = re.compile(rf" ({'|'.join(_IN_ADDRESS)}) ", re.IGNORECASE)
_SAID_DIGIT = re.compile(rf" ({_SAID}|\d{{1,4}})(?![^\W_])", re.IGNORECASE)


class Token(NamedTuple):
    """A word or digit run of a text, in lower case, with its offsets."""

    low: str
    start: int
    end: int


class Piece(NamedTuple):
    """A part of a number: its written form, kind (`said`, `power`, `figures`, `mark`, `filler`, `letters`), offsets."""

    value: str
    kind: str
    start: int
    end: int


def plain(text: str) -> str:
    """Return the text with spelled-out numbers and addresses converted."""
    view = written(text)
    return view.text if view else text


@lru_cache(maxsize=4096)
def written(text: str) -> Decoded | None:
    """Convert the spelled-out numbers and e-mail addresses of a text to figures and signs.

    Args:
        text: decoded, of any length; placeholders are left as they are.
    Returns:
        The converted text and its map to `text`, in which every character of a number maps to all of its words; None
        if nothing is spelled out. Time is linear in the length of the text.
    """
    words = _WORD.findall(text.lower())
    if _NUMBER_WORDS.isdisjoint(words) and _IN_ADDRESS.keys().isdisjoint(words) and not _LETTERS.search(text):
        return None
    shielded = shield(text)
    tokens = [Token(match[0].lower(), match.start(), match.end()) for match in _TOKEN.finditer(shielded)]
    addresses = list(_addresses(shielded))
    edits = sorted([*addresses, *_numbers(shielded, tokens, addresses)])
    return Decoded(text, range(len(text)), range(1, len(text) + 1)).edit(edits) if edits else None


def back(view: Decoded) -> Callable[[Span], Span | None]:
    """Return a function from a span of a converted text to its words in the input; None if the span has none."""
    before = [0]
    for start, end in zip(view.starts, view.ends, strict=True):
        before.append(before[-1] + (end - start > 1))

    def source(span: Span) -> Span | None:
        if before[span.end] == before[span.start]:
            return None
        start, end = view.source(span.start, span.end)
        return span._replace(start=start, end=end)

    return source


def said(view: Decoded) -> Iterator[tuple[str, int, int]]:
    """Yield (figures, start, end) for everything that was spelled out, in offsets of the input."""
    for (start, end), indices in itertools.groupby(range(len(view.text)), lambda at: (view.starts[at], view.ends[at])):
        if end - start > 1:
            yield "".join(view.text[at] for at in indices), start, end


def _numbers(text: str, tokens: Sequence[Token], taken: Sequence[Edit]) -> Iterator[Edit]:
    """Yield each run of spelled-out digits, with the letters and marks in it, outside e-mail addresses."""
    run: list[Piece] = []
    place, number = 0, 0
    while place < len(tokens):
        while number < len(taken) and taken[number][1] <= tokens[place].start:
            number += 1
        free = number == len(taken) or tokens[place].start < taken[number][0]
        piece, used = _piece(text, tokens, place, run) if free else (None, 1)
        if piece is None or (run and not _BETWEEN.fullmatch(text, run[-1].end, piece.start)):
            if _is_number(run):
                yield _edit(text, run)
            again, run = bool(run), []
            place += 0 if again and free else used
            continue
        run.append(piece)
        place += used
    if _is_number(run):
        yield _edit(text, run)


def _piece(text: str, tokens: Sequence[Token], place: int, run: Sequence[Piece]) -> tuple[Piece | None, int]:
    """Return the piece that the token at `place` adds to a number that begins with `run`, and its number of tokens."""
    token, used = tokens[place], 1
    low, kind = token.low, "said"
    following = tokens[place + 1].low if place + 1 < len(tokens) else ""
    letter = low == "o" and bool(run) and run[-1].kind == "letters" and following not in _NUMBER_WORDS
    if (low in _DIGIT and not letter) or low in _PAIR:
        value = _DIGIT.get(low) or _PAIR[low]
    elif low in _TEN:
        value, used = (_TEN[low] + _DIGIT[following], 2) if following in _UNITS[1:] else (_TEN[low] + "0", 1)
    elif low in _TIMES and (following in _DIGIT or (len(following) == 1 and following.isdecimal())):
        value, used = _DIGIT.get(following, following) * _TIMES[low], 2
    elif low in _POWERS and run and run[-1].kind == "said":
        value, kind = _POWERS[low], "power"
    elif low.isdecimal():
        value, kind = low, "figures"
    elif low in _MARKS and (run or low == "plus"):
        value, kind = _MARKS[low], "mark"
    elif low in _FILLERS and run:
        value, kind = "", "filler"
    elif _is_lettered(text, token, run):
        value, kind = text[token.start : token.end], "letters"
    else:
        return None, 1
    return Piece(value, kind, token.start, tokens[place + used - 1].end), used


def _is_lettered(text: str, token: Token, run: Sequence[Piece]) -> bool:
    """Check whether letters may be part of a code: one letter, or two that are no common word."""
    if len(token.low) == 1 and run and run[-1].kind == "letters" and len(run[-1].value) == 1:
        return True
    if len(token.low) > 2 or token.low in _NO_LETTERS or text[token.start - 1 : token.start] in ("'", "\u2019"):
        return False
    return len(token.low) == 1 or not is_usual(token.low)


def _is_number(run: Sequence[Piece]) -> bool:
    """Check whether a run has enough digits, enough of them in words, or is a spelled-out word."""
    kinds = Counter(piece.kind for piece in run)
    letters = [piece.value for piece in run if piece.kind == "letters"]
    if letters and kinds["letters"] + kinds["mark"] == len(run):
        return len(letters) >= SPELLED and all(len(letter) == 1 for letter in letters)
    digits = sum(len(piece.value) for piece in run if piece.kind in ("said", "power", "figures"))
    if digits >= LONG:
        return kinds["said"] > 0 or kinds["mark"] >= SAID
    return digits + (kinds["letters"] > 0) >= DIGITS and kinds["said"] >= SAID and not kinds["power"]


def _edit(text: str, run: Sequence[Piece]) -> Edit:
    """Return the edit that converts a run, without the marks at its end."""
    end = len(run)
    while run[end - 1].kind in ("mark", "filler"):
        end -= 1
    written = run[0].value
    group = len(written)
    for before, piece in itertools.pairwise(run[:end]):
        between = text[before.end : piece.start]
        if before.kind == piece.kind == "figures":
            written += between
        elif _PAUSE.search(between) and group > 1:
            written, group = written + " ", 0
        written += piece.value
        group += len(piece.value)
    return run[0].start, run[end - 1].end, written


def _addresses(text: str) -> Iterator[Edit]:
    """Yield each e-mail address that is spelled out in part: "jane dot doe nine six at example dot com"."""
    reached = 0
    for match in _DOMAIN.finditer(text):
        local = _LOCAL.search(text, max(reached, match.start() - LOCAL), match.start())
        if local is None:
            continue
        mailbox, domain = _signs(local[0]), _signs(match["domain"])
        if mailbox == local[0] and (
            match["at"].strip() == "@" or domain == match["domain"] or is_usual(mailbox.lower())
        ):
            continue
        reached = match.end()
        yield local.start(), match.end(), f"{mailbox}@{domain}"


def _signs(text: str) -> str:
    """Convert the words for signs and digits in a part of an address."""
    text = _SAID_MARK.sub(lambda match: _MARKS[match[1].lower()], text)
    return _SAID_DIGIT.sub(lambda match: _SPOKEN.get(match[1].lower(), match[1]), text)
