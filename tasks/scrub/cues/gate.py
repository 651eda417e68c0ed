"""Select the rules that can match in a text by a cheap check, which rules out most messages."""

import re

from tasks.scrub.cues.address import SAID
from tasks.scrub.cues.address_parts import STREET_WORDS
from tasks.scrub.cues.age import AGE_WORDS
from tasks.scrub.cues.email import EMAIL_SIGN
from tasks.scrub.cues.identifiers import CUE_WORDS
from tasks.scrub.cues.lexicon import DIGITS
from tasks.scrub.cues.names import NAME_WORDS
from tasks.scrub.cues.postcodes import POST_WORDS
from tasks.scrub.cues.secrets import BORN_WORDS, SECRET_WORDS
from tasks.scrub.cues.telephones import PHONE_WORDS

NUMBERS, STREETS, EMAILS, NAMES, SECRETS, SPOKEN, SAID_WORDS, IDENTIFIERS, BORN, POST, PHONES = (
    1 << place for place in range(11)
)
_BESIDE = SAID_WORDS | IDENTIFIERS | BORN | POST | PHONES  # only in texts with a digit

# Every match of EMAIL_SIGN contains one of these; searching for fixed strings is far faster than the expression.
_EMAIL_HINTS = (
    *("@", "com", "mail", "net", "yahoo", "org", "con", "coin", "couk", " dot ", "co in", "co uk", "at)", "at]"),
    *("at outlook", "at icloud", "at live"),
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W\d_]+")
_RULES: dict[str, int] = {}
for _rule, _words in (
    (STREETS, STREET_WORDS),
    (NAMES, NAME_WORDS),
    (SECRETS, SECRET_WORDS),
    (SPOKEN, (DIGITS - {"one", "two", "o", "oh"}) | AGE_WORDS),
    (SAID_WORDS, SAID),
    (IDENTIFIERS, CUE_WORDS),
    (BORN, BORN_WORDS - {"d", "b"}),
    (POST, POST_WORDS),
    (PHONES, PHONE_WORDS),
):
    for _word in _words:
        _RULES[_word] = _RULES.get(_word, 0) | _rule
_CUES = frozenset(_RULES)
_CUES_ALONE = frozenset(word for word, rule in _RULES.items() if rule & ~_BESIDE)


def rules(text: str) -> int:
    """Return the rules to run on a text, as bits; 0 if none can match."""
    low = text.lower()
    words = _WORD.findall(low)
    if _DIGIT.search(low):
        wanted, cues = NUMBERS, _CUES
        if "/" in low or ".o" in low:
            wanted |= IDENTIFIERS | BORN
    else:
        wanted, cues = 0, _CUES_ALONE
    for word in cues.intersection(words):
        wanted |= _RULES[word]
    for sign in _EMAIL_HINTS:
        if sign in low:
            return wanted | EMAILS if EMAIL_SIGN.search(low) else wanted
    return wanted
