"""Decode a text before detection, and map every character back to the input.

`jane&#64;example.com` and `4111 1111<b> 1111</b> 1111` hide an address and a card from every pattern. Mojibake, HTML
entities and tags, escapes, compatibility forms (NFKC), lookalikes and invisible characters are resolved until nothing
changes, so decoding is idempotent. Quotes and dashes stay as typed. Time is linear in the length of the text.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5

from deskloop.contract.placeholders import PLACEHOLDER
from tasks.scrub.lookalikes import lookalikes

Edit = tuple[int, int, str]  # start, end, and the replacement of `[start, end)`

ROUNDS = 5  # nested encodings that are resolved; deeper ones are an attack, and their special characters are blanked
MARKS = 30  # combining marks per character, as in Unicode's stream-safe text format (UAX 15); sorting more is slow

INLINE = (
    "abbr|acronym|bdi|bdo|big|button|center|cite|code|data|del|dfn|em|embed|font|img|input|ins|kbd|label|link|mark"
    "|meta|object|samp|script|small|span|strike|strong|style|sub|sup|svg|time|tt|var|wbr|a|b|i|o:p|q|s|u"
)
CELLS = "td|th"
BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|colgroup|col|dd|details|div|dl|dt|figcaption|figure|footer|form"
    "|h1|h2|h3|h4|h5|h6|header|head|hr|html|iframe|li|main|nav|ol|option|picture|pre|p|section|select|summary|table"
    "|tbody|textarea|tfoot|thead|title|tr|ul|video"
)

# No alternative matches past the next "<", so that all tags of a text together take one pass.
_TAG = re.compile(
    rf"<(?P<comment>!--)|<!doctype[^<>]*+>"
    rf"|<(?P<close>/?)(?P<name>{INLINE}|{CELLS}|{BLOCKS})(?:[\s/](?:(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+>|[^<>]*+>)|>)",
    re.IGNORECASE,
)
_SPACE = dict.fromkeys(BLOCKS.split("|"), "\n") | dict.fromkeys(CELLS.split("|"), " ")
_SWALLOWED = {name: re.compile(rf"</{name}\s*+>", re.IGNORECASE) for name in ("script", "style")}
_COMMENT_END = re.compile("-->")
# `&amp;amp;#64;` is an entity that was escaped several times.
_ENTITY = re.compile(
    r"&(?P<coats>(?:(?:amp|#38|#x26);)*+)"
    r"(?:(?P<name>#(?:0*+[1-9][0-9]{0,6}|0++);?|#[xX](?:0*+[1-9a-fA-F][0-9a-fA-F]{0,5}|0++);?|[A-Za-z][A-Za-z0-9]{1,31};)"
    r"|(?<=;))"
)
_LEADING_ZEROS = re.compile(r"(?<=#)0+(?=[0-9])|(?<=[xX])0+(?=[0-9a-fA-F])")
# Characters that an export escaped twice: "@" in a link's query, and JSON's escapes, including surrogate pairs.
_ESCAPE = re.compile(
    r"(?<=[\w.+-])%(?:25)*+40(?=[A-Za-z0-9])"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
)
# Terminal colours; soft hyphens, zero-width, bidi and musical controls, variation selectors, keycaps, tag characters,
# lone surrogates, controls, attachment markers, noncharacters.
_INVISIBLE = re.compile(
    "\x1b\\[[0-?]*+[ -/]*+[@-~]|\u2800|\r\n?|[\x0b\x0c\x85\u2028\u2029]|[\u200d\ufe0f]+"
    "|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u20e3\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_BREAKS = frozenset(["\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_COMPOSABLE = re.compile(r"[\x20-\x7e]?[^\x00-\x7f]+")
_SUSPECT = re.compile(r"[^\n\t\x20-\x7e]|&[#a-zA-Z]|<[!/a-zA-Z]|\\u[0-9a-fA-F]{4}|%(?:25)*+40")


@dataclass(frozen=True)
class Decoded:
    """A decoded text with its map to the input.

    Attributes:
        text: the decoded text, n characters.
        starts, ends: n offsets each; character i comes from `[starts[i], ends[i])` of the input. Neither decreases.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the input that the non-empty span `[start, end)` of the text comes from."""
        return self.starts[start], self.ends[end - 1]

    def edit(self, edits: Sequence[Edit]) -> "Decoded":
        """Apply edits, which are ordered, do not overlap and replace at least one character each; the map follows."""
        if not edits:
            return self
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for start, end, new in edits:
            pieces += (self.text[done:start], new)
            starts += self.starts[done:start]
            ends += self.ends[done:start]
            starts += [self.starts[start]] * len(new)
            ends += [self.ends[end - 1]] * len(new)
            done = end
        pieces.append(self.text[done:])
        starts += self.starts[done:]
        ends += self.ends[done:]
        return Decoded("".join(pieces), starts, ends)


def decode(text: str) -> Decoded:
    """Resolve every encoding in `text`.

    Args:
        text: of any length, with any characters, including lone surrogates and controls.
    Returns:
        The decoded text and its offset map; `decode(decode(x).text).text == decode(x).text`.
    """
    return resolve(Decoded(text, range(len(text)), range(1, len(text) + 1)))


def resolve(decoded: Decoded) -> Decoded:
    """Decode a text that has been edited since it was decoded, and extend its existing map."""
    if not _SUSPECT.search(decoded.text):
        return decoded
    for _ in range(ROUNDS):
        before = decoded.text
        for repair in (_mojibake, _entities, _tags, _escapes, _compatibility, lookalikes, _invisible):
            decoded = decoded.edit(list(repair(decoded.text)))
        if decoded.text == before:
            return decoded
    return decoded.edit(list(_blunt(decoded.text)))


def _mojibake(text: str) -> Iterator[Edit]:
    for run in _NON_ASCII.finditer(text):
        fixed = (_fix_encoding if len(run[0]) <= 64 else _fix_encoding.__wrapped__)(run[0])
        if fixed != run[0]:
            yield run.start(), run.end(), fixed


@lru_cache(maxsize=4096)
def _fix_encoding(run: str) -> str:
    import ftfy

    return ftfy.fix_encoding(run)


def _entities(text: str) -> Iterator[Edit]:
    for match in _ENTITY.finditer(text) if "&" in text else ():
        name = match["name"]
        # A named entity needs its semicolon: a browser would read `&copy=1` in a link as ©.
        if name and (name.startswith("#") or name in html5):
            yield match.start(), match.end(), html.unescape(f"&{_LEADING_ZEROS.sub('', name, count=1)}")
        elif match["coats"]:
            yield match.start(), match.end("coats"), "&"


def _tags(text: str) -> Iterator[Edit]:
    position = 0
    unclosed: set[str] = set()
    while tag := _TAG.search(text, position):
        name = (tag["name"] or "").lower()
        swallows = "comment" if tag["comment"] else name if name in _SWALLOWED and not tag["close"] else ""
        end = tag.end()
        if swallows and swallows not in unclosed:
            closing = _SWALLOWED.get(swallows, _COMMENT_END).search(text, end)
            if closing is None:
                unclosed.add(swallows)  # searched for once, so that a thousand unclosed tags stay linear
            else:
                end = closing.end()
        yield tag.start(), end, _SPACE.get(name, "")
        position = end


def _escapes(text: str) -> Iterator[Edit]:
    for match in _ESCAPE.finditer(text):
        if match[0].startswith("%"):
            yield match.start(), match.end(), "@"
        else:
            units = bytes.fromhex(match[0].replace("\\u", ""))
            yield match.start(), match.end(), units.decode("utf-16-be", "surrogatepass")


def _compatibility(text: str) -> Iterator[Edit]:
    """Apply NFKC cluster by cluster, so that a changed character maps to the few characters it came from."""
    if text.isascii():
        return
    for match in _COMPOSABLE.finditer(text):
        run, offset = match[0], match.start()
        for start, end in _clusters(run):
            new = _nfkc(run[start:end])
            if new != run[start:end]:
                yield offset + start, offset + end, new


def _clusters(run: str) -> Iterator[tuple[int, int]]:
    start = 0
    for position in range(1, len(run)):
        if _begins(run[position]) or position - start > MARKS:
            yield start, position
            start = position
    yield start, len(run)


@lru_cache(maxsize=65536)
def _begins(character: str) -> bool:
    """Check that a character cannot combine with the one before it: no mark, and no Hangul vowel or final."""
    first = unicodedata.normalize("NFKD", character)[0]
    return not unicodedata.category(first).startswith("M") and not "\u1160" <= first <= "\u11ff"


@lru_cache(maxsize=65536)
def _nfkc(cluster: str) -> str:
    cluster = cluster.replace("\u00b4", "'").replace("\u02bc", "'")  # typed instead of an apostrophe
    new = unicodedata.normalize("NFKC", cluster)
    # NFKC splits a spacing accent into a space and a mark, which would break the word in two.
    return cluster if new.startswith(" ") and len(new) > 1 and not cluster.startswith(" ") else new


def _invisible(text: str) -> Iterator[Edit]:
    for match in _INVISIBLE.finditer(text):
        start, end = match.span()
        if match[0] in _LINE_BREAKS or match[0] == "\u2800":
            yield start, end, "\n" if match[0] in _LINE_BREAKS else " "
            continue
        if match[0][0] in "\u200d\ufe0f" and _emoji(text[start - 1 : start]):
            start += 2  # one selector and one joiner; any further ones have no meaning
        if start < end:
            yield start, end, ""


def _emoji(character: str) -> bool:
    """Check for an emoji or a skin tone, after which a joiner or a selector has a meaning."""
    return character > "\x7f" and unicodedata.category(character) in ("So", "Sk")


def _blunt(text: str) -> Iterator[Edit]:
    """Blank every character outside placeholders that could begin an entity, a tag or an escape."""
    for match in re.finditer(rf"{PLACEHOLDER.pattern}|[<>&]|{_ESCAPE.pattern}", text):
        if not PLACEHOLDER.fullmatch(match[0]):
            yield match.start(), match.start() + 1, " "
