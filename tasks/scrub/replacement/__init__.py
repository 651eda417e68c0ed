"""What stands in place of a personal value: placeholder, pseudonym, mask or hash, by entity type.

Detection and numbering come first and end with placeholders alone (`tasks/scrub/placeholders.py`); `put` then goes over
the text once and puts what the types ask for. Nothing is looked for in what it has put. What a value becomes depends on
the key, the type and the value: never on order, batch or conversation, the number of a placeholder excepted.
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

HASH_DIGITS = 12  # of the number in a hash: a million values share one about as often as not
KEYED = ("pseudonym", "hash")
LAST_FOUR = ("CREDIT_CARD",)  # what support staff go by, and too little to use
CARD_DIGITS = 12  # the least a number needs for four of its digits to be a small part
MASK = "****"  # as long for any value: the length tells nothing
MASKED = "<MASKED_0>"  # stands for a mask that came with the text, for as long as values are looked for
_MASK = re.compile(r"(?<!\*)\*{4}(?!\*)(?:[0-9]{4}(?![0-9]))?")


@lru_cache(maxsize=16)
def replacement(modes: tuple[tuple[str, str], ...], key: bytes) -> "Replacement":
    """The `Replacement` of a config's `replace_items`, kept with what it has made."""
    return Replacement(dict(modes), key)


class Replacement:
    """Makes what stands in place of values; keeps what it has made.

    Attributes:
        plain: whether there are placeholders only, so that no second pass is needed.
        masks: whether a type is masked.
    """

    def __init__(self, modes: Mapping[str, str], key: bytes) -> None:
        """Take the modes by entity type (`default`: of those not named; else `placeholder`), and the secret.

        Raises:
            ConfigError: a mode needs a key, and there is none.
        """
        self._modes = dict(modes)
        self._default = self._modes.pop("default", "placeholder")
        self._key = key
        used = {self._default, *self._modes.values()}
        if not key and used & set(KEYED):
            raise ConfigError(
                "`replace` asks for pseudonyms or hashes, which need the key of a store: name the pipeline file (-c)",
                "scrub",
            )
        self.plain = used <= {"placeholder", "keep"}
        self.masks = "mask" in used
        self._made = lru_cache(maxsize=65536)(self._make)

    def mode(self, entity: str) -> str:
        """What becomes of values of a type. The findings of a type that is kept count for nothing."""
        return self._modes.get(entity, self._default)

    def text(self, entity: str, value: str, number: int, whole: str = "") -> str:
        """What stands for a value.

        Args:
            entity: its type.
            value: how it reads where it stands.
            number: of its placeholder.
            whole: the value that it is a part or a spelling of; "": it is whole itself.
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
        known_as = normal_person(whole) if entity == PERSON else normal(entity, whole)
        if mode == "hash":
            low = 10 ** (HASH_DIGITS - 1)
            return f"<{entity}_{low + self._number('hash', entity, known_as) % (9 * low)}>"
        if made_email(value, self._check):
            return value  # one of ours: a second scrubbing leaves it
        return pseudonym(entity, value, whole, lambda *more: self._number(entity, known_as, *more), self._check)

    def _check(self, text: str) -> int:
        return self._number("check", text)

    def _number(self, *parts: object) -> int:
        message = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
        return int.from_bytes(hmac.digest(self._key, message, "sha256"), "big")


def hide_masks(text: Decoded) -> Decoded:
    """The text with its masks hidden, so that no second scrubbing takes one for a value; `put` brings them back."""
    return text.edit([(match.start(), match.end(), MASKED) for match in _MASK.finditer(text.text)])


def put(text: Decoded, source: str, made: Replacement, wholes: Mapping[str, str]) -> tuple[Decoded, list[Span]]:
    """Put what `made` makes in place of a text's placeholders, once detection has come to an end.

    Args:
        text: a text with placeholders; its map leads back to `source`.
        source: the text as it came in.
        wholes: placeholder of this conversation -> the whole value that it stands for; a placeholder that is not here
            came with the text, and stays.
    Returns:
        The text with its map, and the spans in it of everything that stands for a value, in order.
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
        # What a kept type's placeholder covers may hold more than its value: it stays covered.
        if whole is not None and made.mode(entity) not in ("placeholder", "keep"):
            begin, finish = text.source(start, end)
            number = int(match[0].rpartition("_")[2][:-1])
            new = made.text(entity, decode(source[begin:finish]).text, number, whole)
            edits.append((start, end, new))
        spans.append(Span(start + shift, start + shift + len(new), entity, 1.0))
        shift += len(new) - (end - start)
    return text.edit(edits), spans
