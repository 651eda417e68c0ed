"""Replace personal values by a placeholder, pseudonym, mask or hash, depending on the entity type.

Detection first leaves only placeholders (`tasks/scrub/placeholders.py`); `put` then replaces each one as its type
requires, in one pass whose results are not searched again. A replacement depends on the key, the type and the value,
never on order, batch or conversation; only the number of a placeholder does.
"""

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache

from deskloop.contract.errors import ConfigError
from deskloop.contract.placeholders import PLACEHOLDER, entity_type
from tasks.scrub.decode import Decoded, decode
from tasks.scrub.replacement.people import PERSON, made_email, normal_person
from tasks.scrub.replacement.pseudonyms import pseudonym
from tasks.scrub.replacement.shapes import digits_of, normal
from tasks.scrub.span import Span

__all__ = ["HASH_DIGITS", "Replacement", "hide_masks", "put", "replacement"]

HASH_DIGITS = 12  # a collision among a million values is about as likely as not
KEYED = ("pseudonym", "hash")
LAST_FOUR = ("CREDIT_CARD",)  # support staff refer to the last four digits, which are too few to misuse
CARD_DIGITS = 12  # minimum digits of a number whose last four may stay
MASK = "****"  # the same for any value, so that its length reveals nothing
MASKED = "<MASKED_0>"  # stands for a mask in the input during detection
_MASK = re.compile(r"(?<!\*)\*{4}(?!\*)(?:[0-9]{4}(?![0-9]))?")


@lru_cache(maxsize=16)
def replacement(modes: tuple[tuple[str, str], ...], key: bytes) -> "Replacement":
    """Return the `Replacement` for a config's `replace_items`; it is cached, since it caches what it creates."""
    return Replacement(dict(modes), key)


class Replacement:
    """Creates and caches the replacements of values.

    Attributes:
        masks: whether any type is masked.
    """

    def __init__(self, modes: Mapping[str, str], key: bytes) -> None:
        """Take the modes by entity type (`default`, else `placeholder`, for the other types) and the secret key.

        Raises:
            ConfigError: a mode needs a key, but there is none.
        """
        self._modes = dict(modes)
        self._default = self._modes.pop("default", "placeholder")
        self._key = key
        used = {self._default, *self._modes.values()}
        if not key and used & set(KEYED):
            raise ConfigError(
                "`replace` asks for pseudonyms or hashes, which need the key of a store; pass the pipeline file (-c)",
                "scrub",
            )
        self.masks = "mask" in used
        self._made = lru_cache(maxsize=65536)(self._make)

    def mode(self, entity: str) -> str:
        """Return the mode of a type; findings of a type with mode `keep` are ignored."""
        return self._modes.get(entity, self._default)

    def text(self, entity: str, value: str, number: int, whole: str = "") -> str:
        """Return the replacement of a value.

        Args:
            entity: its type.
            value: the value as written in the text.
            number: the number of its placeholder.
            whole: the value of which it is a part or another spelling; "": the value itself.
        """
        mode = self.mode(entity)
        if mode == "placeholder":
            return f"<{entity}_{number}>"
        return value if mode == "keep" else self._made(entity, value, whole or value)

    def _make(self, entity: str, value: str, whole: str) -> str:
        mode = self.mode(entity)
        if mode == "mask":
            digits = digits_of(value)
            return MASK + (digits[-4:] if entity in LAST_FOUR and len(digits) >= CARD_DIGITS else "")
        normalized = normal_person(whole) if entity == PERSON else normal(entity, whole)
        if mode == "hash":
            low = 10 ** (HASH_DIGITS - 1)
            return f"<{entity}_{low + self._number('hash', entity, normalized) % (9 * low)}>"
        if made_email(value, self._check):
            return value  # it is one of our pseudonyms: scrubbing twice must not change it
        return pseudonym(entity, value, whole, lambda *more: self._number(entity, normalized, *more), self._check)

    def _check(self, text: str) -> int:
        return self._number("check", text)

    def _number(self, *parts: object) -> int:
        message = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
        return int.from_bytes(hmac.digest(self._key, message, "sha256"), "big")


def hide_masks(text: Decoded) -> Decoded:
    """Hide the masks in a text, so that scrubbing twice does not detect them as values; `put` restores them."""
    return text.edit([(match.start(), match.end(), MASKED) for match in _MASK.finditer(text.text)])


def put(text: Decoded, source: str, made: Replacement, wholes: Mapping[str, str]) -> tuple[Decoded, list[Span]]:
    """Replace the placeholders of a text as their types require, after detection has finished.

    Args:
        text: a text with placeholders, with its map to `source`.
        source: the original text.
        made: creates the replacements.
        wholes: placeholder of this conversation -> its whole value; other placeholders were in the input and stay.
    Returns:
        The text with its map, and the spans of all replacements in it, in order.
    """
    edits: list[tuple[int, int, str]] = []
    spans: list[Span] = []
    shift = 0
    for match in PLACEHOLDER.finditer(text.text):
        start, end = match.span()
        entity, new = entity_type(match[0]), match[0]
        if new == MASKED:
            new = decode(source[slice(*text.source(start, end))]).text
            edits.append((start, end, new))
            shift += len(new) - (end - start)
            continue
        whole = wholes.get(match[0])
        # A placeholder of a type with mode `keep` may cover more than its value, so it stays.
        if whole is not None and made.mode(entity) not in ("placeholder", "keep"):
            begin, finish = text.source(start, end)
            number = int(match[0].rpartition("_")[2][:-1])
            new = made.text(entity, decode(source[begin:finish]).text, number, whole)
            edits.append((start, end, new))
        spans.append(Span(start + shift, start + shift + len(new), entity, 1.0))
        shift += len(new) - (end - start)
    return text.edit(edits), spans
