"""Pseudonyms of people: a name with as many words and in the same case, an address at a domain that nobody has.

Given and family names are Faker's lists for the United States.
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
CHECK = 10_000  # one in so many addresses of these domains is taken for a pseudonym
TRIES = 100  # names that are drawn until one has no word of the value

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MADE = re.compile(r"([a-z]{1,30}\.[a-z]{1,30})([0-9]{4})@(example\.(?:com|org|net))")


@cache
def names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Given and family names."""
    from faker.providers.person.en_US import Provider

    listed: Any = Provider
    return tuple(listed.first_names), tuple(listed.last_names)


def normal_person(whole: str) -> str:
    """What all ways to write a name share: its words but for titles, case folded, in any order."""
    return " ".join(sorted(_own(word) for word in _core(whole))) or whole.casefold().strip()


def person(value: str, whole: str, seed: Callable[..., int]) -> str:
    """The pseudonym of a name, or the part of it that stands for a part.

    Args:
        value: the whole name or a part, as it stands in the text.
        whole: the whole name.
        seed: a number that depends on the name, and on what it is given.
    """
    core = _core(whole)
    drawn = _drawn(core, whole, seed)
    by_word = {_own(word): name for word, name in zip(core, drawn, strict=True)}
    parts = [part for word in core for part in re.split("['’-]", word)]
    by_part = {_own(part): by_word[_own(word)] for word in core for part in re.split("['’-]", word)}

    def named(match: re.Match[str]) -> str:
        word = _own(match[0])
        if TITLES.fullmatch(match[0]) and word not in by_word:
            return match[0]
        if word == "".join(map(_own, core)) and len(core) > 1:
            return like(match[0], "".join(drawn))
        name = by_word.get(word) or by_part.get(word) or by_word[_own(_nearest(word, core, parts))]
        return like(match[0], name[: 1 if len(word) == 1 else None])

    # What is no word, as digits in a handle, is part of the value all the same.
    made = re.sub("[0-9]", lambda match: str((int(match[0]) + 3) % 10), WORD.sub(named, value))
    return made if WORD.search(value) else like(value, drawn[0])


def _drawn(core: list[str], whole: str, seed: Callable[..., int]) -> list[str]:
    """One name for each word: the family name for the last one, or for the first if a comma follows it."""
    given, family = names()
    own = {_own(word) for word in core}
    for attempt in range(TRIES):
        random = Random(seed(attempt))
        one, *others = random.choice(family), *(random.choice(given) for _ in range(max(1, len(core) - 1)))
        if len(core) > 1:
            others = [one, *others] if _comma(whole, core) else [*others, one]
        drawn = [name[0] if len(_own(word)) == 1 else name for name, word in zip(others, core, strict=True)]
        if not {_own(name) for name in drawn if len(name) > 1} & own:
            break
    return drawn


def _core(whole: str) -> list[str]:
    """The words of a name but for titles and particles; all of them where there is nothing else."""
    words = WORD.findall(whole)
    return [word for word in words if not TITLES.fullmatch(word)] or words or [whole]


def _comma(whole: str, core: list[str]) -> bool:
    return whole.partition(core[0])[2].lstrip(".").startswith(",")


def _own(word: str) -> str:
    """A word as it is compared: letters alone, case folded."""
    return "".join(filter(str.isalpha, word.casefold())) or word


def _nearest(word: str, core: list[str], parts: list[str]) -> str:
    """The word of a name that another one is a misspelling or a piece of."""
    from difflib import SequenceMatcher

    if not word or len(core) == 1:
        return core[0]
    return max(core, key=lambda each: (round(SequenceMatcher(None, word, _own(each)).ratio(), 6), -core.index(each)))


def email(value: str, random: Random, check: Callable[[str], int]) -> str:
    """An address with a number at its end that shows to whoever has the key that it is a pseudonym."""
    given, family = names()
    local = f"{random.choice(given)}.{random.choice(family)}".lower()
    domain = random.choice(DOMAINS)
    made = f"{local}{_proof(local, domain, check)}@{domain}"
    if "@" not in value and re.search(r"\b(?:at|dot)\b", value, re.IGNORECASE):
        made = made.replace("@", " at ").replace(".", " dot ")
    return like(value, made)


def made_email(value: str, check: Callable[[str], int]) -> bool:
    """Whether `email` has made this address under the same key."""
    match = _MADE.fullmatch(value.lower())
    return match is not None and match[2] == _proof(match[1], match[3], check)


def _proof(local: str, domain: str, check: Callable[[str], int]) -> str:
    return f"{check(f'{local}@{domain}') % CHECK:04}"


def username(value: str, random: Random) -> str:
    """A handle: an initial, a family name, two digits."""
    given, family = names()
    made = f"{random.choice(given)[0]}{random.choice(family)}{random.randrange(10, 100)}".lower()
    return ("@" if value.startswith("@") else "") + like(value, made)
