"""How planted values are written: as people type, and as exports mangle them.

A form takes the words before a value, the value and the words after it, and gives the three as they are planted.
"""

import re
import string
from collections.abc import Callable

import numpy as np

Said = tuple[str, str, str]  # before, value, after

NEEDS_ITS_SIGNS = ("EMAIL_ADDRESS", "IP_ADDRESS", "PASSWORD", "USERNAME")  # without them it is none any more
SAYABLE = ("ACCOUNT_NUMBER", "CREDIT_CARD", "PHONE_NUMBER", "PIN", "US_SSN")  # numbers: spelled out to be sure of
DOUBLED = 0.5  # of those with two digits alike in a row
DIGITS = ("zero oh nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIGNS = {"-": "dash hyphen", "+": "plus", ".": "dot", "/": "slash"}
WORDED = ("ADDRESS", "PERSON")  # made of words: a letter may be wrong in it; else a word beside it has the mistake


def as_written(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Nothing changed."""
    return said


def lower_case(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """All in lower case."""
    before, value, after = said
    return before.lower(), value.lower(), after.lower()


def no_punctuation(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Lower case with no signs: chat as it is typed in a hurry, or as it comes out of speech recognition."""
    before, value, after = lower_case(said, entity, rng)
    if entity not in NEEDS_ITS_SIGNS:
        value = " ".join(re.sub(r"[^\w\s]|_", " ", value).split())
    return _bare(before), value, _bare(after)


def misspelled(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """One letter wrong: in a name or an address; for numbers and the like, in the longest word beside it."""
    before, value, after = said
    if entity in WORDED:
        return before, _typo(value, rng), after
    longest = max(re.findall(r"[A-Za-z]+", before + " " + after), key=len, default="")
    if longest in before:
        return before.replace(longest, _typo(longest, rng), 1), value, after
    return before, value, after.replace(longest, _typo(longest, rng), 1)


def hidden(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Still readable on a page: HTML entities, tags, zero-width and full-width characters in the value."""
    before, value, after = said
    inner = 1 + int(rng.integers(max(len(value) - 2, 1)))
    ways: tuple[Callable[[], str], ...] = (
        lambda: "".join(f"&#{ord(one)};" if at % 3 == 0 else one for at, one in enumerate(value)),
        lambda: f"{value[:inner]}\u200b{value[inner:]}",
        lambda: f"{value[:inner]}<b>{value[inner:]}",
        lambda: "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isalnum() else one for one in value),
    )
    return before, ways[int(rng.integers(len(ways)))](), after


def spoken(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Said digit by digit, as on the phone; what has no digits to say is in lower case."""
    before, value, after = said
    if entity not in SAYABLE:
        return lower_case(said, entity, rng)
    words = [word for mark in value if (word := _aloud(mark, rng))]
    pairs = [at for at in range(len(words) - 1) if words[at] == words[at + 1]]
    if pairs and rng.random() < DOUBLED:
        words[pairs[0] : pairs[0] + 2] = ["double", words[pairs[0]]]
    return before, " ".join(words), after


FORMS: dict[str, Callable[[Said, str, np.random.Generator], Said]] = {
    "as_written": as_written,
    "lower_case": lower_case,
    "no_punctuation": no_punctuation,
    "misspelled": misspelled,
    "hidden": hidden,
    "spoken": spoken,
}
SHARES = (0.25, 0.25, 0.15, 0.15, 0.1, 0.1)  # of each form, in their order


def _aloud(mark: str, rng: np.random.Generator) -> str:
    """A character as a word, or nothing for one that is passed over."""
    ways = (DIGITS[int(mark)] if mark.isdecimal() else SIGNS.get(mark, mark if mark.isalpha() else "")).split()
    return ways[int(rng.integers(len(ways)))] if ways else ""


def _bare(text: str) -> str:
    """Without signs; an apostrophe leaves no space behind, and what separates from the value stays."""
    return re.sub(r"[^\w\s]", "", text)


def _typo(text: str, rng: np.random.Generator) -> str:
    """One of the letters after the first dropped, doubled, changed or swapped with the next."""
    places = [at for at in range(1, len(text) - 1) if text[at : at + 2].isalpha()]
    if not places:
        return text
    at = places[int(rng.integers(len(places)))]
    one, two, other = text[at], text[at + 1], string.ascii_lowercase[int(rng.integers(26))]
    pair = (two, one + one + two, other + two, two + one)[int(rng.integers(4))]
    return text[:at] + pair + text[at + 2 :]
