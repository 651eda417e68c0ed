"""Keep or replace identifiers in metadata as a whole: half an identifier is neither useful nor private.

`00e7c4821947` may contain what looks like a house number. Such a string is opaque, and an uncertain finding inside it
is ignored. A certain one (a declared value, an e-mail address, a valid card number) replaces the entire identifier.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence

from tasks.scrub.span import Span

CERTAIN = 1.0  # minimum score of findings that a checksum confirms or the source declares
HEX = 32  # digits of an identifier's hash: 128 bits, so that collisions do not occur

_OPAQUE = re.compile(r"[^\W_][\w.:=#|-]{1,127}")
_NAME = re.compile(
    r"(?:.*[_\W])?(?:id|ids|uuid|guid)"
    r"|(?i:user|customer|client|account|agent|order|ticket|case|session|message|conversation|thread|chat)ids?"
    r"|.*[a-z0-9](?:Id|ID|Ids|IDs|Uuid|UUID|Guid|GUID)"
)


def names_identifier(field: str) -> bool:
    """Check whether the name of a field says that it holds identifiers: `id`, `customer_id`, `ticketId`."""
    return _NAME.fullmatch(field) is not None or _NAME.fullmatch(field.lower()) is not None


def is_opaque(text: str, declared: bool) -> bool:
    """Check whether a value has the form of an identifier: letters and digits in one word; digits if `declared`."""
    if not _OPAQUE.fullmatch(text):
        return False
    digits = any(map(str.isdecimal, text))
    return digits and (any(map(str.isalpha, text)) or (declared and text.isdecimal()))


def all_or_nothing(text: str, spans: Sequence[Span], declared: bool) -> list[Span]:
    """Return the spans of a metadata value, extended to the entire value or removed if it is an identifier.

    Args:
        text: the value of a field, placeholders shielded.
        spans: the findings in it; not modified.
        declared: whether the field's name says that it holds identifiers; then any finding in a value that is not
            opaque covers all of it.
    """
    opaque = is_opaque(text, declared)
    if not spans or not (opaque or declared):
        return list(spans)
    covered = {at for span in spans for at in range(span.start, span.end)}
    everything = all(at in covered for at, character in enumerate(text) if character.isalnum())
    sure = [span for span in spans if span.score >= CERTAIN]
    if opaque and not sure and (declared or not everything):
        return []
    best = max(sure or spans, key=lambda span: (span.end - span.start, span.score, span.type))
    return [Span(0, len(text), best.type, best.score)]


def hashed(identifier: str, key: bytes) -> str:
    """Return the keyed hash of an identifier, 32 hexadecimal digits."""
    return hmac.new(key, b"identifier\0" + identifier.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
        :HEX
    ]
