"""The state of a conversation while it is generated: its scenario's rules, its facts, and its personal values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import personas
from disguise import Value, write_value
from grammar import Plot, Scenario, Slot, Template, read_scenario
from letters import Piece
from personas import Persona

CARRIERS = ["ParcelWing", "SwiftVan", "Northpost", "BlueRoute"]
PLACES = ["Kettering", "Millbrook", "Easton", "Harwell", "Stanford", "Langley", "Redmond", "Ashford"]
STORES = ["the Northgate store", "the Harbour store", "the Old Mill store", "the Riverside store"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
# Rules that keep their first wording throughout the conversation, such as when something was bought.
SAID_ONCE = {"when", "where_bought"}


class Repertoire:
    """The scenarios of a folder: English ones by intent, those in other languages, and shared rules and products."""

    def __init__(self, folder: Path) -> None:
        scenarios = {path.stem: read_scenario(path) for path in sorted(folder.glob("*.txt"))}
        self.common = scenarios.pop("common").rules
        self.products = scenarios.pop("products").plots
        self.foreign = [scenario for scenario in scenarios.values() if scenario.language != "en"]
        self.intents = {name: scenario for name, scenario in scenarios.items() if scenario.language == "en"}


class Scene:
    """The rules, picks, facts, personal values and disguises of a conversation."""

    def __init__(
        self, repertoire: Repertoire, scenario: Scenario, plot: Plot, customer: Persona, channel: str, rng: Random
    ) -> None:
        self.rng, self.customer, self.channel = rng, customer, channel
        self.rules = repertoire.common | scenario.rules
        self.known: dict[str, str | Value | Template] = {}
        self.product, self.second_product = rng.sample(repertoire.products, 2)
        self.forms: list[str] = []
        for names, rows in [*self.product.picks, *plot.picks]:
            row = rng.choice(rows)
            self.known.update(zip(names, row, strict=True))
        other = rng.choice([row for names, rows in self.product.picks if "question" in names for row in rows])
        self.known |= {"question2": other[0], "answer2": other[1]}

    def play(self, template: Template) -> list[Piece]:
        """Expand a template into pieces; personal values are written in a form of `self.forms`."""
        pieces: list[Piece] = []
        self._expand(template, pieces)
        return pieces

    def _expand(self, template: Template, pieces: list[Piece]) -> None:
        for node in template:
            if isinstance(node, str):
                pieces.append(Piece(node))
            elif isinstance(node, Slot):
                self._fill(node.name, pieces)
            else:
                self._expand(node[int(self.rng.random() * len(node))], pieces)

    def _fill(self, name: str, pieces: list[Piece]) -> None:
        rule = None if name in self.known else self.rules.get(f"{name}_{self.channel}") or self.rules.get(name)
        if rule:
            done = len(pieces)
            self._expand(rule[int(self.rng.random() * len(rule))], pieces)
            if name in SAID_ONCE:
                self.known[name] = "".join(piece.text for piece in pieces[done:])
            return
        fact = self._fact(name)
        if isinstance(fact, str):
            pieces.append(Piece(fact))
        elif isinstance(fact, Value):
            written, form = write_value(fact, self.rng, self.forms)
            pieces.append(Piece(written, fact.type, fact.text, form))
        else:
            self._expand(fact, pieces)

    def _fact(self, name: str) -> str | Value | Template:
        return self.known[name] if name in self.known else self.known.setdefault(name, FACTS[name](self))

    def value(self, name: str) -> Value:
        """Return the personal value called `name`; it is invented on first use."""
        fact = self._fact(name)
        if not isinstance(fact, Value):
            raise TypeError(f"{name} is not a personal value")
        return fact


def _customers(kind: str, attribute: str) -> Callable[[Scene], Value]:
    return lambda scene: Value(kind, getattr(scene.customer, attribute))


def _address(scene: Scene) -> Value:
    street, zip_code = personas.invent_address(scene.rng, scene.customer.country)
    scene.known["new_zip"] = Value("ZIP_CODE", zip_code)
    return Value("STREET_ADDRESS", street)


def _new_zip(scene: Scene) -> Value:
    scene.value("new_street")
    return scene.value("new_zip")


def _other_email(scene: Scene) -> Value:
    local, _, domain = scene.customer.email.partition("@")
    new_domain = scene.rng.choice([name for name in personas.MAIL_DOMAINS if name != domain])
    return Value("EMAIL_ADDRESS", f"{local}{scene.rng.randint(2, 98)}@{new_domain}")


FACTS: dict[str, Callable[[Scene], str | Value]] = {
    "name": _customers("PERSON", "name"),
    "first": _customers("PERSON", "first"),
    "last": _customers("PERSON", "last"),
    "email": _customers("EMAIL_ADDRESS", "email"),
    "phone": _customers("PHONE_NUMBER", "phone"),
    "dob": _customers("DATE_OF_BIRTH", "dob"),
    "street": _customers("STREET_ADDRESS", "street"),
    "zip": _customers("ZIP_CODE", "zip_code"),
    "account": _customers("ACCOUNT_NUMBER", "account"),
    "username": _customers("USERNAME", "username"),
    "city": lambda scene: scene.customer.city,
    "card": lambda scene: Value("CREDIT_CARD", personas.invent_card(scene.rng)),
    "iban": lambda scene: Value("IBAN_CODE", personas.invent_iban(scene.rng, scene.customer.country)),
    "ssn": lambda scene: Value("US_SSN", personas.invent_ssn(scene.rng)),
    "ip": lambda scene: Value("IP_ADDRESS", personas.invent_ip(scene.rng)),
    "password": lambda scene: Value("PASSWORD", personas.invent_password(scene.rng)),
    "license": lambda scene: Value("US_DRIVER_LICENSE", personas.invent_license(scene.rng)),
    "other": lambda scene: Value("PERSON", personas.invent_person(scene.rng)),
    "new_street": _address,
    "new_zip": _new_zip,
    "new_email": _other_email,
    "new_city": lambda scene: scene.rng.choice(personas.CITIES[scene.customer.country]),
    "item": lambda scene: scene.product.name,
    "item2": lambda scene: scene.second_product.name,
    "carrier": lambda scene: scene.rng.choice(CARRIERS),
    "place": lambda scene: scene.rng.choice(PLACES),
    "store": lambda scene: scene.rng.choice(STORES),
    "day": lambda scene: scene.rng.choice(DAYS),
    "past_day": lambda scene: scene.rng.choice(DAYS),
    "days": lambda scene: scene.rng.choice(["two", "three", "four", "five", "six"]),
    "units": lambda scene: scene.rng.choice(["five", "eight", "ten", "twelve", "fifteen", "twenty", "thirty"]),
}
