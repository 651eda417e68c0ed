"""A record as a file holds it, and how its fields are reached."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

# What Python raises for a value that is too odd for what it is taken for, such as a number of 5,000 digits.
ODD_VALUE = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)


class Person(NamedTuple):
    """Somebody whom a source describes beside its conversations.

    Attributes:
        role: `end-user`, `agent` or `admin` where the source says so, else None.
        names: the ways that the person is called.
        email, phone: empty where unknown.
    """

    role: str | None
    names: tuple[str, ...]
    email: str
    phone: str


class Record(NamedTuple):
    """One record as it was found.

    Attributes:
        number: line, row or element of a document where it begins, from 1; "3.2" is the second of those in line 3.
        value: its fields, also those of a broken CSV row as far as they can be told; None if it cannot be read.
        reason: why it is rejected already, or None.
        raw: its bytes, at most the first 64 KiB of an overlong one.
        turns: its turns with the names of their fields as the source declares them, once they have been found.
        people: id -> whom the document around it describes.
        known: entity type -> personal values that the format tells of, beside the declared ones.
    """

    number: int | str
    value: dict[str, Any] | None
    reason: str | None
    raw: bytes
    turns: list[Any] | None = None
    people: Mapping[str, Person] = {}
    known: Mapping[str, list[str]] = {}


def lookup(value: Mapping[str, Any], path: str) -> Any:
    """The field called `path`, else what the dotted path leads to, else None."""
    found: Any = value.get(path)
    if found is not None or "." not in path:
        return found
    found = value
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def getter(paths: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """A function that returns the first of `paths` that is there."""
    if len(paths) == 1 and "." not in paths[0]:
        name = paths[0]
        return lambda value: value.get(name)
    return lambda value: next((found for path in paths if (found := lookup(value, path)) is not None), None)


def is_true(value: object) -> bool:
    """Whether a flag is set. Anything but an explicit no counts: a doubt is decided for the person who opted out."""
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
    """JSON again; empty where it is nested too deeply to be written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, or more than 254 levels
        try:
            return json.dumps(value).encode()
        except RecursionError:
            return b""
