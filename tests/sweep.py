"""Search a folder for values that must not be there, in any file, container and spelling.

    assert not sweep(store, {"name-17": "Ana Kovač", "card-4": "4929 1234 5678 9015"}, lambda path: "raw" in path.parts)

Each file is read once, regardless of the number of values: a hash table finds the first bytes of all of them.
"""

import html
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from html.entities import codepoint2name
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np

from tests.contents import contents

SHORTEST = 4  # minimum characters of a value
WORD = 8  # a shorter value counts only as a separate word, otherwise it would match by chance
LONG_DIGITS = 7  # a value of at least this many digits is also found with other separators, or none
BLOCK = 1 << 24  # bytes that are searched at a time
_BETWEEN = rb"(?:[ ().\-/_+]|\xc2\xa0|\xc2\xad|\xe2\x80[\x80-\x95\xaf]|\xe2\x81\xa0){0,4}+"
_NUMBER = re.compile(rb"[0-9](?:" + _BETWEEN + rb"[0-9]){%d,}+" % (LONG_DIGITS - 1))
_GROUP = re.compile(rb"[0-9]+")
_ESCAPED = re.compile(rb"(?:\\[nrt]|%[0-9a-f]{2})\Z")


def sweep(
    folder: Path, values: Mapping[str, str], skip: Callable[[Path], bool] = lambda path: False
) -> list[tuple[Path, str]]:
    """Search for values in every file below a folder, and in the names of the files.

    Args:
        values: name -> value of at least 4 characters; a value under 8 characters is found as a whole word only.
        skip: selects files to skip.
    Returns:
        Sorted pairs of path and name of a value found in it, without duplicates; never a value.
    """
    needles = Needles(values)
    findings = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not skip(path)):
        in_path = needles.find(str(path.relative_to(folder)).encode(errors="surrogateescape"))
        findings |= {(path, name) for name in in_path}
        try:
            for content in contents(path):
                findings |= {(path, name) for name in needles.find(content)}
        except FileNotFoundError:
            continue  # deleted since it was listed, like a server's temporary files
    return sorted(findings)


class Needles:
    """Values in all their spellings, for a search in one pass."""

    def __init__(self, values: Mapping[str, str]) -> None:
        short = sorted(name for name, value in values.items() if len(value.strip()) < SHORTEST)
        if short:
            raise ValueError(f"values under {SHORTEST} characters match everywhere: {', '.join(short)}")
        self.digits: dict[bytes, list[str]] = defaultdict(list)
        spelled: dict[bytes, tuple[list[str], bool]] = {}
        for name, value in values.items():
            digits = "".join(character for character in value if character.isdecimal()).encode()
            if len(digits) >= LONG_DIGITS and not re.search(r"[^\W\d_]", value):
                self.digits[digits].append(name)
            for needle in _spellings(value.strip()):
                spelled.setdefault(needle, ([], len(value.strip()) < WORD))[0].append(name)
        self.longest = max(map(len, spelled), default=1)
        self.windows = [_Windows(size, spelled) for size in (8, 4)]

    def find(self, content: bytes) -> set[str]:
        """Return the names of the values in the bytes."""
        content, names = content.lower(), set()
        for start in range(0, max(len(content), 1), BLOCK):
            block = content[start : start + BLOCK + self.longest]
            for windows in self.windows:
                names |= windows.find(block)
            if self.digits:
                names |= self._numbers(block)
        return names

    def _numbers(self, content: bytes) -> set[str]:
        """Return the values of digits with any separators: any run of adjacent groups may be one."""
        names: set[str] = set()
        longest = max(map(len, self.digits))
        for number in _NUMBER.finditer(content):
            groups = _GROUP.findall(number[0])
            for first in range(len(groups)):
                joined = b""
                for group in groups[first:]:
                    joined += group
                    if len(joined) > longest:
                        break
                    names.update(self.digits.get(joined, ()))
        return names


class _Windows:
    """Needles by their first `size` bytes: 8, or 4 for those that are shorter than 8."""

    def __init__(self, size: int, spelled: Mapping[bytes, tuple[list[str], bool]]) -> None:
        self.size = size
        self.needles: dict[int, list[tuple[bytes, list[str], bool]]] = defaultdict(list)
        for needle, (names, whole) in spelled.items():
            if (8 if len(needle) >= 8 else 4) == size:
                self.needles[int.from_bytes(needle[:size], "little")].append((needle, names, whole))
        self.table = np.zeros(1 << 20, dtype=bool)
        self.table[_hash(np.array(list(self.needles), dtype=np.uint64))] = True

    def find(self, content: bytes) -> set[str]:
        matches: set[str] = set()
        if len(content) < self.size or not self.needles:
            return matches
        padded = np.frombuffer(content + bytes(-len(content) % self.size), dtype=np.uint8)
        for shift in range(self.size):
            windows = np.frombuffer(padded[shift : len(padded) - (len(padded) - shift) % self.size], f"<u{self.size}")
            windows = windows.astype(np.uint64)
            for at in np.flatnonzero(self.table[_hash(windows)]):
                for needle, names, whole in self.needles.get(int(windows[at]), ()):
                    start = int(at) * self.size + shift
                    if content.startswith(needle, start) and not (whole and _glued(content, start, len(needle))):
                        matches.update(names)
        return matches


def _hash(windows: np.ndarray) -> np.ndarray:
    return (windows * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(44)


def _glued(content: bytes, start: int, length: int) -> bool:
    """Check for a letter or digit directly before or after; the n of an escaped line feed does not count."""
    before, after = _ESCAPED.sub(b" ", content[max(start - 3, 0) : start]), content[start + length : start + length + 1]
    return any(chr(byte).isalnum() for byte in before[-1:] + after if byte < 128)


def _spellings(value: str) -> set[bytes]:
    """Return all spellings of a value, as lower-case bytes."""
    cases = {value, value.lower(), value.upper(), value.title(), value.casefold()}
    for form in ("NFC", "NFD", "NFKC"):
        cases |= {unicodedata.normalize(form, case) for case in tuple(cases)}
    texts = cases | {spelling for case in cases for spelling in (*_marked_up(case), *_escaped(case))}
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
    return {
        text.encode(encoding, "ignore").lower() for text in texts for encoding in encodings if _fits(text, encoding)
    }


def _marked_up(text: str) -> Iterator[str]:
    """Yield spellings in HTML: with special characters, all non-ASCII characters, or all characters escaped."""
    for escaped in (html.escape(text), html.escape(text, quote=False), html.escape(text).replace("&#x27;", "&#39;")):
        yield escaped
        yield escaped.encode("ascii", "xmlcharrefreplace").decode()
        yield json.dumps(escaped)[1:-1]
    yield "".join(f"&{codepoint2name[ord(sign)]};" if ord(sign) in codepoint2name else sign for sign in text)
    yield "".join(f"&#{ord(sign)};" for sign in text)
    yield "".join(f"&#x{ord(sign):x};" for sign in text)


def _escaped(text: str) -> Iterator[str]:
    """Yield spellings in JSON, in scripts, in links and in Python's notation."""
    yield json.dumps(text)[1:-1]
    yield json.dumps(json.dumps(text)[1:-1])[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1].replace("/", "\\/")
    yield "".join(f"\\u{ord(sign):04x}" if sign in "<>&'" else sign for sign in json.dumps(text)[1:-1])
    yield "".join(f"\\u{ord(sign):04x}" for sign in text)
    yield text.encode("unicode_escape").decode()
    yield from (quote(text), quote(text, safe=""), quote_plus(text))


def _fits(text: str, encoding: str) -> bool:
    return encoding != "latin-1" or all(ord(character) < 256 for character in text)
