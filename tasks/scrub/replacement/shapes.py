"""The shape of a value, filled anew: same groups, same case, other letters and digits."""

import re
from random import Random

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[0-9]")
_CALLING = re.compile(r"^(?:(?:00)?44|0)(?=[1-9][0-9]{8,9}$)|^(?:00)?1(?=[2-9][0-9]{9}$)")
LETTERS = "abcdefghijkmnopqrstuvwxyz"
LONG = 8  # digits from which a number may be someone's: it begins with zeros
ZEROS = "000"


def normal(entity: str, value: str) -> str:
    """What all spellings of a value share: its letters and digits, case folded; a phone number's national part."""
    joined = "".join(_WORD.findall(value)).casefold() or value.strip()
    return _CALLING.sub("", joined) if entity == "PHONE_NUMBER" else joined


def digits_of(value: str) -> str:
    """The ASCII digits of a value, in order."""
    return "".join(_NUMBER.findall(value))


def like(model: str, new: str) -> str:
    """`new` in the case of `model`: all lower, all capitals, or as it is."""
    if model.islower():
        return new.lower()
    return new.upper() if model.isupper() and sum(map(str.isalpha, model)) > 1 else new


def fill(shape: str, digits: str) -> str:
    """The shape with its digits replaced by `digits` in order; those must be as many."""
    rest = iter(digits)
    return _NUMBER.sub(lambda _: next(rest), shape)


def draw_digits(random: Random, count: int) -> str:
    """`count` random digits."""
    return "".join(random.choice("0123456789") for _ in range(count))


def reshape(random: Random, value: str, prefix: str = "") -> str:
    """The value with its letters and digits drawn anew, whatever stands between them.

    Args:
        prefix: what the first letters and digits become, if it fits: a range that nobody is given numbers from.
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
