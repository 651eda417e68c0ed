"""Long texts that make a careless pattern slow: one of a kind, any length, the same every time."""

import itertools
import random
from collections.abc import Callable


def _repeated(unit: str) -> Callable[[int], str]:
    return lambda length: (unit * (length // len(unit) + 1))[:length]


def dense(length: int) -> str:
    """Nothing but personal data: e-mail addresses, phone, card and account numbers, IBANs, network addresses."""
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
    """Ten digits and a word, again and again: each may be a phone number somewhere."""
    draw = random.Random(7)
    return "".join(f"word {draw.randrange(10**10):010d} " for _ in itertools.repeat(None, length // 16 + 1))[:length]


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
}
