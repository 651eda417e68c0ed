"""Values that are spelled out in words, for the second scan: "N V dash double four oh nine" holds `NV-4409`.

It shares no code with scrub's detector. Words for digits become digits, words for signs and pauses are removed, single
letters stay, and the result is searched as one string.
"""

import re

LONG = 9  # digits of a number that is compared by its last ones: the country's code may be missing
CODE, CODE_DIGITS, CODE_LETTERS = 6, 4, 3  # of a value that is looked for: letters and digits; either of them, enough
FEWEST = 2  # words for digits in a text that is worth reading

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {"oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0", "null": "0", "niner": "9"}
_DIGITS |= {word: str(at) for at, word in enumerate(_UNITS)}
_ROUND = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS = {word: str(at) for at, word in enumerate(_ROUND, 2)}
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_DIGITS |= {word: str(at) for at, word in enumerate(_TEENS, 10)}
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_LETTERS = {
    "ay": "a", "bee": "b", "cee": "c", "dee": "d", "eff": "f", "gee": "g", "aitch": "h", "jay": "j", "kay": "k",
    "el": "l", "em": "m", "en": "n", "pee": "p", "cue": "q", "ar": "r", "ess": "s", "tee": "t", "vee": "v", "ex": "x",
    "wye": "y", "zee": "z", "zed": "z",
}  # fmt: skip
_SILENT = frozenset(
    """
    dash hyphen minus dot point period slash stroke underscore plus space comma at and then um uh er erm capital letter
    hash
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W_]+|\x1f")


def heard(text: str) -> str:
    """Return the letters and digits of a text in order, with words for digits as digits.

    Args:
        text: of one conversation; BREAK (`\\x1f`) stays, so that no match crosses it.
    Returns:
        The string to search; empty for a text with hardly any digits.
    """
    words = _WORD.findall(text.casefold())
    if sum(word in _DIGITS or word in _TENS or word in _REPEATS for word in words) < FEWEST:
        return ""
    pieces: list[str] = []
    times, tens = 1, ""
    for word in words:
        if word in _REPEATS:
            times, tens = _REPEATS[word], ""
            continue
        if word in _TENS:
            pieces.append(_TENS[word] + "0")
            times, tens = 1, word
            continue
        digit = _DIGITS.get(word) or _LETTERS.get(word)
        if tens and digit and len(digit) == 1 and digit != "0":
            pieces[-1] = pieces[-1][0]  # forty nine
        if word in ("hundred", "thousand") and pieces and pieces[-1].isdecimal():
            pieces.append("00" if word == "hundred" else "000")
        elif word not in _SILENT:
            pieces.append((digit or word) * times)
        times, tens = 1, ""
    return "".join(pieces)


def holds(said: str, value: str) -> bool:
    """Check whether a value is in the result of `heard`.

    Args:
        said: of `heard`.
        value: as the source knows it.
    """
    parts = "".join(re.findall(r"[^\W_]+", value.casefold()))
    digits = "".join(filter(str.isdecimal, parts))
    telling = len(digits) >= CODE_DIGITS or (digits and len(parts) - len(digits) >= CODE_LETTERS)
    if "@" not in value and (len(parts) < CODE or not telling):
        return False
    wanted = {parts}
    if len(digits) >= LONG and digits == parts:
        wanted.add(digits[-LONG:])
    elif len(digits) >= CODE and parts.endswith(digits):
        wanted.add(digits)  # NV-663149 without its letters
    return any(each in said for each in wanted)
