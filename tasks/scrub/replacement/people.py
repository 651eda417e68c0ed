"""Pseudonyms of people: names with the same number of words and case, e-mail addresses at reserved domains.

First names and surnames are Faker's lists for the United States.
"""

import re
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

from tasks.scrub.replacement.shapes import like

PERSON = "PERSON"
TITLES = re.compile(
    "mr|mrs|ms|miss|mx|mister|madam|sir|dame|dr|doctor|prof|professor|lord|lady|rev|jr|sr|ii|iii|iv"
    "|van|von|der|den|de|del|della|di|da|dos|la|le|bin|al|el",
    re.IGNORECASE,
)
DOMAINS = ("example.com", "example.org", "example.net")  # RFC 2606
CHECK = 10_000  # one in this many other addresses at these domains is mistaken for a pseudonym
TRIES = 100  # draws to find a name without a word of the value

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MADE = re.compile(r"([a-z]{1,30}\.[a-z]{1,30})([0-9]{4})@(example\.(?:com|org|net))")


@cache
def names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lists of first names and surnames."""
    from faker.providers.person.en_US import Provider

    listed: Any = Provider
    return tuple(listed.first_names), tuple(listed.last_names)


def normal_person(whole: str) -> str:
    """Return the form that all spellings of a name share: its words without titles, case-folded and sorted."""
    return " ".join(sorted(_folded(word) for word in _core(whole))) or whole.casefold().strip()


def person(value: str, whole: str, seed: Callable[..., int]) -> str:
    """Return the pseudonym of a name, or the corresponding part of it for a part.

    Args:
        value: the whole name or a part, as written in the text.
        whole: the whole name.
        seed: returns a number that depends on the name and the arguments.
    """
    core = _core(whole)
    drawn = _drawn(core, whole, seed)
    by_word = {_folded(word): name for word, name in zip(core, drawn, strict=True)}
    by_part = {_folded(part): by_word[_folded(word)] for word in core for part in re.split("['’-]", word)}

    def named(match: re.Match[str]) -> str:
        word = _folded(match[0])
        if TITLES.fullmatch(match[0]) and word not in by_word:
            return match[0]
        if word == "".join(map(_folded, core)) and len(core) > 1:
            return like(match[0], "".join(drawn))
        name = by_word.get(word) or by_part.get(word) or by_word[_folded(_nearest(word, core))]
        return like(match[0], name[: 1 if len(word) == 1 else None])

    # Characters that belong to no word, such as digits in a user name, are part of the value as well.
    made = re.sub("[0-9]", lambda match: str((int(match[0]) + 3) % 10), WORD.sub(named, value))
    return made if WORD.search(value) else like(value, drawn[0])


def _drawn(core: list[str], whole: str, seed: Callable[..., int]) -> list[str]:
    """Draw a name for each word: a surname for the last word, or for the first if a comma follows it."""
    first_names, surnames = names()
    original = {_folded(word) for word in core}
    for attempt in range(TRIES):
        random = Random(seed(attempt))
        surname, *others = random.choice(surnames), *(random.choice(first_names) for _ in range(max(1, len(core) - 1)))
        if len(core) > 1:
            others = [surname, *others] if _comma(whole, core) else [*others, surname]
        drawn = [name[0] if len(_folded(word)) == 1 else name for name, word in zip(others, core, strict=True)]
        if not {_folded(name) for name in drawn if len(name) > 1} & original:
            break
    return drawn


def _core(whole: str) -> list[str]:
    """Return the words of a name without titles and particles, or all words if there are no others."""
    words = WORD.findall(whole)
    return [word for word in words if not TITLES.fullmatch(word)] or words or [whole]


def _comma(whole: str, core: list[str]) -> bool:
    return whole.partition(core[0])[2].lstrip(".").startswith(",")


def _folded(word: str) -> str:
    """Return the letters of a word, case-folded, for comparisons."""
    return "".join(filter(str.isalpha, word.casefold())) or word


def _nearest(word: str, core: list[str]) -> str:
    """Return the word of a name that is most similar to a misspelling or fragment."""
    from difflib import SequenceMatcher

    if not word or len(core) == 1:
        return core[0]
    return max(core, key=lambda name: (round(SequenceMatcher(None, word, _folded(name)).ratio(), 6), -core.index(name)))


def email(value: str, random: Random, check: Callable[[str], int]) -> str:
    """Return an address whose number proves, with the key, that it is a pseudonym."""
    first_names, surnames = names()
    local = f"{random.choice(first_names)}.{random.choice(surnames)}".lower()
    domain = random.choice(DOMAINS)
    made = f"{local}{_proof(local, domain, check)}@{domain}"
    if "@" not in value and re.search(r"\b(?:at|dot)\b", value, re.IGNORECASE):
        made = made.replace("@", " at ").replace(".", " dot ")
    return like(value, made)


def made_email(value: str, check: Callable[[str], int]) -> bool:
    """Check whether `email` created this address with the same key."""
    match = _MADE.fullmatch(value.lower())
    return match is not None and match[2] == _proof(match[1], match[3], check)


def _proof(local: str, domain: str, check: Callable[[str], int]) -> str:
    return f"{check(f'{local}@{domain}') % CHECK:04}"


def username(value: str, random: Random) -> str:
    """Return a user name: an initial, a surname, two digits."""
    first_names, surnames = names()
    made = f"{random.choice(first_names)[0]}{random.choice(surnames)}{random.randrange(10, 100)}".lower()
    return ("@" if value.startswith("@") else "") + like(value, made)
