"""One record of a source and access to its fields."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

# Exceptions for values that cannot be converted, such as a number of 5,000 digits.
ODD_VALUE = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)


class Person(NamedTuple):
    """A person that a source describes beside its conversations.

    Attributes:
        role: `end-user`, `agent` or `admin`, or None where the source does not say.
        names: name and alias.
        email, phone: empty if unknown.
    """

    role: str | None
    names: tuple[str, ...]
    email: str
    phone: str


class Record(NamedTuple):
    """One record as it is in the source.

    Attributes:
        number: line, row or element of a document where it begins, from 1; "3.2" is the second record of line 3.
        value: its fields, including those of a broken CSV row that can be read; None if the record is unreadable.
        reason: why it has been rejected, or None.
        raw: its bytes; of an overlong record the first 64 KiB.
        turns: its turns, with fields named as the source declares them; None until its format is recognised.
        people: people described in the surrounding document, by id.
        known: entity type -> personal values that the format provides in addition to the declared ones.
    """

    number: int | str
    value: dict[str, Any] | None
    reason: str | None
    raw: bytes
    turns: list[Any] | None = None
    people: Mapping[str, Person] = {}
    known: Mapping[str, list[str]] = {}


def lookup(value: Mapping[str, Any], path: str) -> Any:
    """Return the field named `path`, else the field at that dotted path, else None."""
    part: Any = value.get(path)
    if part is not None or "." not in path:
        return part
    part = value
    for name in path.split("."):
        if not isinstance(part, Mapping):
            return None
        part = part.get(name)
    return part


def getter(paths: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """Return a function that looks up the first of `paths` that is present."""
    if len(paths) == 1 and "." not in paths[0]:
        name = paths[0]
        return lambda value: value.get(name)
    return lambda value: next((cell for path in paths if (cell := lookup(value, path)) is not None), None)


def is_true(value: object) -> bool:
    """Check that a flag is set. Any value but an explicit no counts, so that no opt-out is missed."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            if part.strip().lower() not in ("", "0", "0.0", "false", "f", "no", "n", "off", "none", "null", "nan"):
                return True
        elif part:
            return True
    return False


def dump(value: Any) -> bytes:
    """Serialise a value as JSON; empty if it is nested too deeply."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, or more than 254 levels
        try:
            return json.dumps(value).encode()
        except RecursionError:
            return b""
