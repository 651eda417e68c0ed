"""Records of the quarantine that are a person's, though nothing could read them.

A record counts as theirs by a whole identifier alone, never by a word that happens to stand in it:

    a field    the complete value of a field that the source declares (`customer`, `conversation_id`, `known`), as far
               as the record can be followed as JSON: `{"customer": {"id": "C-17", "tur`
    a token    an e-mail address; a phone number; and, if the store has read it as the person's elsewhere, an id that
               cannot be a word (digits and some length). A short one counts only as a whole cell of a line.

An id that the store has never read, and a name, count as the value of a declared field only.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deskloop.erase.search import CUSTOMER_TYPES, QUARANTINE, Asked, Person, parts, read_part
from deskloop.store.store import Store

KINDS = {"id": "customer id", "email": "e-mail", "phone": "phone", "conversation": "conversation id"}
PHONE_DIGITS = 9  # of a number that can be a phone wherever it stands
SHORTEST_CELL = 4
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_EMAIL = re.compile(r"(?<![\w.+-])[.+-]*([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")  # starts once in a run of letters
_SEPARATOR = r"[ ().\-/\u00a0]{0,3}"
_CELL = re.compile(r'[",;\t|\r\n]+')


@dataclass(frozen=True)
class Match:
    """A record of the quarantine that holds an identifier of the person.

    Attributes:
        row_id: `file:line`, as in the rejects of the source.
        why: kind of the identifier and where it stands; none of the record's text.
    """

    row_id: str
    why: str
    raw: bytes

    def as_dict(self) -> dict[str, str]:
        """For the user."""
        return {"row_id": self.row_id, "why": self.why}


def unreadable(store: Store, person: Person, asked: Asked) -> list[Match]:
    """The records of the quarantine that are the person's, each with its reason."""
    if not store.exists("raw", QUARANTINE):
        return []
    judge = _judge(person, asked)
    found: dict[tuple[str, bytes], str] = {}
    for path in parts(store, "raw", QUARANTINE):
        rows = read_part(path, ["row_id", "raw"])
        for row_id, raw in zip(rows["row_id"].to_pylist(), rows["raw"].to_pylist(), strict=True):
            if raw is not None and (row_id, raw) not in found and (why := judge(raw)):
                found[row_id, raw] = why
    return [Match(row_id, why, raw) for (row_id, raw), why in sorted(found.items())]


def fields(text: str) -> Iterator[tuple[str, str]]:
    """(dotted path, value) of every complete string and number of a text, read as JSON as far as it goes.

    What is cut off at the end is no value: `"customer_id": 12` may have been 1234.
    """
    path: list[str | None] = []  # the key at each level of objects; None in a list, and before the first key
    key: str | None = None
    tokens = list(_TOKEN.finditer(text))
    for place, found in enumerate(tokens):
        token = found[0]
        following = tokens[place + 1][0] if place + 1 < len(tokens) else ""
        if token in "{[":
            path.append(key)
            key = None
        elif token in "}]":
            if path:
                path.pop()
            key = None
        elif token == ",":
            key = None
        elif token == ":":
            continue
        elif following == ":" and token.startswith('"'):
            key = _string(token)
        elif key is not None or path:
            value = _string(token) if token.startswith('"') else _number(token) if following else None
            if value is not None:
                yield ".".join(one for one in (*path, key) if one is not None), value


def _judge(person: Person, asked: Asked) -> Callable[[bytes], str]:
    """A function that gives the reason why a record is the person's; empty: it is not."""
    theirs = person.customers | person.own
    names = person.conversations | asked.conversations
    known = {
        _folded(value): kind
        for kind, values in person.values.items()
        for value in values
        if kind in CUSTOMER_TYPES or _points(value)
    }
    texts = _tokens(person, asked)
    phones, cells = _phones(person, asked), {text: kind for text, kind in texts.items() if len(text) >= SHORTEST_CELL}
    whole = _pattern([text for text in texts if _is_distinctive(text)])

    def by_field(text: str) -> str:
        for path, value in fields(text):
            for kind in sorted(_declared(asked, path)):
                identities = asked.identify(kind, value)
                if kind == "conversation" and not names.isdisjoint(identities | {value}):
                    return f"{KINDS[kind]} in the field {path}"
                if kind in KINDS and not theirs.isdisjoint(identities):
                    return f"{KINDS[kind]} in the field {path}"
                if kind == "known" and _folded(value) in known:
                    return f"{known[_folded(value)]} in the field {path}"
        return ""

    def by_token(text: str) -> str:
        for found in _EMAIL.finditer(text):
            if not theirs.isdisjoint(asked.identify("email", found[1])):
                return KINDS["email"]
        folded = _folded(text)
        if phones is not None and phones.search(folded):
            return KINDS["phone"]
        if whole is not None and (token := whole.search(folded)):
            return texts[token[0]]
        if not folded.lstrip().startswith(("{", "[")):
            return next((cells[cell] for one in _CELL.split(folded) if (cell := one.strip()) in cells), "")
        return ""

    def judge(raw: bytes) -> str:
        return next((why for text in _readings(raw) if (why := by_field(text) or by_token(text))), "")

    return judge


def _declared(asked: Asked, path: str) -> frozenset[str]:
    """What the sources declare to stand in a field, or in one that it is inside of."""
    names = path.split(".")
    found = (asked.declared.get(".".join(names[:end])) for end in range(len(names), 0, -1))
    return next(filter(None, found), frozenset())


def _points(value: str) -> bool:
    """Whether a value of any type points to one person: several words, or a number of some length."""
    return len(value.split()) > 1 or (len(value) >= 6 and any(map(str.isdecimal, value)))


def _tokens(person: Person, asked: Asked) -> dict[str, str]:
    """Ids that the store has read as the person's, folded -> kind; nothing that could be a word or a name."""
    found = {_folded(name): KINDS["conversation"] for name in person.conversations}
    for kind, values in person.values.items():
        if kind not in ("EMAIL_ADDRESS", "PHONE_NUMBER"):
            found |= {_folded(value): KINDS.get(CUSTOMER_TYPES.get(kind, ""), kind) for value in values}
    for text in asked.values:
        if not person.seen.isdisjoint(asked.identify("id", text)):
            found[_folded(text)] = KINDS["id"]
    return {text: kind for text, kind in found.items() if _has_digit(text) and len(text.split()) == 1}


def _phones(person: Person, asked: Asked) -> re.Pattern[str] | None:
    """A pattern for numbers that are the person's phone, with any separators.

    One that was asked for and that the store has not read must have its country code: +1 415 555 0100.
    """
    told = [
        text
        for text in asked.values
        if text.startswith("+") or not person.seen.isdisjoint(asked.identify("phone", text))
    ]
    numbers = set()
    for text in (*told, *person.values.get("PHONE_NUMBER", ())):
        digits = "".join(re.findall("[0-9]", text))
        if len(digits) >= PHONE_DIGITS and not any(map(str.isalpha, text)):
            numbers.add(digits[-10:])
    if not numbers:
        return None
    bodies = "|".join(_SEPARATOR.join(digits) for digits in sorted(numbers))
    return re.compile(rf"(?<![\w.])(?:\+?[0-9]{{1,4}}{_SEPARATOR})?\(?(?:{bodies})(?!\w|[.][0-9])")


def _pattern(texts: Sequence[str]) -> re.Pattern[str] | None:
    if not texts:
        return None
    edge = r"[\w.@-]"  # an id goes on after a hyphen, so HD-10 is not in HD-10-7
    bodies = "|".join(re.escape(text) for text in sorted(texts, key=lambda text: (-len(text), text)))
    return re.compile(rf"(?<!{edge})(?:{bodies})(?!\w|[.@-]\w)")


def _is_distinctive(text: str) -> bool:
    """Whether an id cannot be a word, a product or a date: digits and some length."""
    digits = sum(map(str.isdecimal, text))
    if re.match(r"(19|20)[0-9]{2}[-/.]?[01][0-9]", text):
        return False
    if digits == len(text):
        return digits >= PHONE_DIGITS
    return (digits >= 3 and len(text) >= 6) or (digits >= 1 and len(text) >= 12)


def _has_digit(text: str) -> bool:
    return any(map(str.isdecimal, text)) and (any(map(str.isalpha, text)) or _is_distinctive(text))


def _string(token: str) -> str | None:
    try:
        value: Any = json.loads(token, strict=False)
    except ValueError:
        value = token[1:-1]
    return value.strip() if isinstance(value, str) else None


def _number(token: str) -> str | None:
    """A number as an id: 17.0 is 17, since exports make floats of ids."""
    try:
        value = float(token)
    except ValueError:
        return None
    return token if not value.is_integer() or token.lstrip("-").isdecimal() else str(int(value))


def _readings(raw: bytes) -> Iterator[str]:
    """A record's bytes as text: as they are, with JSON's escapes resolved, and in the encoding that fits anything."""
    text = raw.decode("utf-8", "replace")
    yield text
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    if "\ufffd" in text:
        yield raw.decode("latin-1")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
