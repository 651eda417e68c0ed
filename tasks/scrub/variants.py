"""Generate other notations of a known value: birth dates, phone numbers, e-mail addresses, reordered names.

Each variant is a text that is matched like the value itself, regardless of case, white space and punctuation.
"""

import itertools
import re
from collections.abc import Iterator

from tasks.normalize.english import dictionary
from tasks.scrub.decode import decode

LOCAL = 5  # minimum letters and digits for the local part of an e-mail address to identify it
CODE = 6  # minimum digits for a code to be recognised without its leading letters
SUBSCRIBER = 7  # minimum digits of a phone number without its country code

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_NUMERIC = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{2}|\d{4})")
_WORDED = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th)?\W+(?:of\W+)?)?([a-z]{3,9})\.?(?:\W+(\d{1,2})(?:st|nd|rd|th)?)?\W+(\d{4}|\d{2})",
    re.IGNORECASE,
)
_SECRET = ("PASSWORD", "USERNAME")  # parts of them identify nothing
_CODE = re.compile(r"[A-Za-z]{1,5}[\W_]{0,3}(\d[\d\W_]*)")
_BIRTH = re.compile(r"BIRTH|DOB|BORN")
_WORD = re.compile(r"[^\W_]+")


def variants(entity: str, text: str) -> Iterator[str]:
    """Yield the other notations of a value; duplicates are possible.

    Args:
        entity: the type of the value.
        text: the value as written.
    """
    if _BIRTH.search(entity):
        yield from birth_dates(text)
    elif entity == "PHONE_NUMBER":
        yield from _phones(text)
    elif entity == "EMAIL_ADDRESS":
        yield from _emails(text)
    elif entity == "PERSON":
        yield from _names(text)
    elif entity not in _SECRET:
        yield from _codes(text)


def birth_dates(text: str) -> Iterator[str]:
    """Yield a date in figures and words, day or month first, with four or two digits of the year; none if invalid."""
    for year, month, day in _read(text.strip()):
        years = {f"{year:04}", f"{year % 100:02}"}
        days, months = {str(day), f"{day:02}"}, {str(month), f"{month:02}"}
        for y, m, d in itertools.product(sorted(years), sorted(months), sorted(days)):
            yield f"{d}/{m}/{y}"
            yield f"{m}/{d}/{y}"
            yield f"{y}-{m}-{d}"
        name = _MONTHS[month - 1]
        names = {name, name[:3], *(["sept"] if month == 9 else [])}
        spoken = {*days, f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"}
        for y, m, d in itertools.product(sorted(years), sorted(names), sorted(spoken)):
            yield from (f"{d} {m} {y}", f"{d} of {m} {y}", f"{m} {d} {y}", f"{m} the {d} {y}", f"{y} {m} {d}")


def _read(text: str) -> list[tuple[int, int, int]]:
    """Return the (year, month, day) of a date, with both readings if the order of day and month is ambiguous."""
    iso, numeric, worded = _ISO.fullmatch(text), _NUMERIC.fullmatch(text), _WORDED.fullmatch(text)
    dates = []
    if iso:
        dates = [(int(iso[1]), int(iso[2]), int(iso[3]))]
    elif numeric:
        first, second, year = (int(group) for group in numeric.groups())
        dates = [(_century(year), second, first), (_century(year), first, second)]
    elif worded and (worded[1] or worded[3]):
        month = next((at for at, name in enumerate(_MONTHS, 1) if name.startswith(worded[2].lower())), 0)
        dates = [(_century(int(worded[4])), month, int(worded[1] or worded[3]))]
    return [(year, month, day) for year, month, day in dates if 1 <= month <= 12 and 1 <= day <= 31]


def _century(year: int) -> int:
    return year if year >= 100 else 2000 + year if year < 25 else 1900 + year


def _phones(text: str) -> Iterator[str]:
    """Yield the number without its country code, as it is dialled domestically and from abroad."""
    import phonenumbers

    digits = "".join(filter(str.isdecimal, text))
    abroad = text.strip().startswith(("+", "00"))
    national = digits.lstrip("0") if not abroad else ""
    if abroad:
        try:
            parsed = phonenumbers.parse("+" + digits.lstrip("0"), None)
        except phonenumbers.NumberParseException:
            return
        national = str(parsed.national_number)
        yield digits.lstrip("0")
        yield "00" + digits.lstrip("0")
    elif len(digits) == 11 and digits.startswith("1"):
        national = digits[1:]
    if len(national) >= SUBSCRIBER:
        yield national
        yield "0" + national


def misread(text: str) -> Iterator[str]:
    """Yield the text as UTF-8 misread as Windows-1252, since the repair of mojibake does not recover every case."""
    if not text.isascii():
        wrong = text.encode("utf-8", "surrogatepass")
        yield decode("".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in wrong)).text


def _codes(text: str) -> Iterator[str]:
    """Yield the digits of a code without its leading letters, which all codes of its kind share."""
    code = _CODE.fullmatch(text.strip())
    if code and sum(map(str.isdecimal, code[1])) >= CODE:
        yield code[1]


def _emails(text: str) -> Iterator[str]:
    local, at, domain = text.strip().rpartition("@")
    if not at or not local:
        return
    yield text.replace("@", " at ").replace(".", " dot ")
    yield f"{local} at {domain}"
    yield f"{local} at {domain.replace('.', ' dot ')}"
    words = _WORD.findall(local)
    joined = "".join(words).casefold()
    if len(joined) >= LOCAL and not joined.isdecimal() and joined not in dictionary().ranks and joined not in _SHARED:
        yield " ".join(words)


_SHARED = frozenset(["noreply", "donotreply", "customerservice", "customercare", "helpdesk", "webmaster", "postmaster"])


def _names(text: str) -> Iterator[str]:
    """Yield the name with the surname first, and with an initial for the first name or the surname."""
    words = [word for word in _WORD.findall(text) if not word.isdecimal()]
    if not 2 <= len(words) <= 5:
        return
    for cut in range(1, len(words)):
        yield " ".join([*words[cut:], *words[:cut]])
    first, last = words[0], words[-1]
    if len(last) >= LOCAL - 1:
        yield f"{first[0]} {last}"
        yield f"{last} {first[0]}"
    if len(first) >= LOCAL - 1:
        yield f"{first} {last[0]}"
