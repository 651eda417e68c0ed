"""A log with planted personal values, in every form that scrub must detect, and the values to search for."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tasks.scrub.quality.values import make
from tests.flows.desk import example_lines

GIVEN = (
    "Marlene", "Clifford", "Beatrix", "Rupert", "Winifred", "Desmond", "Harriet", "Leopold", "Cordelia", "Barnaby",
    "Ottilie", "Percival",
)  # fmt: skip
BEGINS = ("Ash", "Weth", "Pem", "Lock", "Fair", "Haver", "Raven", "Thack", "Winter", "Kest")  # of family names, with
ENDS = ("erby", "berton", "worth", "clough", "sham", "croft", "eray", "bourne", "wick", "holme")  # an end each
STREETS = ("Larkspur", "Thornbury", "Wisteria", "Hollowell", "Brackenridge", "Tanglewood", "Silverbirch", "Foxglove")
KINDS = ("Street", "Avenue", "Lane", "Road", "Drive")
TOWNS = ("Springfield, IL 62704", "Dunmore, PA 18512", "Salem, OR 97301", "Concord, NH 03301", "Boise, ID 83702")

SENTENCES: dict[str, tuple[str, ...]] = {
    "PERSON": ("My name is {}, by the way.", "Please put it under my name, {}."),
    "ADDRESS": ("My address is {}.", "Please send it to {}."),
    "PHONE_NUMBER": ("You can call me on {}.", "My phone number is {}."),
    "EMAIL_ADDRESS": ("You can write to {} too.", "My e-mail address is {}."),
    "CREDIT_CARD": ("I paid with card {}.", "My card number is {}."),
    "US_SSN": ("My social security number is {}.", "My SSN is {}."),
    "IBAN_CODE": ("My IBAN is {}.", "Please pay it back to {}."),
    "IP_ADDRESS": ("I log in from {}.", "The IP address was {}."),
    "US_DRIVER_LICENSE": ("My driver's license number is {}.", "My driver license is {}."),
    "ACCOUNT_NUMBER": ("My account number is {}.", "It is about account number {}."),
    "USERNAME": ("My username is {}.", "I log in with the user name {}."),
    "PASSWORD": ("My password is {}.", "The password I use is {}."),
}


@dataclass
class Log:
    """Lines of a log, and its planted values: name -> value; the names contain type, form and number only."""

    lines: list[bytes] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: str, written: str) -> None:
        """Add a value, both in its plain form and as written."""
        self.values[name] = value
        if written != value:
            self.values[f"{name} as written"] = written


def person(rng: np.random.Generator) -> str:
    begin, end = BEGINS[rng.integers(len(BEGINS))], ENDS[rng.integers(len(ENDS))]
    return f"{GIVEN[rng.integers(len(GIVEN))]} {begin}{end}"


def address(rng: np.random.Generator) -> str:
    street = f"{STREETS[rng.integers(len(STREETS))]} {KINDS[rng.integers(len(KINDS))]}"
    return f"{rng.integers(101, 9899)} {street}, {TOWNS[rng.integers(len(TOWNS))]}"


OWN: dict[str, Callable[[np.random.Generator], str]] = {
    "PERSON": person,
    "ADDRESS": address,
    "PHONE_NUMBER": lambda rng: f"+1 617 {rng.integers(210, 989)} {rng.integers(1000, 9999)}",
    "ACCOUNT_NUMBER": lambda rng: str(rng.integers(10**9, 10**10 - 1)),
    "US_DRIVER_LICENSE": lambda rng: f"{'ABCDFGHKLMST'[rng.integers(12)]}{rng.integers(10**6, 10**7 - 1)}",
}


def _value(entity: str, rng: np.random.Generator) -> str:
    return OWN[entity](rng) if entity in OWN else make(entity, rng)


def entities(value: str) -> str:
    return "".join(f"&#{ord(sign)};" if at % 2 else f"&#x{ord(sign):x};" for at, sign in enumerate(value))


def some_entities(value: str) -> str:
    return "".join(f"&#{ord(sign)};" if at % 3 == 1 else sign for at, sign in enumerate(value))


def tags(value: str) -> str:
    third = len(value) // 3
    return f"{value[:third]}<b>{value[third : 2 * third]}</b>{value[2 * third :]}"


def full_width(value: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in value)


def zero_width(value: str) -> str:
    return "\u200d".join(value) if len(value) < 12 else f"{value[:4]}\u200b{value[4:7]}\u200d{value[7:]}"


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "entities": entities,
    "some entities": some_entities,
    "tags": tags,
    "full width": full_width,
    "zero width": zero_width,
}


def planted_log(conversations: int, each: int = 4) -> Log:
    """Return conversations of the example log with values in sentences after what customers say, and elsewhere.

    Every fifth conversation mentions its customer, whom the source declares, without cue words; metadata, ids of
    conversations and unreadable lines contain values as well.
    """
    log, rng, number = Log(), np.random.default_rng(11), 0
    for at, content in enumerate(_conversations(conversations)):
        spoken = [turn for turn in content["turns"] if turn["role"] == "customer"]
        for position in range(each):
            entity = list(SENTENCES)[number % len(SENTENCES)]
            form = list(FORMS)[number // len(SENTENCES) % len(FORMS)]
            value, number = _value(entity, rng), number + 1
            written = FORMS[form](value)
            log.add(f"{entity} {form} {number}", value, written)
            if entity == "PERSON":
                log.values[f"surname {form} {number}"] = value.split()[-1]
            sentence = SENTENCES[entity][int(rng.integers(len(SENTENCES[entity])))].format(written)
            turn = spoken[position % len(spoken)]
            turn["text"] = f"{turn['text']} {sentence}"
        if at % 5 == 0:
            _name(content, log, rng, at)
        content["note"] = f"asked to be called on {(phone := _value('PHONE_NUMBER', rng))}"
        log.add(f"metadata {at}", phone, phone)
        if at % 40 == 0:
            content["conversation_id"] = _value("EMAIL_ADDRESS", rng)
            log.add(f"conversation id {at}", content["conversation_id"], content["conversation_id"])
        log.lines.append(json.dumps(content).encode())
    for at in range(3):
        mail = _value("EMAIL_ADDRESS", rng)
        log.add(f"unreadable {at}", mail, mail)
        log.lines.append(f'{{"conversation_id": "broken-{at}", "turns": [{{"text": "write to {mail}"'.encode())
    return log


def _name(content: dict[str, Any], log: Log, rng: np.random.Generator, at: int) -> None:
    """Give the conversation a customer whom the source declares, mentioned once without cue words."""
    name = f"Zelphina{at} Quarrington" if at % 2 else f"Quillon Varsavska{at}"
    name = "".join(character for character in name if not character.isdigit()) + "abcdefghij"[at // 5 % 10] * 2
    content["customer"]["name"] = name
    log.add(f"known {at}", name, name)
    content["turns"][-1]["text"] += f" Bye, {name.upper() if at % 3 else name}."


def _conversations(number: int) -> list[dict[str, Any]]:
    """Return conversations of the example log that ingest does not reject."""
    usable: list[dict[str, Any]] = []
    for line in example_lines(3 * number):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        turns = content.get("turns") or []
        customer = [turn for turn in turns if turn.get("role") == "customer" and turn.get("text")]
        if len(customer) > 1 and not content.get("no_training") and all(turn.get("text") for turn in turns):
            usable.append(content)
    return usable[:number]
