"""The second scan of a scrubbed conversation for personal data.

It shares no code with scrub's detector, so that one oversight is not made twice. It reports counts, never values.

    known value   values that the source knows, by whole tokens, in any case, joined or spread, long words with one
                  edit, a number or an address also in words
    address       an `@` between word characters, or spelled `[at]`, outside the domains that RFC 2606 reserves
    long number   nine digits or more, also grouped by spaces, dashes, dots, slashes or brackets, or spelled as words;
                  placeholders, dates, prices and the telephone numbers that are reserved for fiction do not count
"""

import functools
import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from deskloop.contract.errors import DataError
from deskloop.contract.placeholders import PLACEHOLDER
from tasks.residue_said import heard, holds

KNOWN, ADDRESS, NUMBER = "known_value", "email_like", "long_number"
BREAK = "\x1f"  # replaces placeholders and separates texts: no match crosses it
DIGITS = 9  # of a long number
SPELLED = 5  # words of a number at least
EDITED = 8  # letters of a word that is recognised with one wrong letter
SECONDS = 10  # for a pattern of the pipeline file on one conversation
RUN = 6  # digits that a known number and a number of the text must share

_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,10}+(?:\s[^<>@]{0,200}+)?/?>")
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_TIME = r"(?:[T ,]{1,2}\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?)?"
_HARMLESS = re.compile(
    rf"(?<![\d\-/.])(?:{_YEAR}([-/.]){_MONTH}\1{_DAY}|{_DAY}([-/.]){_MONTH}\2(?:{_YEAR}|\d\d)"
    rf"|{_MONTH}([-/.]){_DAY}\3(?:{_YEAR}|\d\d)){_TIME}(?![-/.]?\d)"
    r"|[$£€¥₹]\s?\d{1,3}(?:[,. ]\d{3}){0,3}(?:[.,]\d\d)?(?!\d|[,. -]\d)"
)
_NUMBER = re.compile(rf"\d(?:[ \t\-‐‑‒–—−./()\[\]_]{{0,3}}+\d){{{DIGITS - 1},}}+")
_SPELLED = (
    "(?:zero|oh|nought|naught|one|two|three|four|five|six|seven|eight|nine|double|triple|treble|ten|eleven|twelve|twenty"
    "|thirty|forty|fifty|sixty|seventy|eighty|ninety|(?:thir|four|fif|six|seven|eigh|nine)teen|hundred)"
)
_MARK = "(?:(?:dash|hyphen|minus|dot|point|slash|stroke|space)[\\s,.\\-]{1,3}+)?"
_WORDS = re.compile(rf"\b{_SPELLED}(?:[\s,.\-]{{1,3}}+{_MARK}(?:{_SPELLED}\b|\d)){{{SPELLED - 1},}}+", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\w@\w|\w\s{0,2}@\s{0,2}\w[\w\-]{0,60}\s{0,2}\.\s{0,2}[^\W\d_]{2}|\w\s?[\[({]\s?at\s?[\])}]\s?\w", re.IGNORECASE
)
_AT = re.compile(r"[\[({]\s?at\s?[\])}]", re.IGNORECASE)
_RESERVED = re.compile(  # RFC 2606 and 6761: addresses that cannot exist
    r"@(?:[\w\-]{1,60}\.){0,4}(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost)(?![\w\-]|\.\w)",
    re.IGNORECASE,
)
_FICTION = re.compile(  # reserved for fiction by the numbering plans of North America and of the United Kingdom (Ofcom)
    r"(?:1?\d{3})?55501\d\d|(?:0044|440?|0)"
    r"(?:7700900\d{3}|1632960\d{3}|2079460\d{3}|1(?:1[3-8]|[2-6]1)4960\d{3}|1914980\d{3}|2896496\d{3}|2920180\d{3})"
)
_MADE = re.compile(  # an account in no country; addresses that RFC 5737 reserves for documentation
    r"\bxx00(?:\s?[A-Za-z0-9]{1,4}){2,8}|(?<![\d.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}(?![\d.])",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\W_]+")
_GROUPED = re.compile(r"\d(?:[ \t\-‐‑‒–—−./()\[\]]{0,3}+\d)*+")
_SENTENCE = re.compile(rf"(?:^|[.!?:\n{BREAK}])[\s\"'(]{{0,3}}\Z")

# First or family names that any customer may write as a word.
_ALSO_WORDS = frozenset(
    """amber apple april art august autumn baker ball banks basil bell berry best bill black blue bob book bright brook
    brown bush candy care carol case cash chance charge charity chase cherry chip church coin cole cook cooper count
    crystal dawn day dean destiny dollar don dot drew earl early east eve fair faith field fields finch fish fisher
    flower ford forest fox frank free friend gale gene ginger golden good grace grant gray great green grey guy hall
    hand harmony harry heart heath heather high hill holiday holly honey hood hope house hunt hunter iris ivy jack jade
    jean jewel josh joy june just justice key king kit lake lance lane law light lily little long lord lot love luck
    lucky major mark marsh mason max may melody merry mike miles mill miller mint misty moon more moss new nick noble
    norm north olive page paris park parker pat patience pearl peg penny pepper piper pitt pool poppy porter power price
    prince quick rain ray read reed reid rice rich ring rivers rob robin rock rod root rose rosemary ruby rush rusty
    sage sandy self sharp shed short silver skip sky small smart snow south speed spring star stark stein sterling stew
    stone storm story street strong sue summer sun swan swift tab teddy terry thorn tiger town trace treasure tree trip
    troy true turner victor violet wade walker wall ward warren waters way weeks welch wells west wheeler white will win
    winter wise wolf wood woods word work worth yard york young""".split()  # noqa: SIM905
)


def residues(
    texts: Sequence[str],
    known: Mapping[str, Iterable[object] | None] | None = None,
    keep: Sequence[str] = (),
    made: bool = False,
) -> list[str]:
    """Find personal data that is left in one conversation.

    Args:
        texts: its scrubbed texts, turns and metadata values; not modified.
        known: entity type -> values that the source knows, as ingest left them; None if they are not available.
        keep: regular expressions of what is not personal here; findings inside a match do not count.
        made: the texts may hold pseudonyms; numbers that cannot be assigned do not count.
    Returns:
        One of `known_value`, `email_like`, `long_number` for each finding, sorted.
    Raises:
        DataError: a pattern of `keep` takes too long.
    """
    text = _plain(texts, tuple(keep))
    residues = [KNOWN] * _known(text, known) if known else []
    if "@" in text or _AT.search(text):
        residues += [ADDRESS] * sum(1 for _ in _ADDRESS.finditer(_RESERVED.sub(BREAK, text)))
    residues += [NUMBER] * _long_numbers(_MADE.sub(BREAK, text) if made else text, made)
    return sorted(residues)


def _plain(texts: Sequence[str], keep: tuple[str, ...]) -> str:
    """Join the texts without HTML entities, tags, invisible and compatibility characters; placeholders become BREAK."""
    text = PLACEHOLDER.sub(BREAK, BREAK.join(text or "" for text in texts))
    for pattern in _compiled(keep):
        try:
            text = pattern.sub(BREAK, text, timeout=SECONDS)
        except TimeoutError:
            raise DataError(
                f"a pattern of `keep` takes more than {SECONDS} seconds on a text; write it without nested repeats"
            ) from None
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return text


def _usable(expression: str) -> str:
    import regex  # type: ignore[import-untyped]

    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if compiled.match(""):
        raise ValueError("it matches the empty text: it would match everywhere")
    return expression


Expression = Annotated[str, AfterValidator(_usable)]  # in a config: a regular expression that matches something


@functools.lru_cache(maxsize=16)
def _compiled(keep: tuple[str, ...]) -> tuple[Any, ...]:
    import regex

    return tuple(regex.compile(pattern, regex.IGNORECASE) for pattern in keep)


def _long_numbers(text: str, made: bool) -> int:
    count = sum(sum(map(str.isdecimal, heard(match[0]))) >= DIGITS for match in _WORDS.finditer(text))
    if sum(map(str.isdigit, text)) < DIGITS:
        return count
    for match in _NUMBER.finditer(_HARMLESS.sub(BREAK, text)):
        digits = "".join(filter(str.isdigit, match[0]))
        count += not (_FICTION.fullmatch(digits) or (made and _is_made(digits)))
    return count


def _is_made(digits: str) -> bool:
    """Check for a number that no scheme assigns: US social security area 000, British NHS 999, cards in 9."""
    if re.fullmatch(r"000[0-9]{6}|999[0-9]{7}", digits):
        return True
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    checked = sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0
    return bool(re.fullmatch(r"9[0-9]{12,18}", digits)) and not checked


def _known(text: str, known: Mapping[str, Iterable[object] | None]) -> int:
    """Count known values, and parts of names, in the text."""
    words = [(_fold(match[0]), match.start()) for match in _TOKEN.finditer(text)]
    tokens = [word for word, _ in words]
    stream, distinct, said = f" {' '.join(tokens)} ", set(tokens), heard(text)
    runs = {"".join(filter(str.isdigit, match[0])) for match in _GROUPED.finditer(text)}
    count = 0
    for entity, values in sorted(known.items()):
        for value in values or ():
            parts = [_fold(part) for part in _TOKEN.findall(_plain([str(value or "")], ()))]
            if not parts or len("".join(parts)) < 3:
                continue
            named = "PERSON" in entity.upper() or "NAME" in entity.upper()
            if _whole(parts, stream, distinct, runs, named) or (said and holds(said, str(value))):
                count += 1
            elif named or len(parts) == 1:
                usual = _ALSO_WORDS if named else frozenset()
                count += any(_part(part, words, distinct, text, usual) for part in parts if len(part) > 2)
            elif "@" in str(value):
                local = [_fold(part) for part in _TOKEN.findall(str(value).partition("@")[0])]
                telling = len("".join(local)) >= RUN and (len(local) > 1 or not local[0].isalpha())
                count += telling and _whole(local, stream, distinct, runs, named=False)
    return count


def _whole(parts: Sequence[str], stream: str, distinct: set[str], runs: set[str], named: bool) -> bool:
    """Check for the tokens of a value in a row, joined, reversed (names), or as a number in groups."""
    joined = "".join(parts)
    if len(parts) > 1 and (f" {' '.join(parts)} " in stream or joined in distinct):
        return True
    if len(parts) > 1 and named and f" {' '.join(reversed(parts))} " in stream:
        return True
    if len(parts) > 3 and any(f" {' '.join(parts[at : at + 3])} " in stream for at in range(len(parts) - 2)):
        return True
    if joined.isdigit() and len(joined) >= RUN:
        return any(joined in run or (len(run) > RUN and run in joined) for run in runs)
    return False


def _part(part: str, words: Sequence[tuple[str, int]], distinct: set[str], text: str, usual: frozenset[str]) -> bool:
    """Check for a single token, long words with one edit; a common word only with a capital letter."""
    if part in usual:
        places = [at for word, at in words if word == part and text[at].isupper()]
        return any(not _SENTENCE.search(text, max(0, at - 5), at) for at in places)
    if part in distinct:
        return True
    return len(part) >= EDITED and part.isalpha() and any(_one_edit(part, other) for other in distinct)


def _one_edit(word: str, other: str) -> bool:
    """Check that two words differ by one letter changed, added, removed or swapped with the next."""
    if abs(len(word) - len(other)) > 1 or not other.isalpha():
        return False
    start = next((at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, others = word[start:], other[start:]
    swapped = rest[1::-1] + rest[2:] == others
    return rest[1:] == others[1:] or rest[1:] == others or rest == others[1:] or swapped


def _fold(word: str) -> str:
    """Case-fold a word and remove its accents."""
    folded = word.casefold()
    if folded.isascii():
        return folded
    return "".join(
        character for character in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(character)
    )
