"""Known values: what a conversation's source, or the conversation itself, has told to be personal, wherever it stands.

A value is matched at word boundaries, case ignored, with any white space and punctuation between its parts, or none.
"""

import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
_WORD = re.compile(r"[^\W_]+")
_GAP = re.compile(rf"(?:[^\w{SHIELD}]|_){{0,3}}")
_DIGITS = re.compile(r"\d+")
_DIGIT_GAP = re.compile(r"[\s().\-/]{0,3}")
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
    parts = "".join(_WORD.findall(text))
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
    parts = _WORD.findall(value.text)
    return [
        part for part in parts if len(part) >= PART_LETTERS and part.isalpha() and not _TITLES.fullmatch(part.lower())
    ]


def find_known(texts: Sequence[str], values: Sequence[Value]) -> list[list[Span]]:
    """Every occurrence of `values` in the texts of one conversation, in time linear in the texts.

    Args:
        texts: n decoded texts; not modified.
        values: what to look for; of two with one key the first counts.
    Returns:
        n lists of spans; they may overlap.
    """
    by_key = {key(value.text): value for value in reversed(values)}
    numbers = {digits for digits in by_key if digits.isdecimal() and len(digits) >= SPLIT_DIGITS}
    words = (_WORD, _GAP, by_key, {prefix for value in values for prefix in _joined_parts(value.text)})
    groups = (_DIGITS, _DIGIT_GAP, numbers, {digits[:end] for digits in numbers for end in range(1, len(digits))})
    symbols = [value for value in by_key.values() if not _WORD.search(value.text)]
    found = []
    for text in map(shield, texts):
        matches = [*_runs(text, *words), *(_runs(text, *groups) if numbers else ())]
        spans = [
            Span(start, end, by_key[joined].type, SCORE)
            for start, end, joined in matches
            if not (by_key[joined].part and _AMBIGUOUS.fullmatch(text[start:end]))
        ]
        for value in symbols:
            spans += [Span(*match.span(), value.type, SCORE) for match in re.finditer(re.escape(value.text), text)]
        found.append(spans)
    return found


def _joined_parts(text: str) -> Iterator[str]:
    """`jane`, `janedoe` of `Jane Doe`: how much of a value may have been read where a text breaks."""
    return itertools.accumulate(part.casefold() for part in _WORD.findall(text))


def _runs(
    text: str, word: re.Pattern[str], gap: re.Pattern[str], keys: Container[str], prefixes: Container[str]
) -> Iterator[tuple[int, int, str]]:
    """(start, end, joined) of the longest run of words, from each word on, that joined is one of `keys`."""
    tokens = [(match[0].casefold(), match.start(), match.end()) for match in word.finditer(text)]
    position = 0
    while position < len(tokens):
        joined, best = "", None
        for following in range(position, len(tokens)):
            token, start, end = tokens[following]
            if following > position and not gap.fullmatch(text, tokens[following - 1][2], start):
                break
            joined += token
            if joined in keys:
                best = (tokens[position][1], end, joined, following)
            if joined not in prefixes:
                break
        if best is not None:
            yield best[:3]
        position = position + 1 if best is None else best[3] + 1
