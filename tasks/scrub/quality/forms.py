"""Forms of planted values: as people type them, and as exports mangle them.

A form takes the words before a value, the value and the words after it, and returns the three as they are planted.
"""

import re
import string
from collections.abc import Callable

import numpy as np

Said = tuple[str, str, str]  # before, value, after

NEEDS_ITS_SIGNS = ("EMAIL_ADDRESS", "IP_ADDRESS", "PASSWORD", "USERNAME")  # types that are invalid without their signs
SAYABLE = ("ACCOUNT_NUMBER", "CREDIT_CARD", "PHONE_NUMBER", "PIN", "US_SSN")  # numbers that people spell out
DOUBLED = 0.5  # share of numbers with a repeated digit in which it is read as "double"
DIGITS = ("zero oh nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIGNS = {"-": "dash hyphen", "+": "plus", ".": "dot", "/": "slash"}
WORDED = ("ADDRESS", "PERSON")  # types that consist of words and get the typo; otherwise a word next to the value does


def as_written(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Change nothing."""
    return said


def lower_case(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Convert everything to lower case."""
    before, value, after = said
    return before.lower(), value.lower(), after.lower()


def no_punctuation(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Convert to lower case without signs, like hasty chat or the output of speech recognition."""
    before, value, after = lower_case(said, entity, rng)
    if entity not in NEEDS_ITS_SIGNS:
        value = " ".join(re.sub(r"[^\w\s]|_", " ", value).split())
    return _bare(before), value, _bare(after)


def misspelled(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Make a typo in a name or an address, or for other types in the longest word around the value."""
    before, value, after = said
    if entity in WORDED:
        return before, _typo(value, rng), after
    longest = max(re.findall(r"[A-Za-z]+", before + " " + after), key=len, default="")
    if longest in before:
        return before.replace(longest, _typo(longest, rng), 1), value, after
    return before, value, after.replace(longest, _typo(longest, rng), 1)


def hidden(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Put HTML entities, tags, zero-width or full-width characters into the value, which stays readable on a page."""
    before, value, after = said
    inner = 1 + int(rng.integers(max(len(value) - 2, 1)))
    ways: tuple[Callable[[], str], ...] = (
        lambda: "".join(f"&#{ord(char)};" if at % 3 == 0 else char for at, char in enumerate(value)),
        lambda: f"{value[:inner]}\u200b{value[inner:]}",
        lambda: f"{value[:inner]}<b>{value[inner:]}",
        lambda: "".join(chr(ord(char) + 0xFEE0) if char.isascii() and char.isalnum() else char for char in value),
    )
    return before, ways[int(rng.integers(len(ways)))](), after


def spoken(said: Said, entity: str, rng: np.random.Generator) -> Said:
    """Spell out numbers digit by digit, as on the phone; convert other types to lower case."""
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
SHARES = (0.25, 0.25, 0.15, 0.15, 0.1, 0.1)  # of the forms, in order


def _aloud(mark: str, rng: np.random.Generator) -> str:
    """Return a character as a word, or "" if it is not spoken."""
    ways = (DIGITS[int(mark)] if mark.isdecimal() else SIGNS.get(mark, mark if mark.isalpha() else "")).split()
    return ways[int(rng.integers(len(ways)))] if ways else ""


def _bare(text: str) -> str:
    """Return the text without signs; white space stays."""
    return re.sub(r"[^\w\s]", "", text)


def _typo(text: str, rng: np.random.Generator) -> str:
    """Swap, double, replace or drop one letter, never the first."""
    places = [at for at in range(1, len(text) - 1) if text[at : at + 2].isalpha()]
    if not places:
        return text
    at = places[int(rng.integers(len(places)))]
    current, following, other = text[at], text[at + 1], string.ascii_lowercase[int(rng.integers(26))]
    pair = (following, current + current + following, other + following, following + current)[int(rng.integers(4))]
    return text[:at] + pair + text[at + 2 :]
