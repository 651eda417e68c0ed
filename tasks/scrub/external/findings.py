"""Convert a model's findings to ours: labels to types, spans to whole words, places only as parts of an address."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tasks.scrub.known import entity_name
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span

PLACE = "LOCATION"
_LABELS: dict[str, str | None] = {
    "PER": "PERSON", "PERSON": "PERSON", "LOC": PLACE, "GPE": PLACE, "FAC": PLACE, "LOCATION": PLACE,
} | dict.fromkeys(
    ("ORG", "MISC", "NORP", "PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "LANGUAGE", "DATE", "TIME", "PERCENT", "MONEY",
     "QUANTITY", "ORDINAL", "CARDINAL", "O")
)  # fmt: skip
_NUMBER_BEFORE = re.compile(r"\b[0-9]{1,6}[A-Za-z]?[\s,]{1,2}\Z")
_NUMBER_AFTER = re.compile(r"[\s,]{1,2}(?:[0-9]{4,6}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]?\s?[0-9][A-Z]{2})\b", re.I)
_BETWEEN = re.compile(r"[\s,]{1,3}")
_WINDOW = 24  # characters before a place that are searched for a house number


@lru_cache(maxsize=512)
def entity_of(label: str) -> str | None:
    """Return our type for a model's label, without its `B-` or `I-`; None for ignored labels."""
    bare = re.sub(r"^[BIELSU]-", "", label.upper())
    return _LABELS[bare] if bare in _LABELS else entity_name(bare)


def chosen(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans to use: trimmed to whole words, clear of placeholders, places only as parts of an address."""
    covered = shield(text)
    whole: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if whole and span.start < whole[-1].end:
            continue
        start, end = _whole(text, span.start, span.end)
        if start < end and SHIELD not in covered[start:end]:
            whole.append(Span(start, end, span.type, span.score))
    address = _address_parts(text, whole)
    return [span for place, span in enumerate(whole) if span.type != PLACE or place in address]


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """Trim everything but letters and digits from the ends of a span, then extend it to whole words."""
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    while start < end and start and text[start - 1].isalnum():
        start -= 1
    while start < end < len(text) and text[end].isalnum():
        end += 1
    return start, end


def _address_parts(text: str, spans: Sequence[Span]) -> set[int]:
    """Return the indices of places that are parts of an address: next to a number, or next to another part."""
    parts = {
        place
        for place, span in enumerate(spans)
        if span.type == PLACE
        and (
            _NUMBER_BEFORE.search(text[max(0, span.start - _WINDOW) : span.start])
            or _NUMBER_AFTER.match(text, span.end)
            or any(map(str.isdigit, text[span.start : span.end]))
        )
    }
    for order in (range(1, len(spans)), range(len(spans) - 2, -1, -1)):
        for place in order:
            other = place + (-1 if order.step > 0 else 1)
            first, last = sorted((place, other))
            if other in parts and spans[place].type == PLACE:
                parts |= {place} if _BETWEEN.fullmatch(text, spans[first].end, spans[last].start) else set()
    return parts
