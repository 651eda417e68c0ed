"""Generate the personal values to plant, from locales and formats that no part of the detector was built from.

Names and addresses are Faker's, from locales that the tagger is never trained on; numbers are drawn here, with valid
checksums.
"""

import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

LOCALES = ("hr_HR", "ro_RO", "hu_HU", "fi_FI", "pt_PT", "no_NO", "en_NZ", "en_IE", "fil_PH")
PHONES = (
    "+385 91 ### ####", "091 ### ####", "+40 721 ### ###", "0721 ### ###", "+36 20 ### ####", "+358 40 #######",
    "+351 912 ### ###", "912 ### ###", "+64 21 ### ####", "021 ### ####", "+353 87 ### ####", "087 ### ####",
    "+63 917 ### ####", "+47 412 ## ###", "412 ## ###", "(617) 2##-####", "617-2##-####", "617.2##.####",
    "+1 617 2## ####", "6172######",
)  # fmt: skip
CARDS = (("4", 16), ("51", 16), ("54", 16), ("37", 15), ("6011", 16))  # prefix and number of digits
IBANS = {
    "HR": "#" * 17, "RO": "@@@@" + "#" * 16, "HU": "#" * 24, "FI": "#" * 14, "PT": "#" * 21, "IE": "@@@@" + "#" * 14,
    "NO": "#" * 11,
}  # fmt: skip
LICENSES = ("@#######", "@###-###-##-###-#", "@###-####-####", "########", "### ### ###", "@########")
ACCOUNTS = ("########", "##########", "############", "##-####-#######-##", "#### #### ##", "###-######")
PINS = ("####", "####", "######")
SIGNS = "!?#*$%"
MAIL = ("posta.hr", "mail.ro", "freemail.hu", "kolumbus.fi", "sapo.pt", "online.no", "xtra.co.nz", "eircom.net")
DATES = ("{0:02d}/{1:02d}/{2}", "{2}-{1:02d}-{0:02d}", "{0} {3} {2}", "{3} {0}, {2}", "{0}.{1}.{2}", "{3} {0} {2}")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
UNACCENTED = {"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "æ": "ae", "Æ": "Ae"}  # NFKD does not decompose these


def make(entity: str, rng: np.random.Generator) -> str:
    """Return a value of a type in `MAKERS`; a generator in the same state gives the same value."""
    return MAKERS[entity](rng)


def plain(text: str) -> str:
    """Return the text in ASCII, as typed on another keyboard: c for č, o for ø."""
    text = "".join(UNACCENTED.get(character, character) for character in text)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _faker(rng: np.random.Generator) -> Any:
    faker = _of(LOCALES[rng.integers(len(LOCALES))])
    faker.seed_instance(int(rng.integers(2**32)))
    return faker


@cache
def _of(locale: str) -> Any:
    from faker import Faker

    return Faker(locale)


def _drawn(rng: np.random.Generator, form: str) -> str:
    """Return the form with a digit for every # and a capital letter for every @; the first digit is never 0."""
    digits = iter(rng.integers(1, 10, 1).tolist() + rng.integers(0, 10, len(form)).tolist())
    letters = iter(rng.integers(0, 26, len(form)).tolist())
    return "".join(
        str(next(digits)) if sign == "#" else chr(65 + next(letters)) if sign == "@" else sign for sign in form
    )


def _pick(rng: np.random.Generator, options: Any) -> Any:
    return options[rng.integers(len(options))]


def _typed(rng: np.random.Generator, text: str) -> str:
    return plain(text) if rng.random() < 0.6 else text


def _person(rng: np.random.Generator) -> str:
    faker = _faker(rng)
    first, last = faker.first_name(), faker.last_name()
    form = _pick(rng, ("{0} {1}", "{0} {1}", "{0} {1}", "{0}", "{1}, {0}", "{0} {2}. {1}"))
    return _typed(rng, form.format(first, last, chr(65 + int(rng.integers(26)))))


def _address(rng: np.random.Generator) -> str:
    text = _faker(rng).address()
    return _typed(rng, ", ".join(part.strip(" ,") for part in text.split("\n")))


def _email(rng: np.random.Generator) -> str:
    return f"{_username(rng)}@{_pick(rng, MAIL)}"


def _username(rng: np.random.Generator) -> str:
    faker = _faker(rng)
    first, last = (
        plain(name).lower().replace(" ", "").replace("'", "") for name in (faker.first_name(), faker.last_name())
    )
    form = _pick(rng, ("{0}.{1}", "{0}_{1}", "{1}{2}", "{0}{2}", "{3}{1}{2}", "{0}-{1}{2}"))
    return str(form.format(first, last, int(rng.integers(10, 99)), first[:1]))


def _password(rng: np.random.Generator) -> str:
    word = plain(_faker(rng).last_name()).replace(" ", "").replace("'", "")
    number = int(rng.integers(10, 9999))
    return str(_pick(rng, ("{0}{1}{2}", "{0}{2}{1}", "{1}{0}{2}", "{0}{1}")).format(word, number, _pick(rng, SIGNS)))


def _card(rng: np.random.Generator) -> str:
    prefix, length = _pick(rng, CARDS)
    body = prefix + _drawn(rng, "#" * (length - len(prefix) - 1))
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(body))]
    number = body + str(-sum(digit // 10 + digit % 10 for digit in doubled) % 10)  # ISO/IEC 7812, Luhn
    groups = (
        [number[at : at + 4] for at in range(0, 16, 4)] if length == 16 else [number[:4], number[4:10], number[10:]]
    )
    return str(_pick(rng, (" ", "-", "")).join(groups))


def _iban(rng: np.random.Generator) -> str:
    country = _pick(rng, sorted(IBANS))
    body = _drawn(rng, IBANS[country])
    check = 98 - int("".join(str(int(sign, 36)) for sign in f"{body}{country}00")) % 97  # ISO 13616
    number = f"{country}{check:02d}{body}"
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4)) if rng.random() < 0.6 else number


def _ssn(rng: np.random.Generator) -> str:
    numbers = int(rng.integers(100, 650)), int(rng.integers(11, 99)), int(rng.integers(1001, 9998))
    return "{1}{0}{2}{0}{3}".format(_pick(rng, ("-", "-", " ")), *numbers)


def _ip(rng: np.random.Generator) -> str:
    if rng.random() < 0.2:
        return "2001:db8:" + ":".join(f"{group:x}" for group in rng.integers(1, 2**16, 6))
    return ".".join(str(octet) for octet in rng.integers(11, 223, 4))


def _birth(rng: np.random.Generator) -> str:
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(1935, 2007))
    return str(_pick(rng, DATES).format(day, month, year, MONTHS[month - 1]))


Maker = Callable[[np.random.Generator], str]
MAKERS: dict[str, Maker] = {
    "ACCOUNT_NUMBER": lambda rng: _drawn(rng, _pick(rng, ACCOUNTS)),
    "ADDRESS": _address,
    "AGE": lambda rng: str(rng.integers(18, 95)),
    "CREDIT_CARD": _card,
    "DATE_OF_BIRTH": _birth,
    "EMAIL_ADDRESS": _email,
    "IBAN_CODE": _iban,
    "IP_ADDRESS": _ip,
    "PASSWORD": _password,
    "PERSON": _person,
    "PHONE_NUMBER": lambda rng: _drawn(rng, _pick(rng, PHONES)),
    "PIN": lambda rng: _drawn(rng, _pick(rng, PINS)),
    "US_DRIVER_LICENSE": lambda rng: _drawn(rng, _pick(rng, LICENSES)),
    "US_SSN": _ssn,
    "USERNAME": _username,
    "ZIP_CODE": lambda rng: _faker(rng).postcode(),
}
