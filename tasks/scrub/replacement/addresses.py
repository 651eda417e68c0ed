"""Pseudonyms of addresses: house number, street, town, state and postcode are each replaced by another of its kind."""

import re
from functools import cache
from random import Random
from typing import Any

from tasks.scrub.replacement.numbers import postcode
from tasks.scrub.replacement.people import names
from tasks.scrub.replacement.shapes import like, reshape

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SUFFIX = (
    "street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|terrace|ter|way|parkway"
    "|pkwy|circle|cir|highway|hwy|close|crescent|gardens|grove|hill|mews|row|walk|trail|trl|alley|loop"
)
_STREET = re.compile(rf"\W{{1,2}}(?:{_SUFFIX})\b", re.IGNORECASE)
_KEPT = re.compile(
    rf"{_SUFFIX}|apartment|apt|suite|ste|unit|floor|flat|building|bldg|room|rm|po|p|o|box|north|south|east|west"
    r"|northeast|northwest|southeast|southwest|n|s|e|w|ne|nw|se|sw|the|of|and|usa|us|uk",
    re.IGNORECASE,
)
_POSTCODE = re.compile(r"[0-9]{5}(?:-[0-9]{4})?|[A-Za-z]{1,2}[0-9][A-Za-z0-9]?\s[0-9][A-Za-z]{2}")


@cache
def _lists() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return suffixes of city names, and abbreviations of states."""
    from faker.providers.address.en_US import Provider

    listed: Any = Provider
    return tuple(listed.city_suffixes), tuple(listed.states_abbr)


def address(value: str, random: Random) -> str:
    """Return another address in the same format; generic words such as "street" stay."""
    made: list[str] = []
    done = 0
    for run, is_name in _runs(value):
        text = value[slice(*run)]
        made += [value[done : run[0]], _name(value, run, random) if is_name else _token(text, random)]
        done = run[1]
    return "".join([*made, value[done:]])


def _runs(value: str) -> list[tuple[tuple[int, int], bool]]:
    """Return ((start, end), is a name) for each postcode, generic word and name of any number of words, in order."""
    runs: list[tuple[tuple[int, int], bool]] = []
    position = 0
    while token := _POSTCODE.match(value, position) or _TOKEN.search(value, position):
        code = _POSTCODE.search(value, position)
        if code and code.start() <= token.start():
            token = code
        is_name = token[0].isalpha() and not _KEPT.fullmatch(token[0]) and not _is_state(token[0])
        joined = bool(runs) and runs[-1][1] and is_name and value[runs[-1][0][1] : token.start()].isspace()
        if joined:
            runs[-1] = ((runs[-1][0][0], token.end()), True)
        else:
            runs.append((token.span(), is_name))
        position = token.end()
    return runs


def _is_state(word: str) -> bool:
    return len(word) == 2 and word.isupper()


def _token(text: str, random: Random) -> str:
    if _POSTCODE.fullmatch(text):
        return postcode(text, random)
    if _is_state(text) and not _KEPT.fullmatch(text):
        return random.choice(_lists()[1])
    return text if _KEPT.fullmatch(text) else _digits(text, random)


def _digits(text: str, random: Random) -> str:
    """Return a house number of the same shape ("221b") that does not begin with 0."""
    made = reshape(random, text)
    return f"{random.randrange(1, 10)}{made[1:]}" if made[0] == "0" and text[0] != "0" else made


def _name(value: str, run: tuple[int, int], random: Random) -> str:
    """Return the name of a street if a word such as "street" follows, else of a town."""
    name = random.choice(names()[1])
    street = _STREET.match(value, run[1]) is not None
    return like(value[slice(*run)], name if street else name + random.choice(_lists()[0]))
