"""WordNet 3.0's own files (https://wordnet.princeton.edu/documentation/wndb5wn), read for plain synonyms only.

A synonym is offered where a word means mostly one thing: its part of speech and its first sense must make up most of
its uses in the texts that WordNet's authors tagged, and the synonym, too, must often be used in that sense.
"""

import hashlib
import os
import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from deskloop.contract.errors import ConfigError
from deskloop.contract.paths import written

POS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
TYPES = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # a sense key's number of the part of speech
FILES = ("cntlist.rev", *(f"{kind}.{pos}" for pos in POS for kind in ("data", "index")), *(f"{pos}.exc" for pos in POS))
PLACE = "/usr/share/wordnet"  # of Debian's package wordnet-base
MOSTLY = 0.5  # share of a word's tagged uses that its part of speech must have
FIRST = 0.4  # share of a word's uses as that part of speech that its first sense must have
LEAST = 3  # tagged uses, below which WordNet's order of senses says little
# A synonym must have the sense in this share of its own uses, and be used so often in it for each use of the word.
OFTEN, RARE = 0.2, 0.03
PLAIN = re.compile(r"[a-z]{3,}")
INFLECTED = re.compile(r"([a-z]{2,}?)(?:ed|ing|s|es|er|est)")


class WordNet:
    """Synonyms by word, from a folder with WordNet's files; about 0.4 s to read."""

    def __init__(self, folder: Path) -> None:
        """Read indices, counts and exceptions; the definitions are left on the disk's side of one bytes object."""
        self._senses: dict[tuple[str, str], list[int]] = {}
        self._data: dict[str, bytes] = {}
        self._irregular: set[str] = set()
        for name, pos in POS.items():
            self._data[pos] = (folder / f"data.{name}").read_bytes()
            for entry in (folder / f"index.{name}").read_text(encoding="utf-8").splitlines():
                if not entry.startswith(" "):
                    lemma, _, count, *rest = entry.split()
                    self._senses[lemma, pos] = [int(offset) for offset in rest[-int(count) :]]
            exceptions = (folder / f"{name}.exc").read_text(encoding="utf-8").splitlines()
            self._irregular |= {line.split()[0] for line in exceptions if line.strip()}
        self._tagged: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
            key, sense, count = line.split()
            lemma, _, kind = key.partition("%")
            self._tagged[lemma, TYPES[kind[0]]][int(sense)] = int(count)
        self._known: dict[str, tuple[str, ...]] = {}

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Return synonyms of a lower-case word, sorted; none if they are uncertain."""
        if word not in self._known:
            self._known[word] = self._find(word)
        return self._known[word]

    def _find(self, word: str) -> tuple[str, ...]:
        pos = self._part_of_speech(word)
        if pos is None or not PLAIN.fullmatch(word) or word in self._irregular or self._looks_inflected(word):
            return ()
        offset = self._senses[word, pos][0]
        others = {other for other in self._lemmas(pos, offset) if other != word and PLAIN.fullmatch(other)}
        return tuple(sorted(other for other in others if self._usual(other, word, pos, offset)))

    def _part_of_speech(self, word: str) -> str | None:
        """Return the word's usual part of speech, if its first sense is the usual one; None if either is unclear."""
        uses = {pos: sum(self._uses(word, pos).values()) for pos in POS.values() if (word, pos) in self._senses}
        best = max(uses, key=lambda pos: uses[pos], default=None)
        if best is None or uses[best] < LEAST or uses[best] < MOSTLY * sum(uses.values()):
            return None
        return best if self._uses(word, best).get(1, 0) >= FIRST * uses[best] else None

    def _uses(self, word: str, pos: str) -> dict[int, int]:
        """Sense, from 1, to the number of its uses in tagged texts."""
        return self._tagged.get((word, pos), {})

    def _looks_inflected(self, word: str) -> bool:
        """Check whether the word may be a form of another: `used` is an adjective here, but mostly a form of `use`."""
        match = INFLECTED.fullmatch(word)
        stems = () if match is None else (match[1], match[1] + "e", match[1][:-1])
        return any((stem, pos) in self._senses for stem in stems for pos in "nva")

    def _usual(self, other: str, word: str, pos: str, offset: int) -> bool:
        """Check that the synonym often has this sense, and is not rare in it."""
        senses, uses = self._senses.get((other, pos), []), self._uses(other, pos)
        count = uses.get(senses.index(offset) + 1, 0) if offset in senses else 0
        return count >= max(2, OFTEN * sum(uses.values()), RARE * self._uses(word, pos)[1])

    def _lemmas(self, pos: str, offset: int) -> list[str]:
        data = self._data[pos]
        _, _, _, count, *rest = data[offset : data.index(b"|", offset)].decode().split()
        return [word.partition("(")[0] for word in rest[: 2 * int(count, 16) : 2]]


def place(declared: str | None) -> Path:
    """Return the folder of WordNet's files: as declared, $WNSEARCHDIR, or Debian's."""
    return Path(declared or os.environ.get("WNSEARCHDIR") or PLACE)


def check(declared: str, where: str) -> None:
    """Refuse a declared folder that lacks WordNet's files.

    Raises:
        ConfigError: which files are missing.
    """
    missing = [name for name in FILES if not (place(declared) / name).is_file()]
    if missing:
        names = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ConfigError(
            f"{where}: wordnet {written(declared)!r} lacks {names}: expected a folder with the "
            "files of WordNet 3.0, such as Debian's package wordnet-base has",
            "augment",
        )


def version(declared: str | None) -> str | None:
    """A digest of WordNet's files; None if one is missing."""
    paths = [place(declared) / name for name in FILES]
    if not all(path.is_file() for path in paths):
        return None
    return _digest(tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=16)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path, _, _ in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return f"data {digest.hexdigest()}"
