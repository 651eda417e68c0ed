"""Redraw the letters and digits of a value while keeping its groups and case."""

import re
from random import Random

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[0-9]")
_CALLING = re.compile(r"^(?:(?:00)?44|0)(?=[1-9][0-9]{8,9}$)|^(?:00)?1(?=[2-9][0-9]{9}$)")
LETTERS = "abcdefghijkmnopqrstuvwxyz"
LONG = 8  # a random number of this many digits could be assigned, so it begins with zeros
ZEROS = "000"


def normal(entity: str, value: str) -> str:
    """Return the form that all spellings of a value share: letters and digits, case-folded, without calling codes."""
    joined = "".join(_WORD.findall(value)).casefold() or value.strip()
    return _CALLING.sub("", joined) if entity == "PHONE_NUMBER" else joined


def digits_of(value: str) -> str:
    """Return the ASCII digits of a value, in order."""
    return "".join(_NUMBER.findall(value))


def like(model: str, new: str) -> str:
    """Return `new` in the case of `model`: lower, upper, or unchanged."""
    if model.islower():
        return new.lower()
    return new.upper() if model.isupper() and sum(map(str.isalpha, model)) > 1 else new


def fill(shape: str, digits: str) -> str:
    """Replace the digits of `shape` by those of `digits`, which must be as many, in order."""
    rest = iter(digits)
    return _NUMBER.sub(lambda _: next(rest), shape)


def draw_digits(random: Random, count: int) -> str:
    """Return `count` random digits."""
    return "".join(random.choice("0123456789") for _ in range(count))


def reshape(random: Random, value: str, prefix: str = "") -> str:
    """Redraw the letters and digits of a value; all other characters stay.

    Args:
        prefix: the first letters and digits of the result, as many as fit: a range that is never assigned.
    """
    long = digits_of(value) == "".join(_WORD.findall(value)) and len(digits_of(value)) >= LONG
    first = iter(prefix or (ZEROS if long else ""))
    made = []
    for character in value:
        if not character.isalnum():
            made.append(character)
            continue
        drawn = random.random()
        new = "0123456789"[int(drawn * 10)] if character.isdecimal() else LETTERS[int(drawn * len(LETTERS))]
        new = next(first, new)
        made.append(new.upper() if character.isupper() else new)
    return "".join(made)
