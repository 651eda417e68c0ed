"""Invent the people of the log and their personal data: names, addresses, cards and accounts that do not exist.

Cards pass the Luhn check and IBANs their checksum, so that detectors which verify them are exercised. Phone numbers are
in the ranges reserved for fiction (555-01xx, Ofcom's and the Bundesnetzagentur's), e-mail addresses at reserved
domains, IP addresses in the documentation networks, and cards in the test ranges of payment providers.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random


def _words(text: str) -> list[str]:
    """Split `text` into words; lists of names are more readable as text."""
    return text.split()


FIRST_NAMES = _words("""
    Maria James Aisha Wei Olga Carlos Priya John Fatima Hiroshi Emma Liam Noah Olivia Ava Sophia Lucas Mia Ethan
    Amelia Henry Grace Daniel Chloe Samuel Zoe Isaac Ruby Oscar Freya Callum Isla Angus Niamh Sean Aoife Declan
    Siobhán Rhys Megan Gareth Carys Pierre Camille Élodie Luc Margaux Antoine Hélène Benoît José Lucía Mateo Sofía
    Andrés Inés Javier Pilar Joaquín Marisol Giulia Matteo Chiara Lorenzo Paola Enzo João Beatriz Tiago Leonor Thiago
    Larissa Jürgen Anke Lukas Hannah Björn Käthe Stefan Ulrike Lars Ingrid Søren Astrid Mikkel Freja Eero Aino Jussi
    Katarzyna Piotr Agnieszka Marek Zuzana Tomáš Ivana Dragan Milica Nikola Elena Dimitri Yannis Katerina Mehmet Elif
    Emre Zeynep Ahmed Layla Omar Yasmin Hassan Noor Tariq Samira Reza Shirin Arash Leila Rohan Ananya Vikram Deepa
    Arjun Kavita Sanjay Meera Imran Nadia Li Mei Jun Xiu Chen Yuki Haruto Sakura Kenji Min-jun Ji-woo Seo-yeon Linh
    Minh Thuy Kwame Ama Chidi Ngozi Adebayo Folake Thabo Lerato Wanjiru Kofi Tane Aroha Keoni Leilani Malia Dakota
    Marcus Tanya Darnell Keisha Brooke Tyler Kayla Wyatt
""")
LAST_NAMES = _words("""
    Lopez Smith Khan Zhang Ivanova Garcia Sharma Miller Hassan Tanaka Johnson Williams Brown Jones Davis Wilson
    Anderson Taylor Moore Jackson Martin Lee Thompson White Harris Clark Lewis Robinson Walker Hall Allen Wright Scott
    Green Baker Adams Nelson Carter Mitchell Turner Phillips Campbell Parker Evans Edwards Collins Stewart Morris
    Rogers Reed Cook Morgan Bell Murphy Bailey Cooper Richardson Cox Howard Ward Brooks Watson Kelly Sanders Price
    Bennett Wood Barnes Ross Henderson Coleman Jenkins Perry Powell Long Hughes Flores Washington Butler O'Brien
    O'Connor Byrne Gallagher Doyle Macleod Fraser Drummond Llewellyn Pritchard Dubois Lefèvre Moreau Girard Fournier
    Rousseau Bélanger Núñez Fernández Martínez Sánchez Ortega Castillo Ibáñez Delgado Romero Vega Rossi Bianchi
    Esposito Ricci Conti Marino Silva Pereira Carvalho Gonçalves Azevedo Müller Schäfer Schneider Weiß Köhler Becker
    Krüger Vogel Jensen Sørensen Lindqvist Håkansson Nilsson Virtanen Korhonen Kowalski Nowak Wiśniewska Zieliński
    Novák Dvořák Horvat Petrović Jovanović Popescu Ionescu Papadopoulos Nikolaidis Yılmaz Demir Kaya Öztürk Haddad
    Mansour Farouk Nasser Rahimi Hosseini Tehrani Patel Gupta Reddy Iyer Banerjee Chatterjee Malik Qureshi Siddiqui
    Chowdhury Wang Liu Huang Zhou Xu Sato Suzuki Nakamura Watanabe Kobayashi Kim Park Choi Jung Nguyen Tran Pham
    Santos Reyes Cruz Bautista Okafor Adeyemi Mensah Boateng Nkosi Dlamini Kamau Mwangi Abebe Tesfaye Kahananui Ngata
    Begay Whitehorse Rosenberg Goldstein Katz Levy Feldman Abramov Petrov Sokolova Volkov Kravchenko Shevchenko
    Castellanos Montgomery Whitaker Ashworth Pemberton Hawthorne Blackwood Sinclair Templeton
""")
STREETS = _words("""
    Alder Birch Chestnut Dogwood Elm Fern Grove Harbor Hillcrest Juniper Kingsley Laurel Magnolia Meadow Mill
    Northfield Oak Orchard Park Pine Quarry Ridge River Spruce Station Sycamore Tanner Union Valley Walnut Willow
    Winslow Church Bridge Clover Canal Foundry Heron Lakeview Marlow Copper Poplar Rosewood Saddler Thistle Vineyard
    Weaver Windmill Abbey Brook
""")
STREET_KINDS = _words("Street Lane Avenue Road Drive Court St Ave Rd Way Place Blvd")
GERMAN_STREETS = ["Lindenstraße", "Gartenweg", "Bahnhofstraße", "Am Mühlbach", "Schillerstr.", "Rosenweg", "Hafengasse"]
CITIES = {
    "US": _words(
        "Portland Madison Springfield Austin Boulder Raleigh Tucson Omaha Savannah Dayton Fresno Albany Spokane "
        "Mobile Duluth Reno Topeka Eugene Macon Lowell"
    ),
    "GB": _words("Leeds Bristol Sheffield Nottingham Cardiff Glasgow Exeter Norwich Preston Durham"),
    "DE": _words("Hamburg Köln Leipzig Mainz Bremen Kassel Ulm Dresden"),
}
MAIL_DOMAINS = _words("""
    example.com example.com example.org example.net mail.example post.example inbox.example kestrelworks.example
    oakhurst.example
""")
US_AREAS = _words("""
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252
    253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320
    321 323 325 330 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417
    419 423 424 425 430 432 434 435 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516
    517 518 520 530 540 541 559 561
""")
GB_PREFIXES = ["20 7946", "113 496", "114 496", "115 496", "117 496", "121 496", "131 496", "141 496", "161 496"]
DE_PREFIXES = ["30 23125", "69 90009", "40 66969", "89 99998"]
CARD_PREFIXES = _words("411111 424242 400000 401288 555555 510510 222300 378282 371449")
SYLLABLES = _words("ba do ka lu mi no pe ra si ta vo zu fen gar hol jas kor lem nim pol quin rus tam wex")
PASSWORD_WORDS = _words("""
    Sunset Tiger Maple Rocket Pepper Harley Summer Dragon Cookie Winter Banjo Comet Garden Puzzle
""")


@dataclass(frozen=True)
class Persona:
    """A customer: identity, personal data and writing style."""

    id: str
    country: str
    first: str
    last: str
    email: str
    phone: str
    dob: str
    street: str
    city: str
    zip_code: str
    account: str
    username: str
    opted_out: bool
    lower_case: bool
    sloppy: bool
    emoji: bool
    signature: int

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


def fold(text: str) -> str:
    """Return a name in lower-case ASCII letters, as used in e-mail addresses."""
    text = text.replace("ß", "ss").replace("ø", "o").replace("ı", "i").replace("ł", "l")
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(mark for mark in decomposed if mark.isascii() and mark.isalpha())


def invent_customer(seed: int, number: int) -> Persona:
    """Return the `number`-th customer; name, e-mail and phone are unique below 30,000, the e-mail always."""
    rng = Random(f"{seed}/customer/{number}")
    names = len(FIRST_NAMES) * len(LAST_NAMES)
    lap, combination = number // names, (number * 7919 + seed * 101) % names
    first, last = FIRST_NAMES[combination // len(LAST_NAMES)], LAST_NAMES[combination % len(LAST_NAMES)]
    country = "DE" if number % 14 == 5 else "GB" if number % 7 == 3 else "US"
    street, zip_code = invent_address(rng, country)
    digits = str(99 + lap) if lap else rng.choice(["", "", str(rng.randint(10, 99))])
    return Persona(
        id=f"C-{20000 + number}",
        country=country,
        first=first,
        last=last,
        email=f"{fold(first)}{rng.choice('.._')}{fold(last)}{digits}@{rng.choice(MAIL_DOMAINS)}",
        phone=_phone(country, number),
        dob=f"{rng.randint(1946, 2006)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        street=street,
        city=rng.choice(CITIES[country]),
        zip_code=zip_code,
        account=str(rng.randint(2_100_000_000, 9_899_999_999)),
        username=rng.choice(SYLLABLES) + rng.choice(SYLLABLES) + rng.choice(["_", ".", ""]) + str(rng.randint(11, 998)),
        opted_out=rng.random() < 0.012,
        lower_case=rng.random() < 0.2,
        sloppy=rng.random() < 0.3,
        emoji=rng.random() < 0.2,
        signature=rng.randrange(5),
    )


def _phone(country: str, number: int) -> str:
    """Return a phone number from the fictional ranges, in international form, unique until the ranges are exhausted."""
    if country == "GB":
        turn, prefix = divmod(number // 7, len(GB_PREFIXES))
        return f"+44 {GB_PREFIXES[prefix]} 0{(turn * 37 + prefix * 11) % 1000:03}"
    if country == "DE":
        turn, prefix = divmod(number // 14, len(DE_PREFIXES))
        return f"+49 {DE_PREFIXES[prefix]}{(turn * 37 + prefix * 11) % 1000:03}"
    turn, area = divmod(number, len(US_AREAS))
    line = 100 + (turn * 37 + area * 13) % 100 if turn < 100 else turn * 37 % 10_000
    return f"+1 {US_AREAS[area]} 555 {line:04}"


def invent_address(rng: Random, country: str) -> tuple[str, str]:
    """Return a street with its number, and a postal code."""
    if country == "DE":
        return f"{rng.choice(GERMAN_STREETS)} {rng.randint(1, 140)}", f"{rng.randint(10115, 99000)}"
    street = f"{rng.randint(1, 999) if country == 'GB' else rng.randint(11, 9800)} {rng.choice(STREETS)}"
    street += f" {rng.choice(STREET_KINDS)}"
    if country == "GB":
        area = rng.choice(["LS", "BS", "S", "NG", "CF", "G", "EX", "NR", "PR", "DH"])
        return (
            street,
            f"{area}{rng.randint(1, 19)} {rng.randint(1, 9)}{rng.choice('ABDEFGHJLN')}{rng.choice('PQRSTUWXYZ')}",
        )
    if rng.random() < 0.2:
        street += rng.choice(
            [f", Apt {rng.randint(1, 40)}", f" #{rng.randint(2, 90)}", f", Unit {rng.choice('ABCDE')}"]
        )
    plus_four = f"-{rng.randint(1000, 9899)}" if rng.random() < 0.1 else ""
    return street, f"{rng.randint(1001, 99501):05}{plus_four}"


def invent_person(rng: Random) -> str:
    """Return the name of another person, such as a neighbour or relative who receives the parcel."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def luhn_digit(digits: str) -> str:
    """Return the check digit that makes `digits` pass the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def invent_card(rng: Random) -> str:
    """Return a card number of 16 digits (15 for American Express) that passes the Luhn check."""
    prefix = rng.choice(CARD_PREFIXES)
    length = 14 if prefix.startswith("37") else 15
    digits = prefix + "".join(rng.choices("0123456789", k=length - len(prefix)))
    return digits + luhn_digit(digits)


def invent_iban(rng: Random, country: str) -> str:
    """Return an IBAN with valid check digits (ISO 13616, modulo 97); US customers get a European one."""
    country = country if country != "US" else rng.choice(["DE", "ES", "FR", "NL", "GB"])
    length = {"DE": 18, "ES": 20, "FR": 23, "NL": 10, "GB": 14}[country]
    bank = {"NL": rng.choice(["NVLB", "KSTR"]), "GB": rng.choice(["NVBK", "OAKH"])}.get(country, "")
    account = bank + "".join(rng.choices("0123456789", k=length))
    number = "".join(str(int(mark, 36)) for mark in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02}{account}"


def invent_ssn(rng: Random) -> str:
    """Return a social security number of a valid area, never one of the well-known invalid numbers."""
    while True:
        area = rng.randint(1, 899)
        ssn = f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"
        if area != 666 and ssn not in ("123-45-6789", "078-05-1120", "219-09-9999"):
            return ssn


def invent_ip(rng: Random) -> str:
    """Return an address of the documentation networks (RFC 5737, RFC 3849)."""
    if rng.random() < 0.15:
        return f"2001:db8:{rng.randint(1, 0xFFFF):x}:{rng.randint(1, 0xFFFF):x}::{rng.randint(1, 0xFFF):x}"
    return rng.choice(["203.0.113", "198.51.100", "192.0.2"]) + f".{rng.randint(1, 254)}"


def invent_license(rng: Random) -> str:
    """Return a driver's licence number in the format of California (letter, 7 digits) or Florida (letter, 12)."""
    letter = rng.choice("ABCDEFGHKLMNPRSTW")
    if rng.random() < 0.6:
        return f"{letter}{rng.randint(1_000_000, 9_999_999)}"
    return f"{letter}{rng.randint(100, 999)}-{rng.randint(100, 999)}-{rng.randint(50, 99)}-{rng.randint(100, 999)}-0"


def invent_password(rng: Random) -> str:
    """Return a typical password: a word with digits and signs."""
    word, mark = rng.choice(PASSWORD_WORDS), rng.choice(["", "_", "-", "!"])
    return f"{word}{mark}{rng.randint(10, 9999)}{rng.choice(['', '!', '#', '$'])}"
