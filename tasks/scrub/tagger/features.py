"""Features of a single token, independent of its context."""

import unicodedata
import zlib
from typing import NamedTuple

from tasks.scrub.tagger.tokens import is_placeholder

BUCKETS = 16384  # hashed character n-grams
GRAMS = (2, 3, 4, 5)
SHAPES = 40
FLAGS = (
    "given_common", "given", "surname_common", "surname", "city_large", "city", "country", "street",
    "noun", "verb", "adjective", "lemma", "frequent",
)  # fmt: skip
NAME_FLAGS = 4  # the first flags, which are sometimes hidden during training because no list of names is complete
_ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ly", "ies")


class Features(NamedTuple):
    """A token's fingerprint for look-ups, the fingerprints of its possible stems, its shape and n-gram buckets."""

    word: int
    stems: tuple[int, ...]
    shape: int
    grams: list[int]


def features(token: str) -> Features:
    """Return the features of a token from `tokens.pieces`, including its leading blank."""
    core = token.lstrip(" ") or token
    glued = core == token
    if is_placeholder(token):
        return Features(0, (), 39, [])
    key = fold(core)
    data = f"^{key}$".encode("utf-8", "surrogatepass")
    if not key[0].isalpha():
        return Features(zlib.crc32(data), (), _shape(core) * 2 + glued, [zlib.crc32(data) % BUCKETS])
    grams = [zlib.crc32(data[at : at + size]) % BUCKETS for size in GRAMS for at in range(len(data) - size + 1)]
    stems = tuple(fingerprint(key[: -len(end)]) for end in _ENDINGS if key.endswith(end) and len(key) > len(end) + 2)
    return Features(fingerprint(key), stems, _shape(core) * 2 + glued, grams)


def fold(word: str) -> str:
    """Return the word in lower case, without accents."""
    word = word.lower()
    if word.isascii():
        return word
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))
    return bare or word


def fingerprint(key: str) -> int:
    """Return the 32-bit key of a folded word in the model file."""
    return zlib.crc32(f"^{key}$".encode("utf-8", "surrogatepass"))


def _shape(core: str) -> int:
    """Return 0 to 18 for the case of a word, the length of a digit run, or the kind of a sign."""
    first = core[0]
    if first.isalpha():
        if len(core) == 1:
            return 0 if core.islower() else 1
        if core.islower():
            return 2
        if core.isupper():
            return 3
        return 4 if core[1:].islower() else 5 if first.isupper() else 6
    if first.isdigit():
        return 6 + min(len(core), 9)
    if core == "\n":
        return 16
    return 17 if first in ".,;:!?" else 18
