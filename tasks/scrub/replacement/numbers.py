"""Pseudonyms of numbers: of the same shape, from ranges that are never assigned."""

import re
from random import Random

from tasks.scrub.replacement.shapes import digits_of, draw_digits, fill, like, reshape

_EXTENSION = re.compile(r"(?:x|ext(?:ension)?)\.?\s{0,3}[0-9]{1,6}$", re.IGNORECASE)
_DATE = re.compile(r"([0-9]+)(st|nd|rd|th)?\b|([^\W\d_]+)", re.IGNORECASE)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy")
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_UK_POSTCODE = re.compile(r"[A-Za-z]{1,2}[0-9][A-Za-z0-9]?\s?[0-9][A-Za-z]{2}")


def phone(value: str, random: Random) -> str:
    """Return a fictitious number: 555-0100 to 555-0199 in an unassigned North American area, or one of Ofcom's.

    https://www.nanpa.com/numbering/555-line-numbers and
    https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
    """
    extension = _EXTENSION.search(value)
    body = value[: extension.start()] if extension else value
    digits, line = digits_of(body), f"5550{random.randrange(100, 200)}"
    area = f"{random.randrange(2, 10)}9{random.randrange(10)}"  # N9X: no area has such a code
    british = random.choice(("1632960", "7700900")) + draw_digits(random, 3)
    subscriber = re.fullmatch("(1)([2-9][0-9]{9})" if "+" in body else "((?:00)?1)?([2-9][0-9]{9})", digits)
    local = re.fullmatch(r"((?:00)?44|0)[1-9][0-9]{9}", digits)
    if subscriber:
        made = fill(body, (subscriber[1] or "") + area + line)
    elif local:
        made = fill(body, local[1] + british)
    elif len(digits) == 7:
        made = fill(body, line)
    else:
        made = f"{area}-{line[:3]}-{line[3:]}"
    return made + (fill(extension[0], draw_digits(random, len(digits_of(extension[0])))) if extension else "")


def card(value: str, random: Random) -> str:
    """Return a card number that begins with 9, which no card scheme uses, and fails the Luhn check."""
    count = len(digits_of(value))
    if count < 2:
        return reshape(random, value)
    digits = "9" + draw_digits(random, count - 1)
    if _luhn(digits):
        digits = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    return fill(value, digits)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def iban(value: str, random: Random) -> str:
    """Return an IBAN of the country XX with the check digits 00, neither of which is valid."""
    return reshape(random, value, prefix="xx00")


def ssn(value: str, random: Random) -> str:
    """Return a social security number of area 000, which is never assigned; four digits become four others."""
    return reshape(random, value, prefix="000" if len(digits_of(value)) == 9 else "")


def nino(value: str, random: Random) -> str:
    """Return a British national insurance number with the prefix QQ, which is reserved for examples."""
    return reshape(random, value, prefix="qq")


def nhs(value: str, random: Random) -> str:
    """Return a British NHS number that begins with 999, which is reserved for tests."""
    return reshape(random, value, prefix="999")


def ip(value: str, random: Random) -> str:
    """Return an address from the documentation ranges of RFC 5737 and RFC 3849."""
    if ":" in value:
        return f"2001:db8:{random.randrange(1, 65536):x}::{random.randrange(1, 65536):x}"
    return f"{random.choice(('192.0.2', '198.51.100', '203.0.113'))}.{random.randrange(1, 255)}"


def mac(value: str, random: Random) -> str:
    """Return an address from the documentation range of RFC 7042, 00-00-5E-00-53-00 and up."""
    return like(value, reshape(random, value, prefix=f"00005e0053{random.randrange(256):02x}"))


def age(value: str, random: Random) -> str:
    """Return an age between 20 and 79, in digits or words like the original."""
    years = random.randrange(20, 80)
    if not digits_of(value):
        tens, ones = divmod(years, 10)
        return like(value, _TENS[tens - 2] + (f" {_ONES[ones - 1]}" if ones else ""))
    return re.sub("[0-9]+", str(years), value, count=1)


def date(value: str, random: Random) -> str:
    """Return a date in the same format: year 1940 to 1999, day and month 4 to 12, so that either order is valid."""
    drawn = [random.randrange(4, 13) for _ in range(8)]
    year, month, numbers = random.randrange(1940, 2000), random.choice(_MONTHS), iter(drawn)

    def other(match: re.Match[str]) -> str:
        digits, ordinal, word = match.groups()
        if word:
            names = [name for name in _MONTHS if len(word) >= 3 and name.lower().startswith(word.lower())]
            return like(word, month if len(word) > 3 else month[:3]) if names else word
        if len(digits) > 2:
            return str(year) if len(digits) == 4 else reshape(random, digits)
        return f"{next(numbers, 4):0{len(digits)}}" + ("th" if ordinal else "")

    if len(digits_of(value)) in (6, 8) and value.isdecimal():
        return f"{drawn[0]:02}{drawn[1]:02}{str(year)[-len(value) + 4 :]}"
    return _DATE.sub(other, value)


def postcode(value: str, random: Random) -> str:
    """Return a postcode that begins with 000 to 004, or with Q, which are not assigned."""
    if len(digits_of(value)) in (5, 9) and not any(map(str.isalpha, value)):
        return reshape(random, value, prefix=f"00{random.randrange(5)}")
    return reshape(random, value, prefix="q" if _UK_POSTCODE.fullmatch(value) else "")
