"""Search for a person's records in the quarantine of unreadable records.

A record is theirs only if it contains a complete identifier, never because of a single word:

    a field    the complete value of a field that the source declares (`customer`, `conversation_id`, `known`), if the
               record up to it is valid JSON: `{"customer": {"id": "C-17", "tur`
    a token    an e-mail address; a phone number; or an id that the store has read as the person's elsewhere and that
               cannot be a word (digits and a minimum length). A shorter id counts only as a complete cell of a line.

Names, and ids that the store has never read, count only as the value of a declared field.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deskloop.erase.search import CUSTOMER_TYPES, QUARANTINE, ErasureRequest, Person, parts, read_part
from deskloop.store.store import Store

KINDS = {"id": "customer id", "email": "e-mail", "phone": "phone", "conversation": "conversation id"}
PHONE_DIGITS = 9  # of a number that counts as a phone in any context
SHORTEST_CELL = 4
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_EMAIL = re.compile(r"(?<![\w.+-])[.+-]*([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")  # starts once in a run of letters
_SEPARATOR = r"[ ().\-/\u00a0]{0,3}"
_CELL = re.compile(r'[",;\t|\r\n]+')


@dataclass(frozen=True)
class Match:
    """A record of the quarantine that contains an identifier of the person.

    Attributes:
        row_id: `file:line`, as in the rejects of the source.
        why: kind and location of the identifier, without text of the record.
    """

    row_id: str
    why: str
    raw: bytes

    def as_dict(self) -> dict[str, str]:
        """Return row id and reason for the user."""
        return {"row_id": self.row_id, "why": self.why}


def unreadable(store: Store, person: Person, request: ErasureRequest) -> list[Match]:
    """Find the person's records in the quarantine, each with its reason."""
    if not store.exists("raw", QUARANTINE):
        return []
    reason_of = _matcher(person, request)
    reasons: dict[tuple[str, bytes], str] = {}
    for path in parts(store, "raw", QUARANTINE):
        rows = read_part(path, ["row_id", "raw"])
        for row_id, raw in zip(rows["row_id"].to_pylist(), rows["raw"].to_pylist(), strict=True):
            if raw is not None and (row_id, raw) not in reasons and (why := reason_of(raw)):
                reasons[row_id, raw] = why
    return [Match(row_id, why, raw) for (row_id, raw), why in sorted(reasons.items())]


def fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, value) of every complete string and number of a text that begins as JSON.

    A truncated value at the end is skipped: `"customer_id": 12` may have been 1234.
    """
    path: list[str | None] = []  # the key at each level of objects; None in a list, and before the first key
    key: str | None = None
    tokens = list(_TOKEN.finditer(text))
    for position, match in enumerate(tokens):
        token = match[0]
        following = tokens[position + 1][0] if position + 1 < len(tokens) else ""
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
                yield ".".join(name for name in (*path, key) if name is not None), value


def _matcher(person: Person, request: ErasureRequest) -> Callable[[bytes], str]:
    """Return a function that gives the reason why a record is the person's, or "" if it is not."""
    theirs = person.customers | person.person_keys
    names = person.conversations | request.conversations
    known = {
        _folded(value): kind
        for kind, values in person.values.items()
        for value in values
        if kind in CUSTOMER_TYPES or _is_personal(value)
    }
    texts = _tokens(person, request)
    phones, cells = _phones(person, request), {text: kind for text, kind in texts.items() if len(text) >= SHORTEST_CELL}
    whole = _pattern([text for text in texts if _is_distinctive(text)])

    def by_field(text: str) -> str:
        for path, value in fields(text):
            for kind in sorted(_declared(request, path)):
                identities = request.identify(kind, value)
                if kind == "conversation" and not names.isdisjoint(identities | {value}):
                    return f"{KINDS[kind]} in the field {path}"
                if kind in KINDS and not theirs.isdisjoint(identities):
                    return f"{KINDS[kind]} in the field {path}"
                if kind == "known" and _folded(value) in known:
                    return f"{known[_folded(value)]} in the field {path}"
        return ""

    def by_token(text: str) -> str:
        for match in _EMAIL.finditer(text):
            if not theirs.isdisjoint(request.identify("email", match[1])):
                return KINDS["email"]
        folded = _folded(text)
        if phones is not None and phones.search(folded):
            return KINDS["phone"]
        if whole is not None and (token := whole.search(folded)):
            return texts[token[0]]
        if not folded.lstrip().startswith(("{", "[")):
            return next((cells[cell] for cell in map(str.strip, _CELL.split(folded)) if cell in cells), "")
        return ""

    return lambda raw: next((why for text in _readings(raw) if (why := by_field(text) or by_token(text))), "")


def _declared(request: ErasureRequest, path: str) -> frozenset[str]:
    """Return the kinds of identifier that the sources declare for a field or the closest field that contains it."""
    names = path.split(".")
    kinds = (request.declared.get(".".join(names[:end])) for end in range(len(names), 0, -1))
    return next(filter(None, kinds), frozenset())


def _is_personal(value: str) -> bool:
    """Return whether a value of any type identifies one person: several words, or a longer text with digits."""
    return len(value.split()) > 1 or (len(value) >= 6 and any(map(str.isdecimal, value)))


def _tokens(person: Person, request: ErasureRequest) -> dict[str, str]:
    """Return folded id -> kind, of ids that the store has read as the person's, without possible words or names."""
    ids = {_folded(name): KINDS["conversation"] for name in person.conversations}
    for kind, values in person.values.items():
        if kind not in ("EMAIL_ADDRESS", "PHONE_NUMBER"):
            ids |= {_folded(value): KINDS.get(CUSTOMER_TYPES.get(kind, ""), kind) for value in values}
    for text in request.values:
        if not person.seen.isdisjoint(request.identify("id", text)):
            ids[_folded(text)] = KINDS["id"]
    return {text: kind for text, kind in ids.items() if _has_digit(text) and len(text.split()) == 1}


def _phones(person: Person, request: ErasureRequest) -> re.Pattern[str] | None:
    """Return a pattern that matches the person's phone numbers with any separators.

    A requested number that the store has not read must include its country code: +1 415 555 0100.
    """
    requested = [
        text
        for text in request.values
        if text.startswith("+") or not person.seen.isdisjoint(request.identify("phone", text))
    ]
    numbers = set()
    for text in (*requested, *person.values.get("PHONE_NUMBER", ())):
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
    edge = r"[\w.@-]"  # an id may continue after a hyphen, so HD-10 does not match HD-10-7
    bodies = "|".join(re.escape(text) for text in sorted(texts, key=lambda text: (-len(text), text)))
    return re.compile(rf"(?<!{edge})(?:{bodies})(?!\w|[.@-]\w)")


def _is_distinctive(text: str) -> bool:
    """Return whether an id cannot be a word, a product or a date: it has digits and a minimum length."""
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
    """Return a number as an id: 17.0 gives 17, since exports convert ids to floats."""
    try:
        value = float(token)
    except ValueError:
        return None
    return token if not value.is_integer() or token.lstrip("-").isdecimal() else str(int(value))


def _readings(raw: bytes) -> Iterator[str]:
    """Yield a record's bytes as text: as UTF-8, with JSON's escapes resolved, and as Latin-1 if it is not UTF-8."""
    text = raw.decode("utf-8", "replace")
    yield text
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    if "\ufffd" in text:
        yield raw.decode("latin-1")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
