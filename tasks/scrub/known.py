"""Find every occurrence of values known to be personal: declared by the source, or detected in the conversation.

A value matches at word boundaries, regardless of case, with or without white space and punctuation between its parts.
Parts of names, reordered names, other notations of the same date, number or address, and misspellings by one letter
match as well.
"""

import itertools
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tasks.normalize.english import dictionary
from tasks.scrub.config import SYNONYMS
from tasks.scrub.decode import decode
from tasks.scrub.dialogue.stopwords import is_usual
from tasks.scrub.near import Near
from tasks.scrub.shield import SHIELD, shield
from tasks.scrub.span import Span
from tasks.scrub.spoken import back, plain, said, written
from tasks.scrub.variants import misread, variants

PERSON = "PERSON"  # the type whose values have parts that are names by themselves
SCORE, NEAR = 2.0, 1.5  # of exact and misspelled occurrences; both exceed the score of every pattern
PART_LETTERS = 3  # minimum for a part of a name; a shorter one is an initial or an ordinary word
SHORT_PART = 2  # minimum for a part of a name that the source declares: "Li" is one, "Do" may be anything
PHONE = "PHONE_NUMBER"
COUNTRY = 4  # maximum digits of a country code, leading zeros included
SPLIT_DIGITS = 5  # minimum digits of a number that may also be written in groups
CODED, CODE_DIGITS = range(6, 33), 4  # characters of a code that is searched for inside longer ones; minimum digits
LONGEST = 500  # characters of a value that is matched word by word: its prefixes take the square of its length

_PERSON = re.compile(r"PERSON|^(?:FULL|FIRST|LAST|GIVEN|FAMILY|CUSTOMER|AGENT|CONTACT)?_?NAME$|SURNAME")
_EXACT = frozenset(["PASSWORD", "PIN", "USERNAME"])  # a changed letter makes another value
_TYPED = frozenset(["ACCOUNT_NUMBER", "CREDIT_CARD", "IBAN_CODE", PHONE, "US_BANK_NUMBER", "US_SSN"])
_WORD = re.compile(r"[^\W_]+")
_GAP = re.compile(rf"(?:[^\w{SHIELD}]|_){{0,3}}")
_DIGITS = re.compile(r"\d+")
_DIGIT_GAP = re.compile(r"[\s().\-/]{0,3}")
_TITLES = re.compile("mrs|miss|mister|madam|sir|dame|prof|professor|doctor|lord|lady|and|the|van|von|der|den|del|dos")
# Names that are also common words in support logs: on their own they count as names only with a capital letter.
_AMBIGUOUS = re.compile(
    "april|art|august|best|bill|black|brown|case|cash|chance|charge|chase|chip|cook|day|delta|dollar|good|green|hope"
    "|house|june|king|lane|long|love|mark|may|page|price|rich|small|star|summer|trip|west|white|will|win|worth|young"
)


class Value(NamedTuple):
    """A personal value in a conversation.

    Attributes:
        type: its entity type.
        text: the value as written.
        key: shared by all spellings of the value; a part of a name has the key of the whole name.
        part: whether it is only a part of a name.
    """

    type: str
    text: str
    key: str
    part: bool = False


def entity_name(name: str) -> str:
    """Convert any name to an entity type, to one of ours if it is a synonym: `customer name 2` becomes `PERSON`."""
    entity = re.sub(r"[^A-Z]+", "_", name.upper()).strip("_") or "KNOWN"
    return PERSON if _PERSON.search(entity) else SYNONYMS.get(entity, entity)


def key(text: str) -> str:
    """Return the key of a value: its letters and digits, case-folded, however they are grouped or spelled out."""
    parts = "".join(_WORD.findall(plain(text)))
    return parts.casefold() or text.strip()


def known_values(known: Mapping[str, Iterable[Any] | None] | None) -> list[Value]:
    """Return the values of a row's `known`, decoded, with the parts of names; single characters are skipped.

    Args:
        known: type to values, or null; not modified. Values that are not text are converted to it.
    Returns:
        Whole values in order, then parts of names, each with the key of its whole name.
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
    """Return the words of a name that identify the person on their own; a two-letter one must not be a common word."""
    parts = [part for part in _WORD.findall(value.text) if part.isalpha() and not _TITLES.fullmatch(part.lower())]
    return [part for part in parts if len(part) >= PART_LETTERS or (len(part) >= least and not is_usual(part.lower()))]


def find_known(texts: Sequence[str], values: Sequence[Value]) -> list[list[Span]]:
    """Find every occurrence of `values` in the texts of one conversation: `find_values` without the keys."""
    return [[span for span, _ in occurrences] for occurrences in find_values(texts, values)]


def find_values(texts: Sequence[str], values: Sequence[Value]) -> list[list[tuple[Span, str]]]:
    """Find every occurrence of `values` in the texts of one conversation, in time linear in the texts.

    Args:
        texts: n decoded texts; not modified.
        values: what to search for; the first of several with one key counts, and a value before a variant of another.
    Returns:
        n lists of (span, key of its value); spans may overlap.
    """
    search = _search(tuple(values))
    return [search.find(text) for text in texts]


@lru_cache(maxsize=64)
def _search(values: tuple[Value, ...]) -> "_Search":
    return _Search(values)


class _Search:
    """A search for values by their joined letters and digits, word by word or digit run by digit run."""

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
        """Return the occurrences in a text, read as it is and with spelled-out numbers and addresses as figures."""
        occurrences = self._read(shield(text))
        view = written(text)
        if view:
            source = back(view)
            moved = [(source(span), value) for span, value in self._read(shield(view.text))]
            occurrences += [(span, value) for span, value in moved if span]
            occurrences += [
                (Span(start, end, value.type, SCORE), value.key)
                for run, start, end in said(view)
                for value in self._inside(key(run))
            ]
        return occurrences

    def _inside(self, run: str) -> Iterator[Value]:
        """Yield the values inside a spelled-out number, in which nothing marks where one number ends."""
        for length in self._lengths:
            for start in range(len(run) - length + 1):
                if run[start : start + length] in self._coded:
                    yield self._by_key[run[start : start + length]]

    def _read(self, text: str) -> list[tuple[Span, str]]:
        """Return the occurrences in a text whose placeholders are shielded."""
        matches = [*_runs(_tokens(text, _WORD, self._word), text, _GAP, self._by_key, self._prefixes)]
        if self._numbers:
            matches += _runs(_tokens(text, _DIGITS, str), text, _DIGIT_GAP, self._numbers, self._starts)
        occurrences = []
        for start, end, joined in matches:
            value = self._by_key[joined]
            if _is_occurrence(value, joined, text[start:end]):
                score = SCORE if key(text[start:end]) == joined else NEAR
                occurrences.append((Span(start, end, value.type, score), value.key))
        for value in self._symbols:
            occurrences += [
                (Span(*match.span(), value.type, SCORE), value.key)
                for match in re.finditer(re.escape(value.text), text, re.IGNORECASE)
            ]
        return occurrences

    def _word(self, token: str) -> str:
        """Return the known word that a token misspells, or the phone number that it ends in; else the token."""
        if token in self._prefixes or token in self._by_key:
            return token
        if self._phones and token.isdecimal():
            for cut in range(1, COUNTRY + 1):
                if token[cut:] in self._phones:
                    return token[cut:]
        return self._near.word(token) if self._near else token


def _misspelled(values: Sequence[Value]) -> Iterator[str]:
    """Yield the words of values that also match with a wrong letter; English words only if they are part of a name."""
    ranks = dictionary().ranks
    for value in values:
        for word in map(str.casefold, _WORD.findall(value.text)):
            if word.isdecimal():
                eligible = value.type in _TYPED
            else:
                eligible = value.type == PERSON or (value.type not in _EXACT and word not in ranks)
            if eligible and not _AMBIGUOUS.fullmatch(word):
                yield word


def _is_occurrence(value: Value, joined: str, text: str) -> bool:
    """Check that a match is the value: a name that is also a word needs its capital letter, a date its separators."""
    exact = joined == key(value.text)
    if value.type == PERSON and text.islower():
        if value.part and _AMBIGUOUS.fullmatch(text):
            return False
        if len(text) <= PART_LETTERS and is_usual(text):
            return exact and not value.part and len(text) == PART_LETTERS
        return exact or value.part or not all(is_usual(word) for word in _WORD.findall(text))
    return exact or len(joined) > SPLIT_DIGITS or not text.isdecimal()


def _joined_parts(text: str) -> Iterator[str]:
    """Yield the joined prefixes of a value, word by word: `jane`, `janedoe` for `Jane Doe`."""
    return itertools.accumulate(part.casefold() for part in _WORD.findall(text))


def _tokens(text: str, word: re.Pattern[str], lookup: Callable[[str], str]) -> list[tuple[str, int, int]]:
    """Return each word's (known word that it matches, start, end)."""
    return [(lookup(match[0].casefold()), match.start(), match.end()) for match in word.finditer(text)]


def _runs(
    tokens: Sequence[tuple[str, int, int]],
    text: str,
    gap: re.Pattern[str],
    keys: Container[str],
    prefixes: Container[str],
) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, joined) for the longest run of words, starting at each word, whose join is in `keys`."""
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
