"""Pseudonyms by type: the same value and key give the same pseudonym in every conversation."""

from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from tasks.scrub.replacement import numbers
from tasks.scrub.replacement.addresses import address
from tasks.scrub.replacement.people import PERSON, TRIES, WORD, email, names, person, username
from tasks.scrub.replacement.shapes import like, normal, reshape

Maker = Callable[[str, Random], str]


def pseudonym(entity: str, value: str, whole: str, seed: Callable[..., int], check: Callable[[str], int]) -> str:
    """Return a pseudonym similar to the value, from a reserved range where one exists.

    Args:
        entity: the type of the value.
        value: the value as written in the text.
        whole: the value of which it is a part or another spelling.
        seed: returns a number that depends on key, type, whole value and the arguments.
        check: returns a number that depends on the key and the argument.
    Returns:
        A text of the same case and shape that differs from the value.
    """
    if entity == PERSON:
        return person(value, whole, seed)
    make: Maker = _MAKERS.get(entity, other)
    if entity == "EMAIL_ADDRESS":

        def make(value: str, random: Random) -> str:
            return email(value, random, check)

    made = value
    for attempt in range(TRIES):
        made = make(value, Random(seed(attempt)))
        if normal(entity, made) != normal(entity, value):
            break
    return made


def other(value: str, random: Random) -> str:
    """Replace words by other words, or letters and digits by others if the value contains a digit."""
    if any(map(str.isdigit, value)) or not WORD.search(value):
        return reshape(random, value)
    return WORD.sub(lambda match: like(match[0], random.choice(_words())), value)


def organization(value: str, random: Random) -> str:
    """Return a company name made of a surname and a suffix."""
    from faker.providers.company.en_US import Provider

    listed: Any = Provider
    return like(value, f"{random.choice(names()[1])} {random.choice(tuple(listed.company_suffixes))}")


def url(value: str, random: Random) -> str:
    """Return a page at a reserved domain."""
    scheme = value.partition("://")[0] if "://" in value else ""
    return f"{scheme}://www.example.com/{random.getrandbits(32):08x}".removeprefix("://")


@cache
def _words() -> tuple[str, ...]:
    from faker.providers.lorem.en_US import Provider

    return tuple(word for word in Provider.word_list if len(word) > 2)


_MAKERS: Mapping[str, Maker] = {
    "ADDRESS": address,
    "AGE": numbers.age,
    "CREDIT_CARD": numbers.card,
    "DATE_OF_BIRTH": numbers.date,
    "DATE_TIME": numbers.date,
    "IBAN_CODE": numbers.iban,
    "IP_ADDRESS": numbers.ip,
    "LOCATION": address,
    "MAC_ADDRESS": numbers.mac,
    "ORGANIZATION": organization,
    "PHONE_NUMBER": numbers.phone,
    "POSTCODE": numbers.postcode,
    "STREET_ADDRESS": address,
    "UK_NHS": numbers.nhs,
    "UK_NINO": numbers.nino,
    "UK_POSTCODE": numbers.postcode,
    "URL": url,
    "USERNAME": username,
    "US_ITIN": numbers.ssn,
    "US_SSN": numbers.ssn,
    "ZIP_CODE": numbers.postcode,
}
