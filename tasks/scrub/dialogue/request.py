"""Read which values a turn of an agent, or a form, asks the customer for."""

import re
from functools import lru_cache
from typing import NamedTuple

from tasks.scrub.dialogue.field_names import FIELD, NUMBERED, WORDS

FORM = 150  # maximum characters of a sentence that may be a list of fields
LONG = 600  # maximum characters of a text whose result is cached

_SENTENCE = re.compile(r"[^.?!\n]++(?:\.(?=\w)[^.?!\n]*+)*+[.?!]*+")
_ASKING = re.compile(
    r"\b(?:please|pl[sz]|kindly|need|require|provide|give|tell|enter|type|send|share|confirm|verify|supply|state"
    r"|let me know"
    r"|looking for|asking for|may (?:i|we)|can (?:i|we)|could (?:i|we)|want|yet to|missing|what(?:['’]?s| is| was"
    r"| were| are)"
    r"|help me with|include|submit|spell|repeat|say|do you (?:have|remember|know|recall)|remind me|input|write)\b",
    re.IGNORECASE,
)
_NO_REQUEST = re.compile(
    r"\b(?:thank(?:s| you) for|i can confirm|has been|have been|do(?:es)? ?n[o'’]t need|no need|would you like"
    r"|do you want"
    r"|shall i|should i|want me to|don[’']?t (?:share|give|tell|send)|never (?:share|give|tell|send)"
    r"|you can (?:find|change|reset))\b",
    re.IGNORECASE,
)
_GLUE = re.compile(
    r"\b(?:and|or|your|ur|the|a|an|also|as well|too|please|pl[sz]|ok|okay|right|first|then|hi|hello|now|of|for"
    r"|great|thanks"
    r"|thank you|sure|next|finally|well|good|perfect|in|on|account|file|number|any|no problem|another|one|second)\b"
    r"|[\W\d_]+",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"\b(?:not|n['’]t|cannot|unable|no)\b[^.?!\n]{0,40}\b(?:match|authenticat\w*|verif\w*|valid|recogni[sz]\w*|find"
    r"|locate"
    r"|correct|record)\b|\b(?:incorrect|invalid|wrong|try again|double[ -]?check|re-?enter|once more|the rest"
    r"|still need|without a|(?:correct|right) one)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z0-9/]+|#")
# fmt: off
_AGAIN_WORDS = (
    "match", "authent", "verif", "valid", "recogni", "find", "locate", "correct", "record", "wrong", "again",
    "check", "enter", "once more", "the rest", "still need", "without a", "right one",
)
# fmt: on
_VERIFYING = ("secur", "secret", "verif", "authentic", "identi", "maiden", " pin")


class Request(NamedTuple):
    """The requests in a turn.

    Attributes:
        kinds: the requested entity types, in order, without duplicates, and `LAST_DIGITS` and `FAVOURITE` (a security
            question if the conversation verifies the customer's identity).
        about: the type of the number whose last digits are requested.
        again: whether it says that an answer was wrong or incomplete.
        verifies: whether it verifies the customer's identity.
        question: whether it contains a question mark.
    """

    kinds: tuple[str, ...]
    about: str
    again: bool
    verifies: bool
    question: bool


def request(text: str) -> Request:
    """Return the requests in a decoded turn of another role than the customer's; placeholders are ignored."""
    return _cached(text) if len(text) <= LONG else _request(text)


@lru_cache(maxsize=8192)
def _cached(text: str) -> Request:
    return _request(text)


def _request(text: str) -> Request:
    lower = text.lower()
    about = "US_SSN" if "social" in lower or "ssn" in lower else "CREDIT_CARD" if "card" in lower else "ACCOUNT_NUMBER"
    again = any(word in lower for word in _AGAIN_WORDS) and _AGAIN.search(text) is not None
    verifies = any(word in lower for word in _VERIFYING)
    return Request(_requested(text), about, again, verifies, "?" in text)


def _requested(text: str) -> tuple[str, ...]:
    kinds: dict[str, None] = {}
    for match in _SENTENCE.finditer(text):
        sentence = match[0]
        words = _WORD.findall(sentence.lower())
        if WORDS.isdisjoint(words) and ("no" not in words or NUMBERED.isdisjoint(words)):
            continue
        asking = sentence.rstrip().endswith("?") or _ASKING.search(sentence) is not None
        if not asking and len(sentence) > FORM:
            continue
        fields = [(field.lastgroup or "", field.span()) for field in FIELD.finditer(sentence)]
        if not fields or _NO_REQUEST.search(sentence):
            continue
        if asking or _is_form(sentence, [span for _, span in fields]):
            kinds.update(dict.fromkeys(kind for kind, _ in fields))
    return tuple(kinds)


def _is_form(sentence: str, fields: list[tuple[int, int]]) -> bool:
    """Check whether a sentence consists of names of fields only: "Full name, account number and PIN"."""
    rest, position = [], 0
    for start, end in fields:
        rest.append(sentence[position:start])
        position = end
    return not _GLUE.sub("", " ".join([*rest, sentence[position:]]))
