"""Detect requested numbers, dates of birth, e-mail addresses and postcodes as customers type them in a chat."""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

from tasks.scrub.dialogue.stopwords import is_stop, is_usual
from tasks.scrub.span import Span

SCORE = 0.9
NUMBER = 0.35  # low, because a pattern with a checksum decides better which number it is
_SURE = frozenset(["PIN", "DATE_OF_BIRTH", "EMAIL_ADDRESS"])
_BRIEF = frozenset(["PIN", "LAST_DIGITS", "CARD_EXPIRY"])
FIGURES = {
    # Kind -> its usual minimum and maximum of digits; if none fits, any number counts as the requested value.
    "PIN": (3, 6),
    "LAST_DIGITS": (3, 6),
    "CARD_EXPIRY": (3, 6),
    "ZIP_CODE": (4, 6),
    "US_SSN": (9, 9),
    "PHONE_NUMBER": (7, 15),
    "ACCOUNT_NUMBER": (5, 30),
    "CREDIT_CARD": (12, 19),
    "US_PASSPORT": (6, 12),
    "US_DRIVER_LICENSE": (4, 20),
    "LICENSE_PLATE": (1, 5),
    "BOOKING_NUMBER": (2, 20),
    "ORDER_NUMBER": (2, 20),
    "POLICY_NUMBER": (3, 20),
    "CLAIM_NUMBER": (3, 20),
    "REFERENCE_NUMBER": (3, 20),
}
_LETTERED = frozenset(
    ["BOOKING_NUMBER", "ORDER_NUMBER", "POLICY_NUMBER", "CLAIM_NUMBER", "REFERENCE_NUMBER", "LICENSE_PLATE"]
)
SHORT = 60  # maximum characters of a turn that is little more than its answer
LEAST, LEAST_OF_MANY = 2, 4  # minimum digits of a number to be an answer, in a short and in a longer turn
LONG = 7  # minimum digits of a bare number to be personal if no number was requested

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DAY, _YEAR = r"\d{1,2}(?:st|nd|rd|th)?", r"(?:[\s.,-]{0,3}(?:in |of )?['’]?\d{2,4})?"
_DATES = (
    r"(?:\d{1,2}[ ]?[./\\-][ ]?\d{1,2}[ ]?[./\\-][ ]?(?:\d{4}|\d{2})|\d{4}[./-]\d{1,2}[./-]\d{1,2})"
    rf"|(?:the )?{_DAY}[\s.-]{{0,3}}(?:of )?{_MONTH}\b{_YEAR}"
    rf"|{_MONTH}\b[\s.-]{{0,3}}(?:the )?{_DAY}{_YEAR}"
    rf"|{_MONTH}[\s.,-]{{1,3}}(?:19|20)\d\d"
)
DATE = re.compile(rf"(?<![\w/])(?:{_DATES})(?![\w/])", re.IGNORECASE)
_BARE_DATE = re.compile(r"(?<![\w/$€£])(?:(?:19|20)\d\d|\d{1,2}[ /.-]\d{1,2}(?:[ /.-]\d{2,4})?|\d{6}|\d{8})(?![\w/%])")
_DIGIT_WORD = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|dash|hyphen)"
_SPOKEN = re.compile(
    rf"\b(?:[a-z][ ,-]{{1,2}}){{0,4}}(?:{_DIGIT_WORD}[ ,-]{{1,2}}){{2,30}}{_DIGIT_WORD}\b", re.IGNORECASE
)
# Letters and digits with single separators; the characters of a shielded placeholder do not match.
_NUMBER = re.compile(
    r"(?<![\w$€£¥.@'’])(?:#\s?)?(?:[a-z]{1,5}[ -]?)?(?:[a-z]{0,6}\d[\da-z]*+)(?:[ ./-]?[a-z]{0,3}\d[\da-z]*+){0,40}+"
    r"(?-i:[ -][A-Z]{1,4}(?!\w))?(?![\w@])",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"[\s-]*(?:%|percent|(?:a|p)\.?m\b|st\b|nd\b|rd\b|th\b|o'?clock|dollars?|bucks?|credits?|euros?|pounds?|usd|eur"
    r"|gbp|cents?"
    r"|people|persons?|guests?|of us|adults?|kids|children|nights?|days?|weeks?|months?|years?|hours?|hrs?"
    r"|min(?:ute)?s?"
    r"|sec(?:ond)?s?|miles?|km|stars?|times?|items?|rooms?|tickets?|gb|mb|inch(?:es)?|kg|lbs?|digits?|numbers?"
    r"|letters?)(?!\w)",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"(?:[$€£¥]|\b(?:for|at|by|{_MONTH}|question|step|option|floor|level|room|party of)[\s.#]*)$", re.IGNORECASE
)
_SPACE_AFTER = re.compile(r"(?<=\d{6}) | (?=\d{1,2}/\d{2,4}(?!\w))")
_WORD_FIRST = re.compile(r"([a-z]+)[ -](?=.*\d)", re.IGNORECASE | re.DOTALL)
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}(?:\s?@\s?|\s+at\s+|\s?[(\[]at[)\]]\s?)[a-z0-9-]{1,40}(?:(?:\s?\.\s?|\s+dot\s+"
    r"|\s?[(\[]dot[)\]]\s?)[a-z]{2,10}){1,3}\b"
    r"|(?<![\w.+-])[\w.+-]{1,64}?(?: \d{1,6})?(?: (?:at )?)?(?:gmail|hotmail|yahoo|outlook|icloud|aol)\W?(?:com"
    r"|co\W?uk|net)?\b"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,64}",
    re.IGNORECASE,
)
_SPELLED_LOCAL = re.compile(r"(?:\w{1,30}\s+(?:dot|underscore|dash)\s+){1,4}$", re.IGNORECASE)
_POSTCODE = re.compile(
    r"(?<![\w])(?:[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}|[a-z]\d[a-z]\s?\d[a-z]\d|\d{4}\s?[a-z]{2}|\d{5}(?:-\d{4})?)(?!\w)",
    re.IGNORECASE,
)
_NAMED = (
    ("PIN", re.compile(r"\b(?:pin|p\.i\.n|pass ?code|cvv|cvc|code)\b[^\d.;]{0,25}$", re.IGNORECASE)),
    ("ACCOUNT_NUMBER", re.compile(r"\b(?:account|acct|a/?c|acc)\b[^\d.;]{0,25}$", re.IGNORECASE)),
    ("PHONE_NUMBER", re.compile(r"\b(?:phone|mobile|cell|tel)\b[^\d.;]{0,25}$", re.IGNORECASE)),
    ("ZIP_CODE", re.compile(r"\b(?:zip|post ?code|postal)\b[^\d.;]{0,25}$", re.IGNORECASE)),
)


def find_figures(text: str, kinds: Collection[str], about: str) -> list[Span]:
    """Return the figures in an answer that fit the request.

    Args:
        text: a customer's turn, placeholders shielded.
        kinds: the requested kinds.
        about: the type of the number whose last digits are requested.
    Returns:
        Spans that do not overlap, in order.
    """
    spans: list[Span] = []
    if "EMAIL_ADDRESS" in kinds:
        _add(spans, "EMAIL_ADDRESS", _emails(text))
    if "DATE_OF_BIRTH" in kinds:
        _add(spans, "DATE_OF_BIRTH", (match.span() for match in DATE.finditer(text)))
        if not spans:
            bare = (match.span() for match in _BARE_DATE.finditer(text))
            dates = (span for span in bare if _is_personal(text, *span) and _is_date(text[slice(*span)]))
            _add(spans, "DATE_OF_BIRTH", dates)
    if "ZIP_CODE" in kinds:
        _add(spans, "ZIP_CODE", (match.span() for match in _POSTCODE.finditer(text)))
    asked = [kind for kind in kinds if kind in FIGURES]
    if asked:
        _add(spans, asked[0], (match.span() for match in _SPOKEN.finditer(text)))
    letters = not _LETTERED.isdisjoint(asked)
    least = _least(text, asked)
    taken = {span.type for span in spans}
    for start, end in numbers(text, letters):
        digits = sum(map(str.isdigit, text[start:end]))
        if digits >= least:
            kind = _best(text[max(0, start - 40) : start], digits, asked, taken)
            kind = about if kind == "LAST_DIGITS" else kind
            if _add(spans, kind, [(start, end)]):
                taken.add(kind)
    return spans


def numbers(text: str, letters: bool = False) -> Iterator[tuple[int, int]]:
    """Yield every number that is not a price, quantity, date or time; `letters`: include a short word before it."""
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        first = _WORD_FIRST.match(match[0])
        if first and (
            len(first[1]) > 3 or not (letters or first[1].isupper()) or is_stop(first[1]) or is_usual(first[1].lower())
        ):
            start += first.end()  # "is 1234"
        for begin, stop in _apart(text, start, end):
            if _is_personal(text, begin, stop):
                yield begin, stop


def _apart(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Split adjacent numbers: `85731890 1596` is two numbers, `4111 1111 1111 1111` is one."""
    for space in _SPACE_AFTER.finditer(text, start, end):
        yield start, space.start()
        start = space.end()
    yield start, end


def _is_personal(text: str, start: int, end: int) -> bool:
    """Check that a number is not a quantity, an amount, a time or a date."""
    return not (_QUANTITY.match(text, end) or _BEFORE.search(text, max(0, start - 20), start)) and not DATE.fullmatch(
        text, start, end
    )


def _best(before: str, digits: int, asked: list[str], taken: Collection[str]) -> str:
    """Return the kind of a number: by the word before it, else the first requested one that fits and has no value."""
    if not asked:
        return "ACCOUNT_NUMBER"
    if digits >= FIGURES["PIN"][0]:
        for kind, named in _NAMED:
            if named.search(before):
                return kind
    fitting = [kind for kind in asked if FIGURES[kind][0] <= digits <= FIGURES[kind][1]]
    free = [kind for kind in fitting if kind not in taken]
    return (free or fitting or asked)[0]


def _least(text: str, asked: list[str]) -> int:
    """Return the minimum digits of an answer, which is higher in a long turn, since that contains other numbers."""
    if not asked:
        return LONG
    if "LICENSE_PLATE" in asked:
        return 1
    return LEAST if len(text) <= SHORT else LEAST_OF_MANY - (not _BRIEF.isdisjoint(asked))


def _is_date(digits: str) -> bool:
    """Check whether six or eight bare digits can be a date; a year or a text with separators always can."""
    if len(digits) not in (6, 8) or not digits.isdecimal():
        return True
    pairs = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    orders = (pairs[:2], pairs[-2:])
    return any(0 < min(first, second) <= 12 and 0 < max(first, second) <= 31 for first, second in orders)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for match in _EMAIL.finditer(text):
        local = _SPELLED_LOCAL.search(text, max(0, match.start() - 150), match.start())
        yield (local.start() if local else match.start()), match.end()


def _add(spans: list[Span], kind: str, places: Iterable[tuple[int, int]]) -> bool:
    """Add the spans that do not overlap existing ones; return whether there was any."""
    before = len(spans)
    for start, end in places:
        # The existing spans are in order and do not overlap, so only the two neighbours can overlap the new one.
        at = bisect_left(spans, (start,))
        if (not at or spans[at - 1].end <= start) and (at == len(spans) or end <= spans[at].start):
            spans.insert(at, Span(start, end, kind, SCORE if kind in _SURE else NUMBER))
    return len(spans) > before
