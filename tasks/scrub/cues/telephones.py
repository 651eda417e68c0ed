"""Detect phone numbers after a cue word, in groupings that belong to no numbering plan, such as 451 5986."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

DIGITS = range(6, 16)  # of a phone number with all prefixes (ITU-T E.164)
_VALUE = re.compile(r"\+?\(?\d(?:[ ().\-\u2013/]{0,2}\d){5,14}(?![\w%]|[.,:]\d)")
_LEAD = re.compile(
    r"\b(?:(?:tele)?phone|tel|mobile|cell(?:phone)?|fax|whatsapp|call(?:ed|ing)?|dial(?:led)?|ring|reach(?:ed)?|text"
    r"|answering|contact)(?: (?:me|us|him|her|them|back|number|num|no|nr|is|was|at|on|by|my|the|a|new|old)\b){0,5}"
    r"[.:#]{0,2}(?: ?(?:is|=))?\s{0,3}$",
    re.IGNORECASE,
)
_MONEY = re.compile(r"[$€£¥₹]\s?$")
BEFORE = 60  # characters before a number that are searched for a cue

PHONE_WORDS = listed(
    """
    phone telephone tel mobile cell cellphone fax whatsapp call called calling dial dialled ring reach reached text
    answering contact
    """
)


def telephones(words: Tokens) -> Iterator[Span]:
    """Yield every number of six to fifteen digits directly after a cue word."""
    text = words.text
    for match in _VALUE.finditer(text):
        size = sum(map(str.isdigit, match[0]))
        before = text[max(0, match.start() - BEFORE) : match.start()]
        if size in DIGITS and _LEAD.search(before) and not _MONEY.search(before):
            yield Span(match.start(), match.end(), "PHONE_NUMBER", 0.7)
