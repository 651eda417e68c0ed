"""Detect names by unambiguous phrases: "my name is ...", "Name: ...", "this is ... speaking"."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import COUNTED, STOP, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

_CUE = re.compile(
    r"\b(?:(?:(?:^|(?<=\n)|(?<=[.,;!] ))my names?(?= )(?! (?:is|are|was)\b)|(?:my|full|first|last|sur|family|maiden"
    r"|middle|given|the|customer|account|holder|cardholder|card holder|contact)"
    r"[ -]?name(?:['\u2019]?s| is| are| was|[ ]?[:=])(?: is)?|(?:full|first|last|sur|family|maiden|middle"
    r"|given)[ -]?name)|surname(?: is|[ ]?:)|(?:^|(?<=\n)|(?<=[.,;] ))name(?: is|[ ]?[:=])?"
    r"|name[ ]?[:=]|(?<!company )(?<!business )(?<!street )(?<!city )(?<!user )"
    r"(?<!store )(?<!brand )(?<!domain )(?<!team )(?<!model )names? is"
    r"|people call me|call me by|speaking (?:with|to)|(?:i am|i'm|this is) called"
    r"|\b(?P<title>mr|mrs|ms|miss|dr|prof)\b\.?)[ \t]{1,3}(?:also |just |actually )?",
    re.IGNORECASE,
)
_SPEAKING = re.compile(
    r"\b(?:this is|it is|it's) (?P<name>[^\W\d_]{2,30}(?:[ ][^\W\d_]{2,30}){0,2}) (?:speaking|here|calling)\b", re.I
)
_PART = re.compile(r"[^\W\d_]{1,40}(?:['\u2019-][^\W\d_]{1,40}){0,2}\.?")
_NOT_NAMES = (
    STOP
    | COUNTED
    | listed(
        """
    first last full middle maiden family given known changed spelled mentioned associated attached linked under
    showing displayed saved appears incorrectly wrongly legally company brand user domain file street city email
    mail and ac acc acct ltd pvt pepper appt appointment office visit accountant huh company sometimes
    technology bank banker
    """
    )
)
_MOST = 4
NAME_WORDS = listed(
    """
    name names surname surnames firstname lastname fullname mr mrs ms miss dr prof speaking calling call
    """
)


def names(words: Tokens) -> Iterator[Span]:
    """Yield every name of one to four words after a phrase that only names follow."""
    text = words.text
    for match in _CUE.finditer(text):
        if words.chat and (match["title"] or "").lower() in ("dr", "prof", "miss"):
            continue
        if match[0].lower().startswith("speaking") and (
            words.chat or not text[match.end() : match.end() + 1].isupper()
        ):
            continue
        end = _end(text, match.end(), words.chat, 2 if match["title"] else _MOST)
        if end > match.end():
            yield Span(match.end(), end, "PERSON", 0.75)
    for match in _SPEAKING.finditer(text):
        if not any(word in _NOT_NAMES for word in match["name"].lower().split()):
            yield Span(*match.span("name"), "PERSON", 0.7)


def _end(text: str, start: int, chat: bool, most: int) -> int:
    """Return the end of a name: a capitalised one continues with capitals, any other up to an English word."""
    end, place, capital = start, start, text[start : start + 1].isupper() and not chat
    for _ in range(most):
        part = _PART.match(text, place)
        if part is None:
            break
        word = part[0].rstrip(".")
        if word.lower() in _NOT_NAMES or (
            capital and not word[0].isupper() and word.lower() not in ("de", "van", "der")
        ):
            break
        initial = len(word) == 1
        end = part.end() if initial else place + len(word)
        place = end
        if text[end : end + 1] != " ":
            break
        place = end + 1
    return end
