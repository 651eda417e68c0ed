"""Write personal values as people and mail programs do: grouped, spelled out, split by tags, in full-width digits.

`write_value` returns (written, form). The form is `plain` for every ordinary notation, else the name of the disguise.
"""

from __future__ import annotations

from datetime import date
from html.entities import codepoint2name
from random import Random
from typing import NamedTuple

DIGIT_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ENTITY_MARKS = {"@": "&#64;", ".": "&#46;", "-": "&#45;", "+": "&#43;", " ": "&nbsp;", "'": "&#39;", ":": "&#58;"}
NUMBERS = {"PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "ACCOUNT_NUMBER"}
LONG = NUMBERS | {"IBAN_CODE", "ORDER_ID", "EMAIL_ADDRESS"}

# Disguise -> types of values that it suits.
SUITS: dict[str, set[str]] = {
    "entity": LONG | {"PERSON", "STREET_ADDRESS", "IP_ADDRESS"},
    "tags": LONG | {"PERSON", "STREET_ADDRESS", "US_DRIVER_LICENSE"},
    "lower": {"PERSON", "IBAN_CODE", "ORDER_ID", "STREET_ADDRESS", "US_DRIVER_LICENSE"},
    "upper": {"PERSON", "EMAIL_ADDRESS", "STREET_ADDRESS"},
    "spelled": NUMBERS | {"EMAIL_ADDRESS", "ZIP_CODE", "ORDER_ID"},
    "fullwidth": NUMBERS | {"ORDER_ID", "ZIP_CODE", "IBAN_CODE"},
    "zero_width": LONG | {"US_DRIVER_LICENSE", "USERNAME", "PASSWORD"},
}


class Value(NamedTuple):
    """A personal value: its type and its canonical form."""

    type: str
    text: str


def write_value(value: Value, rng: Random, forms: list[str]) -> tuple[str, str]:
    """Write `value` in the first of `forms` that suits and changes it, else in an ordinary notation."""
    plain = notation(value, rng)
    for form in forms:
        if value.type in SUITS[form]:
            written = disguise(plain, form, rng)
            if written != plain:
                return written, form
    return plain, "plain"


def notation(value: Value, rng: Random) -> str:
    """Return a random ordinary notation of the value."""
    text, pick = value.text, rng.random()
    if value.type == "PHONE_NUMBER":
        return _phone_notation(text, pick)
    if value.type == "CREDIT_CARD" and pick < 0.8:
        cuts = (4, 10) if len(text) == 15 else (4, 8, 12)
        mark = " " if pick < 0.6 else "-"
        return mark.join(text[a:b] for a, b in zip((0, *cuts), (*cuts, None), strict=True))
    if value.type == "IBAN_CODE" and pick < 0.65:
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))
    if value.type == "US_SSN" and pick < 0.35:
        return text.replace("-", " " if pick < 0.25 else "")
    if value.type == "ACCOUNT_NUMBER" and pick < 0.3:
        return f"{text[:4]} {text[4:7]} {text[7:]}"
    if value.type == "DATE_OF_BIRTH":
        return _date_notation(date.fromisoformat(text), pick)
    return text


def _phone_notation(text: str, pick: float) -> str:
    """Return `+1 503 555 0142` in one of its national and international notations."""
    country, area, *rest = text.split(" ")
    if country == "+1":
        exchange, line = rest
        forms = [
            f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}", text,
            f"+1-{area}-{exchange}-{line}", f"{area}{exchange}{line}", f"1 ({area}) {exchange} {line}",
            f"{area} {exchange} {line}",
        ]  # fmt: skip
    else:
        tail = " ".join(rest)
        joined = tail.replace(" ", "")
        forms = [text, f"0{area} {tail}", f"(0{area}) {tail}", f"00{country[1:]} {area} {tail}", f"0{area}/{joined}"]
        forms.append(f"{country}{area}{joined}")
    return forms[int(pick * len(forms))]


def _date_notation(day: date, pick: float) -> str:
    """Return a date of birth in one of its notations: `04/17/1982`, `17 April 1982`, `1982-04-17`, ..."""
    month = day.strftime("%B")
    forms = [
        f"{day.month:02}/{day.day:02}/{day.year}",
        f"{day.month}/{day.day}/{day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month} {day.year}",
        day.isoformat(),
        f"{day.day:02}.{day.month:02}.{day.year}",
        f"{month[:3]} {day.day} {day.year}",
    ]
    return forms[int(pick * len(forms))]


def disguise(plain: str, form: str, rng: Random) -> str:
    """Write `plain` in one of the forms of `SUITS`."""
    if form == "lower":
        return plain.lower()
    if form == "upper":
        return plain.upper()
    if form == "fullwidth":
        return plain.translate(FULL_WIDTH)
    if form == "spelled":
        return _spell(plain)
    if form == "entity":
        return "".join(ENTITY_MARKS.get(mark) or _named_entity(mark) for mark in plain)
    cut = rng.randint(2, len(plain) - 2) if len(plain) > 4 else 1
    if form == "zero_width":
        joiner = rng.choice(["\u200b", "\u200c", "\u2060", "\ufeff"])
        return f"{plain[:cut]}{joiner}{plain[cut:]}"
    opening, closing = rng.choice([("<b>", "</b>"), ("<span>", "</span>"), ("<i>", "</i>"), ("<wbr>", "")])
    end = min(len(plain), cut + rng.randint(2, 6))
    return f"{plain[:cut]}{opening}{plain[cut:end]}{closing}{plain[end:]}"


def _named_entity(mark: str) -> str:
    return f"&{codepoint2name[ord(mark)]};" if ord(mark) > 127 and ord(mark) in codepoint2name else mark


def _spell(plain: str) -> str:
    """Spell out a value: `jane dot doe at example dot com`; digits and marks of numbers become words."""
    names = {"@": " at ", ".": " dot ", "_": " underscore ", "-": " dash ", "+": "plus "}
    words = [
        f" {DIGIT_WORDS[int(mark)]} " if mark.isascii() and mark.isdigit() else names.get(mark, mark) for mark in plain
    ]
    spoken = "".join(words)
    if "@" not in plain:
        spoken = spoken.replace("(", " ").replace(")", " ").replace("/", " ").replace("NV", "N V")
    return " ".join(spoken.split())
