"""Texts of any length on which careless patterns are slow, reproducible for each kind."""

import itertools
import random
from collections.abc import Callable


def _repeated(unit: str) -> Callable[[int], str]:
    return lambda length: (unit * (length // len(unit) + 1))[:length]


def dense(length: int) -> str:
    """Return a text of personal data only: e-mail addresses, phone, card and account numbers, IBANs, IP addresses."""
    draw = random.Random(7)

    def number(pattern: str) -> str:
        return "".join(str(draw.randrange(10)) if character == "9" else character for character in pattern)

    patterns = (
        "user9999@host99.example.com", "(299) 299-9999", "4999 9999 9999 9999", "199-29-9999", "account 99999999",
        "GB99 BARC 9999 9999 9999 99", "10.19.12.19", "+1 299 299 9999", "id A9999999",
    )  # fmt: skip
    parts, size = [], 0
    while size < length:
        parts.append(number(draw.choice(patterns)))
        size += len(parts[-1]) + 5
    return " and ".join(parts)[:length]


def numbers(length: int) -> str:
    """Return a text of ten-digit numbers, each of which may be a phone number somewhere."""
    draw = random.Random(7)
    return "".join(f"word {draw.randrange(10**10):010d} " for _ in itertools.repeat(None, length // 16 + 1))[:length]


def people(length: int) -> str:
    """Return a text with a different random name in every sentence."""
    draw = random.Random(7)

    def name() -> str:
        return "".join(draw.choice("bdfklmnrst") + draw.choice("aeiou") for _ in range(4)).title()

    return "".join(f"My name is {name()} {name()}. " for _ in itertools.repeat(None, length // 31 + 1))[:length]


KINDS: dict[str, Callable[[int], str]] = {
    "one word": _repeated("a"),
    "digits": _repeated("1"),
    "digits and dashes": _repeated("12-"),
    "digits and dots": _repeated("1."),
    "digits and slashes": _repeated("1/"),
    "digits and spaces": _repeated("9 "),
    "a@a@": _repeated("a@"),
    "a long mailbox": lambda length: "a" * (length - 2) + "@b",
    "domains": _repeated("a@b-c-"),
    "links": _repeated("www.a."),
    "brackets": _repeated("("),
    "angles": _repeated("<A"),
    "colons": _repeated("f:"),
    "dots": _repeated("."),
    "spaces": _repeated(" "),
    "line feeds": _repeated("\n"),
    "short words": _repeated("a "),
    "nulls": _repeated("\x00"),
    "lone surrogates": _repeated("\ud800"),
    "IBAN heads": _repeated("DE12 "),
    "plus signs": _repeated("+1 "),
    "numbers": numbers,
    "personal data": dense,
    "people": people,
    "one name": _repeated("Jane "),
    "one name in small letters": _repeated("jane "),
    "a name glued": _repeated("Jane"),
    "a whole name": _repeated("Jane Doe, "),
    "introductions": _repeated("my name is "),
    "one introduction": _repeated("my name is Jane Doe. "),
    "an address": _repeated("12 Elm Street, Springfield, IL 62704, "),
    "an address that goes on": _repeated("12 Elm Street "),
    "streets": _repeated("street "),
    "birth dates": _repeated("born 01/02/1990 "),
    "passwords": _repeated("password is "),
    "one password": _repeated("password is hunter2x "),
    "spoken digits": _repeated("one two "),
    "spoken marks": _repeated("at a dot "),
    "spoken codes": _repeated("n v dash double "),
    "spoken e-mail": _repeated("jane at example dot com "),
    "ends of e-mail": _repeated("dot com "),
    "account numbers": _repeated("account 12345678 "),
    "telephone words": _repeated("call "),
    "telephone words and digits": _repeated("phone 555 "),
    "emoji": _repeated("\U0001f468\u200d\U0001f469 "),
    "combining marks": _repeated("\u0301"),
    "marked letters": _repeated("e\u0301\u0316"),
    "full width": _repeated("\uff11\uff12\uff20"),
    "placeholders": _repeated("<PERSON_1> "),
    "placeholders glued": _repeated("<PERSON_1>"),
    "open angles": _repeated("<"),
    "open placeholders": _repeated("<PERSON_"),
    "placeholder of digits": lambda length: "<PERSON_" + "1" * (length - 9) + ">",
    "character references": _repeated("&#"),
    "character references in full": _repeated("&#49;"),
    "coats of entities": _repeated("&amp;"),
    "coats of one entity": lambda length: "&" + "amp;" * (length // 4),
    "tags": _repeated("<b>1</b>"),
    "comments": _repeated("<!--"),
    "escapes": _repeated("\\u0031"),
    "percent signs": _repeated("%2540"),
    "at": _repeated("@"),
    "spelled at": _repeated("a [at] "),
    "hyphens": _repeated("-"),
    "underscores": _repeated("_"),
    "quotes": _repeated("'"),
    "letters and quotes": _repeated("a'"),
    "letters and dots": _repeated("a."),
    "capitals": _repeated("A"),
    "capital words": _repeated("Ab "),
    "commas": _repeated("a, "),
    "letters and digits": _repeated("a1"),
    "hexadecimal": _repeated("0x1f"),
    "colon groups": _repeated("1f:"),
    "prices": _repeated("$1,299.00 "),
    "mojibake": _repeated("\u00c3\u00a9"),
    "Chinese": _repeated("\u4f60\u597d"),
    "Cyrillic": _repeated("\u043f\u0440\u0438\u0432\u0435\u0442 "),
    "Hangul parts": _repeated("\u1100\u1161"),
    "lookalike letters": _repeated("a\u0430"),
    "questions": _repeated("what? "),
    "initials": _repeated("J. D. "),
}
