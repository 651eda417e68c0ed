"""Known values: what a conversation's source, or the conversation itself, has told to be personal, wherever it stands.

A value is matched at word boundaries, case ignored, with any white space and punctuation between its parts, or none; in
parts, in another order, as another way to write the same date, number or address, and misspelled by a letter.
"""

import itertools
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tasks.normalize.english import dictionary
from tasks.scrub.config import SYNONYMS
from tasks.scrub.decode import decode
from tasks.scrub.dialogue.words import is_usual
from tasks.scrub.near import Near
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, plain, said, written
from tasks.scrub.variants import misread, variants

PERSON = "PERSON"  # the type whose values' parts are names by themselves
SCORE, NEAR = 2.0, 1.5  # above every pattern; a misspelled value less than one that is as known
PART_LETTERS = 3  # a part of a name that is shorter is an initial, or a word
SHORT_PART = 2  # of a name that the source declares: "Li" is one, "Do" may be anything
PHONE = "PHONE_NUMBER"
COUNTRY = 4  # digits of a country's code at most, its zeros included
SPLIT_DIGITS = 5  # a number this long may also be written in groups
CODED, CODE_DIGITS = range(6, 33), 4  # letters and digits of a code that is looked for inside of a longer one; digits
LONGEST = 500  # characters of a value that is read word by word: its beginnings are kept, the square of its length

_PERSON = re.compile(r"PERSON|^(?:FULL|FIRST|LAST|GIVEN|FAMILY|CUSTOMER|AGENT|CONTACT)?_?NAME$|SURNAME")
_EXACT = frozenset(["PASSWORD", "PIN", "USERNAME"])  # a letter more or less makes another one
_TYPED = frozenset(["ACCOUNT_NUMBER", "CREDIT_CARD", "IBAN_CODE", PHONE, "US_BANK_NUMBER", "US_SSN"])
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
    return PERSON if _PERSON.search(entity) else SYNONYMS.get(entity, entity)


def key(text: str) -> str:
    """What equal values share: the letters and digits, case folded, however they are grouped, typed or said."""
    parts = "".join(_WORD.findall(plain(text)))
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
        for part in name_parts(value, SHORT_PART) if value.type == PERSON else ():
            values.setdefault(key(part), Value(value.type, part, value.key, part=True))
    return list(values.values())


def name_parts(value: Value, least: int = PART_LETTERS) -> list[str]:
    """The words of a name that stand for the person by themselves; one of `SHORT_PART` letters is no usual word."""
    parts = [part for part in _WORD.findall(value.text) if part.isalpha() and not _TITLES.fullmatch(part.lower())]
    return [part for part in parts if len(part) >= PART_LETTERS or (len(part) >= least and not is_usual(part.lower()))]


def find_known(texts: Sequence[str], values: Sequence[Value]) -> list[list[Span]]:
    """Every occurrence of `values` in the texts of one conversation: `find_values` without the keys."""
    return [[span for span, _ in found] for found in find_values(texts, values)]


def find_values(texts: Sequence[str], values: Sequence[Value]) -> list[list[tuple[Span, str]]]:
    """Every occurrence of `values` in the texts of one conversation, in time linear in the texts.

    Args:
        texts: n decoded texts; not modified.
        values: what to look for; of two with one key the first counts, and a value before a variant of another.
    Returns:
        n lists of (span, the key of its value); they may overlap.
    """
    search = _search(tuple(values))
    return [search.find(text) for text in texts]


@lru_cache(maxsize=64)
def _search(values: tuple[Value, ...]) -> "_Search":
    return _Search(values)


class _Search:
    """What is looked for: `by_key` joined letters and digits, read word by word or digits by digits."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._by_key = {key(value.text): value for value in reversed(values)}
        texts = [plain(value.text) for value in values]
        for value in values:
            others = () if value.part else variants(value.type, value.text)
            for text in (*misread(value.text), *others):
                if key(text) not in self._by_key:
                    self._by_key[key(text)] = value
                    texts.append(text)
        self._prefixes = {prefix for text in texts if len(text) <= LONGEST for prefix in _joined_parts(text)}
        self._numbers = {
            digits for digits in self._by_key if digits.isdecimal() and SPLIT_DIGITS <= len(digits) <= LONGEST
        }
        self._coded = {
            text for text in self._by_key if len(text) in CODED and sum(map(str.isdecimal, text)) >= CODE_DIGITS
        }
        self._lengths = sorted({len(text) for text in self._coded})
        self._starts = {digits[:end] for digits in self._numbers for end in range(1, len(digits))}
        self._symbols = [
            value for value in self._by_key.values() if len(value.text) > LONGEST or not _WORD.search(value.text)
        ]
        self._near = Near(_misspelled(values))
        self._phones = {digits for digits in self._numbers if self._by_key[digits].type == PHONE}

    def find(self, text: str) -> list[tuple[Span, str]]:
        """The occurrences in a text, as it stands and as what is said in it would be written."""
        found = self._read(shield(text))
        view = written(text)
        if view:
            source = back(view)
            moved = [(source(span), value) for span, value in self._read(shield(view.text))]
            found += [(span, value) for span, value in moved if span]
            found += [
                (Span(start, end, value.type, SCORE), value.key)
                for run, start, end in said(view)
                for value in self._inside(key(run))
            ]
        return found

    def _inside(self, run: str) -> Iterator[Value]:
        """The values in a number that was said, of whose words nothing tells where one number ends."""
        for length in self._lengths:
            for start in range(len(run) - length + 1):
                if run[start : start + length] in self._coded:
                    yield self._by_key[run[start : start + length]]

    def _read(self, text: str) -> list[tuple[Span, str]]:
        """The occurrences in a text whose placeholders are shielded."""
        matches = [*_runs(_tokens(text, _WORD, self._word), text, _GAP, self._by_key, self._prefixes)]
        if self._numbers:
            matches += _runs(_tokens(text, _DIGITS, str), text, _DIGIT_GAP, self._numbers, self._starts)
        found = []
        for start, end, joined in matches:
            value = self._by_key[joined]
            if _stands(value, joined, text[start:end]):
                score = SCORE if key(text[start:end]) == joined else NEAR
                found.append((Span(start, end, value.type, score), value.key))
        for value in self._symbols:
            found += [
                (Span(*match.span(), value.type, SCORE), value.key)
                for match in re.finditer(re.escape(value.text), text, re.IGNORECASE)
            ]
        return found

    def _word(self, token: str) -> str:
        """A token as the known word that it misspells, or the telephone number that it ends in; else as it is."""
        if token in self._prefixes or token in self._by_key:
            return token
        if self._phones and token.isdecimal():
            for cut in range(1, COUNTRY + 1):
                if token[cut:] in self._phones:
                    return token[cut:]
        return self._near.word(token) if self._near else token


def _misspelled(values: Sequence[Value]) -> Iterator[str]:
    """The words of values that count although a letter is wrong; English words only where they are a name's."""
    ranks = dictionary().ranks
    for value in values:
        for word in map(str.casefold, _WORD.findall(value.text)):
            if word.isdecimal():
                meant = value.type in _TYPED
            else:
                meant = value.type == PERSON or (value.type not in _EXACT and word not in ranks)
            if meant and not _AMBIGUOUS.fullmatch(word):
                yield word


def _stands(value: Value, joined: str, text: str) -> bool:
    """Whether what reads like a value is one: a name that is a word too needs its capital, a date its separators."""
    exact = joined == key(value.text)
    if value.type == PERSON and text.islower():
        if value.part and _AMBIGUOUS.fullmatch(text):
            return False
        if len(text) <= PART_LETTERS and is_usual(text):
            return exact and not value.part and len(text) == PART_LETTERS
        return exact or value.part or not all(is_usual(word) for word in _WORD.findall(text))
    return exact or len(joined) > SPLIT_DIGITS or not text.isdecimal()


def _joined_parts(text: str) -> Iterator[str]:
    """`jane`, `janedoe` of `Jane Doe`: how much of a value may have been read where a text breaks."""
    return itertools.accumulate(part.casefold() for part in _WORD.findall(text))


def _tokens(text: str, word: re.Pattern[str], known: Callable[[str], str]) -> list[tuple[str, int, int]]:
    """(the known word that it stands for, start, end) of each word."""
    return [(known(match[0].casefold()), match.start(), match.end()) for match in word.finditer(text)]


def _runs(
    tokens: Sequence[tuple[str, int, int]],
    text: str,
    gap: re.Pattern[str],
    keys: Container[str],
    prefixes: Container[str],
) -> Iterator[tuple[int, int, str]]:
    """(start, end, joined) of the longest run of words, from each word on, that joined is one of `keys`."""
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
