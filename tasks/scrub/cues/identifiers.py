"""Detect numbers and codes next to the word that names them: "my ssn is 1234", "Policy no.: AB-12345", "5687 ssn"."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tasks.scrub.cues.lexicon import COUNTED, MONEY_SIGNS, STOP, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span


class Cue(NamedTuple):
    """What may follow a cue.

    Attributes:
        type: the entity type.
        digits: minimum number of digits.
        most: maximum number of digits.
        letters: whether the value may contain letters.
        linked: whether a word such as "number" or "is" must come first, because the cue alone is too weak.
    """

    type: str
    digits: int
    most: int
    letters: bool = False
    linked: bool = False


SSN = Cue("US_SSN", 3, 12)
ACCOUNT = Cue("ACCOUNT_NUMBER", 3, 30, letters=True)
CARD = Cue("CREDIT_CARD", 3, 24)
LICENSE = Cue("US_DRIVER_LICENSE", 4, 20, letters=True)
PASSPORT = Cue("US_PASSPORT", 4, 12, letters=True)
PIN = Cue("PIN", 3, 12)
NATIONAL = Cue("NATIONAL_ID", 4, 20, letters=True)
POLICY = Cue("POLICY_NUMBER", 3, 20, letters=True)
CLAIM = Cue("CLAIM_NUMBER", 3, 20, letters=True)
BOOKING = Cue("BOOKING_NUMBER", 1, 16, letters=True, linked=True)
PLATE = Cue("LICENSE_PLATE", 1, 8, letters=True, linked=True)
ROUTING = Cue("ABA_ROUTING_NUMBER", 6, 12)


def _member(name: str) -> Cue:
    return Cue(name, 3, 20, letters=True, linked=True)


# What support customers call their own numbers, written for this module. The longest phrase wins.
_PHRASES = {
    SSN: "ssn, social security, social, socal security, ssn no, ssno, ss",
    ACCOUNT: "account, accounts, acct, acc, ac, a / c, accout, acount, bank account, checking, savings, iban",
    CARD: "card, cc number, cc no, credit card, debit card, credit crad, credit, visa, mastercard, amex, cardno",
    LICENSE: "driver's license, drivers license, driver license, driving license, driving licence, driver's licence, "
    "driver\u2019s license, drivers licence, driver licence, license number, licence number, license no, dl",
    PASSPORT: "passport",
    PIN: "pin, pin number, passcode, pass code, security code, "
    "cvv, cvc, cvv2, otp, one time password, verification code",
    NATIONAL: "national id, national insurance, identity card, id card, id number, identification number, tax id, "
    "taxpayer id, aadhaar, aadhar, nino, sin number, ein, tin, nif, nie, cpf, curp, pesel, personal number",
    POLICY: "policy, insurance number, insurance id, policy id",
    CLAIM: "claim",
    BOOKING: "booking, confirmation, booking confirmation, reservation, pnr, record locator, booking reference, "
    "confirmation code",
    PLATE: "license plate, licence plate, number plate, plate number, plate, registration number",
    ROUTING: "routing, sort code",
    _member("MEMBER_ID"): "member, membership, subscriber, loyalty, frequent flyer, frequent flyer number",
    _member("CUSTOMER_ID"): "customer, client, patient, employee, student, user number",
}
_CUES: dict[str, list[tuple[tuple[str, ...], Cue]]] = {}
for _cue, _phrases in _PHRASES.items():
    for _phrase in _phrases.split(", "):
        _words = tuple(_phrase.split())
        _CUES.setdefault(_words[0], []).append((_words, _cue))
for _entries in _CUES.values():
    _entries.sort(key=lambda item: -len(item[0]))

CUE_WORDS = frozenset(_CUES) - {"a"}  # the slash of "a/c" selects these rules
_LINKS = listed(
    """
    is are was : = # no number nr num numbers id ids numer numbr nos ending ends end si could might may would
    should code it's its to be
    """
)
_FILLERS = _LINKS | listed(
    """
    the my it of . , - ( – last digit digits digtis four as also just new which card account in with and i think
    """
)
_NAMES = 8  # words of a name before "1234 and my card is ..."
_FREE = 7  # filler tokens between a cue and its value
_BEFORE = listed("is my the as our this that thats it's and")
_CODE = re.compile(r"[A-Za-z0-9]{1,24}(?:[-/][A-Za-z0-9]{1,24}){0,5}(?![^\W_])")
_GROUPS = re.compile(r"\d{1,30}(?:(?:[ .-]|[ ]-[ ])\d{2,12}){0,6}(?![^\W_])")
_LETTERS_FIRST = re.compile(r"[A-Z]{1,4} \d{2,12}(?![^\W_])")
_SPLIT = re.compile(r"(?:[a-z]{1,5}|\d{1,15})(?: (?:[a-z]{1,3}(?![a-z])|\d{1,12}(?!\d))){1,7}(?![^\W_])")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ORDINAL = re.compile(r"\d{1,2}(?:st|nd|rd|th)(?![^\W_])", re.IGNORECASE)
_COUNTING = COUNTED - {"points", "limit", "update", "issue", "error", "report", "date", "dated"}


def identifiers(words: Tokens) -> Iterator[Span]:
    """Yield every value after its cue word or directly before it."""
    for index, word in enumerate(words.low):
        if word not in _CUES:
            continue
        for phrase, cue in _CUES[word]:
            after = index + len(phrase)
            if tuple(words.low[index:after]) == phrase:
                yield from _after(words, after, cue)
                yield from _before(words, index, cue)
                break


def _after(words: Tokens, index: int, cue: Cue) -> Iterator[Span]:
    """Yield the value after a cue and its fillers, and a second one after "or" ("either 0314 or 9431")."""
    low, linked = words.low, False
    stop = min(index + _FREE, len(low))
    while index < stop:
        if low[index] in _LINKS or low[index] == "ending":
            linked = True
        elif not (low[index] in _FILLERS or low[index] == "either" or _of_four(low, index)):
            break
        index += 1
    if index >= len(low) or (cue.linked and not linked) or (words.glued(index) and low[index - 1].isalpha()):
        return
    end = _value_end(words, index, cue, linked)
    if not end:
        return
    yield Span(words.starts[index], end, cue.type, 0.85 if linked else 0.7)
    index = _token_at(words, index, end)
    if index + 1 < len(low) and low[index] == "or" and low[index + 1].isdigit():
        other = _value_end(words, index + 1, cue, linked)
        if other:
            yield Span(words.starts[index + 1], other, cue.type, 0.7)


def _of_four(low: list[str], index: int) -> bool:
    """Check for the 4 of "last 4 digits", which is not a value."""
    return len(low[index]) == 1 and low[index].isdigit() and index > 0 and low[index - 1] == "last"


def _token_at(words: Tokens, index: int, end: int) -> int:
    while index < len(words.low) and words.starts[index] < end:
        index += 1
    return index


def _value_end(words: Tokens, index: int, cue: Cue, linked: bool) -> int:
    """Return the end of the value that starts with a token; 0 if there is none."""
    text, start = words.text, words.starts[index]
    first = words.low[index]
    match = None
    if first[0].isdigit():
        matches = [_GROUPS.match(text, start), _CODE.match(text, start) if cue.letters else None]
        match = max(filter(None, matches), key=lambda match: match.end(), default=None)
        if match is not None and match[0].isdigit() and cue.letters and words.chat and len(match[0]) < 9:
            match = _split(text, start) or match
    elif cue.letters and first.isalpha() and _may_begin(words, index):
        match = _LETTERS_FIRST.match(text, start) or _CODE.match(text, start)
        if words.chat and (match is None or match[0].isalpha()):
            match = _split(text, start)
    if match is None:
        return 0
    value = match[0]
    digits = sum(character.isdigit() for character in value)
    if not cue.digits <= digits <= cue.most or len(value.replace(" ", "")) < max(3, cue.digits):
        return 0
    if (
        _counted(words, index, match.end())
        or (not linked and cue not in (SSN, PIN) and _YEAR.fullmatch(value))
        or _ORDINAL.match(value)
    ):
        return 0
    return match.end()


def _may_begin(words: Tokens, index: int) -> bool:
    """Check whether a code may begin with a token of letters: not with an English word, unless digits follow it."""
    first = words.low[index]
    return (
        first not in STOP or (words.chat and len(first) == 1) or (index + 1 < len(words.low) and words.glued(index + 1))
    )


def _split(text: str, start: int) -> re.Match[str] | None:
    """Match a code that was split into pieces, such as "a 5 df 32": short groups of letters and digits, no words."""
    match = _SPLIT.match(text, start)
    if match is None:
        return None
    pieces = match[0].split()
    keep = len(pieces)
    for place, piece in enumerate(pieces):
        if piece.isalpha() and (piece in STOP or piece in COUNTED or piece in CUE_WORDS) and len(piece) > 1:
            keep = place
            break
    while keep and keep < len(pieces) and pieces[keep - 1].isalpha():
        keep -= 1
    code = " ".join(pieces[:keep])
    if keep < 2 or not any(map(str.isdigit, code)) or not any(map(str.isalpha, code)):
        return None
    return re.compile(re.escape(code)).match(text, start)


def _before(words: Tokens, index: int, cue: Cue) -> Iterator[Span]:
    """Yield the number directly before a cue: "5687 ssn", "1111 is my pin"."""
    low, place = words.low, index - 1
    while place >= 0 and low[place] in _BEFORE and index - place < 5:
        place -= 1
    joined = "and" in low[place + 1 : index]
    if place < 0 or not low[place].isdigit() or cue.linked or not max(4, cue.digits) <= len(low[place]) <= cue.most:
        return
    if low[index] == "credit":
        return
    if joined and (place > _NAMES or not STOP.isdisjoint(low[:place]) or not COUNTED.isdisjoint(low[:place])):
        return
    if words.glued(place) or _YEAR.fullmatch(low[place]) or _counted(words, place, words.ends[place]):
        return
    yield Span(words.starts[place], words.ends[place], cue.type, 0.6)


def _counted(words: Tokens, index: int, end: int) -> bool:
    """Check for a currency sign before the value or a unit after it."""
    if index and words.low[index - 1] in MONEY_SIGNS:
        return True
    after = _token_at(words, index, end)
    if after >= len(words.low):
        return False
    word = words.low[after]
    decimal = word in ".," and after + 1 < len(words.low) and words.glued(after) and words.glued(after + 1)
    return word in _COUNTING or word == "%" or (decimal and words.low[after + 1].isdigit())
