"""The pseudonym of a value, by its type: the same for the same value and key, in every conversation."""

from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from tasks.scrub.replacement import numbers
from tasks.scrub.replacement.people import PERSON, TRIES, WORD, email, names, person, username
from tasks.scrub.replacement.places import address
from tasks.scrub.replacement.shapes import like, normal, reshape

Maker = Callable[[str, Random], str]


def pseudonym(entity: str, value: str, whole: str, seed: Callable[..., int], check: Callable[[str], int]) -> str:
    """Something like the value that belongs to nobody, where there is a range for it.

    Args:
        entity: its type.
        value: how it reads where it stands.
        whole: what it is a part or a spelling of.
        seed: a number that depends on key, type and whole value, and on what it is given.
        check: a number that depends on the key and what it is given.
    Returns:
        A text in the same case and shape that is not the value.
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
    """Words for words; letters and digits for what has a digit in it."""
    if any(map(str.isdigit, value)) or not WORD.search(value):
        return reshape(random, value)
    return WORD.sub(lambda match: like(match[0], random.choice(_words())), value)


def organization(value: str, random: Random) -> str:
    """A company named for a family."""
    from faker.providers.company.en_US import Provider

    listed: Any = Provider
    return like(value, f"{random.choice(names()[1])} {random.choice(tuple(listed.company_suffixes))}")


def url(value: str, random: Random) -> str:
    """A page of a domain that nobody has."""
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
