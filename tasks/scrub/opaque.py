"""Identifiers beside the texts: kept or replaced whole, since half an identifier is neither of use nor private.

`00e7c4821947` may hold what looks like a house number. Such a string is opaque: a guess about a part of it counts for
nothing. What is certain to be personal in it (a declared value, an address, a valid card number) takes all of it.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

from tasks.scrub.span import Span

CERTAIN = 1.0  # score of what a checksum proves or the source knows
HEX = 32  # digits of an identifier's hash: 128 bits, so that no two identifiers meet

_OPAQUE = re.compile(r"[^\W_][\w.:=#|-]{1,127}")
_NAME = re.compile(
    r"(?:.*[_\W])?(?:id|ids|uuid|guid)"
    r"|(?i:user|customer|client|account|agent|order|ticket|case|session|message|conversation|thread|chat)ids?"
    r"|.*[a-z0-9](?:Id|ID|Ids|IDs|Uuid|UUID|Guid|GUID)"
)


def names_identifier(field: str) -> bool:
    """Whether a field holds an identifier by its name: `id`, `customer_id`, `ticketId`."""
    return _NAME.fullmatch(field) is not None or _NAME.fullmatch(field.lower()) is not None


def is_opaque(text: str, declared: bool) -> bool:
    """Whether a value is an identifier by its form: letters and digits in one word; digits alone if `declared`."""
    if not _OPAQUE.fullmatch(text):
        return False
    digits = any(map(str.isdecimal, text))
    return digits and (any(map(str.isalpha, text)) or (declared and text.isdecimal()))


def all_or_nothing(text: str, spans: Sequence[Span], declared: bool) -> list[Span]:
    """The spans of a value beside the texts, with an identifier taken whole or not at all.

    Args:
        text: a value of metadata or of another field, placeholders shielded.
        spans: what was found in it; not modified.
        declared: whether its name says that it is an identifier: then a finding in a part of any text takes all of it.
    """
    opaque = is_opaque(text, declared)
    if not spans or not (opaque or declared):
        return list(spans)
    covered = {at for span in spans for at in range(span.start, span.end)}
    everything = all(at in covered for at, one in enumerate(text) if one.isalnum())
    sure = [span for span in spans if span.score >= CERTAIN]
    if opaque and not sure and (declared or not everything):
        return []
    best = max(sure or spans, key=lambda span: (span.end - span.start, span.score, span.type))
    return [Span(0, len(text), best.type, best.score)]


def hashed(identifier: str, key: bytes) -> str:
    """An identifier under a key: the same everywhere for the same one, and nothing else can be told from it."""
    return hmac.new(key, b"identifier\0" + identifier.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
        :HEX
    ]
