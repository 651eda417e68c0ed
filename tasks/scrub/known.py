"""Known values: what a conversation's source, or the conversation itself, has told to be personal, wherever it stands.

A value is matched at word boundaries, case ignored, with any white space and punctuation between its parts, or none.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tasks.scrub.decode import decode
from tasks.scrub.detect import SHIELD, Span, shield

PERSON = "PERSON"  # the type whose values' parts are names by themselves
SCORE = 2.0  # above every pattern
PART_LETTERS = 3  # a part of a name that is shorter is an initial, or a word
SPLIT_DIGITS = 5  # a number this long may also be written in groups

_PERSON = re.compile(r"PERSON|^(?:FULL|FIRST|LAST|GIVEN|FAMILY|CUSTOMER|AGENT|CONTACT)?_?NAME$|SURNAME")
_SYNONYMS = {
    "EMAIL": "EMAIL_ADDRESS",
    "E_MAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "TELEPHONE": "PHONE_NUMBER",
    "CARD_NUMBER": "CREDIT_CARD",
    "IBAN": "IBAN_CODE",
    "SSN": "US_SSN",
}
_WORDS = re.compile(r"[^\W_]+")
_TITLES = re.compile("mrs|miss|mister|madam|sir|dame|prof|professor|doctor|lord|lady|and|the|van|von|der|den|del|dos")
# Names that are words of every support log: on their own they count as a name only with a capital letter.
_AMBIGUOUS = re.compile(
    "april|art|august|best|bill|black|brown|case|cash|chance|charge|chase|chip|cook|day|delta|dollar|good|green|hope"
    "|house|june|king|lane|long|love|mark|may|page|price|rich|small|star|summer|trip|west|white|will|win|worth|young"
)


class Value(NamedTuple):
    """A personal value in a conversation.

    Attributes:
        type: its entity type.
        text: how it reads.
        key: what all its spellings share; a part of a name has the key of the whole name.
        part: whether it is only a part of a name.
    """

    type: str
    text: str
    key: str
    part: bool = False


def entity_name(name: str) -> str:
    """Any name as an entity type, by detection's names where it means one: `customer name 2` becomes `PERSON`."""
    entity = re.sub(r"[^A-Z]+", "_", name.upper()).strip("_") or "KNOWN"
    return PERSON if _PERSON.search(entity) else _SYNONYMS.get(entity, entity)


def key(text: str) -> str:
    """What equal values share: digits for a number however it is grouped, else the letters and digits, case folded."""
    parts = "".join(_WORDS.findall(text))
    return parts.casefold() or text.strip()


def known_values(known: Mapping[str, Iterable[Any] | None] | None) -> list[Value]:
    """The values of a row's `known`, decoded, parts of names included; those of a single character are left out.

    Args:
        known: type to values, or null; not modified. Values that are not text are read as such.
    Returns:
        Whole values first, in order; a part of a name has the key of its whole name.
    """
    values: dict[str, Value] = {}
    for name, texts in (known or {}).items():
        for text in texts or ():
            value = decode("" if text is None else str(text)).text.strip()
            if len(value) >= 2:
                values.setdefault(key(value), Value(entity_name(str(name)), value, key(value)))
    return _with_parts(values)


def _with_parts(values: dict[str, Value]) -> list[Value]:
    whole = dict(values)
    for value in whole.values():
        for part in name_parts(value) if value.type == PERSON else ():
            values.setdefault(key(part), Value(value.type, part, value.key, part=True))
    return list(values.values())


def name_parts(value: Value) -> list[str]:
    """The words of a name that stand for the person by themselves."""
    parts = _WORDS.findall(value.text)
    return [
        part for part in parts if len(part) >= PART_LETTERS and part.isalpha() and not _TITLES.fullmatch(part.lower())
    ]


def find_known(texts: Sequence[str], values: Sequence[Value]) -> list[list[Span]]:
    """Every occurrence of `values` in the texts of one conversation.

    Args:
        texts: n decoded texts; not modified.
        values: what to look for.
    Returns:
        n lists of spans, ordered, not overlapping; the longest value wins.
    """
    expression = compile_values(
        tuple(sorted({(value.type, value.text, value.part) for value in values}, key=_longest_first))
    )
    if expression is None:
        return [[] for _ in texts]
    pattern, types = expression
    return [
        [
            Span(match.start(), match.end(), types[int((match.lastgroup or "v0")[1:])], SCORE)
            for match in pattern.finditer(shield(text))
        ]
        for text in texts
    ]


def _longest_first(item: tuple[str, str, bool]) -> tuple[int, tuple[str, str, bool]]:
    return -len(item[1]), item


@lru_cache(maxsize=1024)
def compile_values(values: tuple[tuple[str, str, bool], ...]) -> tuple[re.Pattern[str], list[str]] | None:
    """One expression for all `(type, text, part)` of a conversation, and the types of its groups `v0`, `v1`, ..."""
    if not values:
        return None
    groups = [f"(?P<v{number}>{_expression(text, part)})" for number, (_, text, part) in enumerate(values)]
    return re.compile("|".join(groups), re.IGNORECASE), [entity for entity, _, _ in values]


def _expression(text: str, part: bool) -> str:
    parts = _WORDS.findall(text)
    if not parts:
        return re.escape(text)
    digits = "".join(parts)
    if digits.isdigit() and len(digits) >= SPLIT_DIGITS:
        grouped = r"[\s().\-/]{0,3}".join(digits)
        return rf"(?<!\d){grouped}(?!\d)"
    joined = rf"(?:(?!{SHIELD})[\W_]){{0,3}}".join(re.escape(part) for part in parts)
    if part and _AMBIGUOUS.fullmatch(text.lower()):
        joined = f"(?!(?-i:{text.lower()})){joined}"
    return rf"(?<![^\W_]){joined}(?![^\W_])"
