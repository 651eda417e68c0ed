"""Stable ids of conversations and customers that reveal nothing personal: the source's id if harmless, else an HMAC."""

import hmac
import re
from collections.abc import Iterable

import orjson

# Ids appear in the clean zone, in logs and in URLs. "/" is excluded: it separates copies and windows in a row id.
PLAIN_ID = re.compile(r"[A-Za-z0-9._:#-]{1,80}")
NOBODY = frozenset(["", "-", "n/a", "na", "nan", "none", "null", "unknown", "anonymous", "guest"])


def keyed(key: bytes, kind: str, value: str) -> str:
    """Return the HMAC-SHA256 of (kind, value), 64 hex digits."""
    return hmac.digest(key, f"{kind}\x1f{value}".encode(), "sha256").hex()


def scalar(value: object) -> str:
    """Return a string or number as stripped text; empty for anything else. 17.0 is 17: exports turn ids into floats."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_plain(text: str) -> bool:
    """Check that `text` can be shown: short, of simple characters, and unlike a phone, account or card number."""
    if not PLAIN_ID.fullmatch(text):
        return False
    return any(map(str.isalpha, text)) or sum(map(str.isdigit, text)) < 7


def conversation_id(text: str, key: bytes, known: Iterable[str] = (), hide: bool = False) -> str:
    """Return the source's id if it is plain and contains no value of `known`, else `h-` + 24 hex digits."""
    if not hide and is_plain(text) and not _holds(text, known):
        return text
    return f"h-{keyed(key, 'conversation_id', text)[:24]}"


def content_id(content: object, occurrence: int, key: bytes) -> str:
    """Return the id of a record without one: `c-` + 24 hex digits of its content, whatever the order of records."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    return f"c-{keyed(key, 'content', f'{text}{chr(31)}{occurrence}')[:24]}"


def customer_keys(values: Iterable[tuple[str, str]], key: bytes) -> list[str]:
    """Return the sorted distinct HMACs of (kind, value) pairs; kinds are id, email and phone.

    Values such as "guest" are skipped, or all guests would become one customer.
    """
    normal = {(kind, _normalise(kind, value)) for kind, value in values}
    return sorted(keyed(key, kind, value) for kind, value in normal if value.lower() not in NOBODY)


def _normalise(kind: str, value: str) -> str:
    if kind == "phone":
        digits = "".join(re.findall(r"[0-9]", value))
        return digits[-10:] if len(digits) >= 6 else ""
    return value.strip().lower() if kind == "email" else value.strip()


def _holds(text: str, known: Iterable[str]) -> bool:
    """Check that an id contains a known value of four characters or six digits, ignoring punctuation."""
    squeezed = _squeeze(text)
    values = (_squeeze(value) for value in known)
    return any(value in squeezed for value in values if len(value) >= (6 if value.isdigit() else 4))


def _squeeze(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()
