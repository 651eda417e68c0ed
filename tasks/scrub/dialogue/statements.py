"""Detect values that customers name in their turns, asked or not: PINs, security answers, birth dates, accounts."""

import re
from collections.abc import Iterator

from tasks.scrub.dialogue.names import find_introductions
from tasks.scrub.dialogue.stopwords import is_stop, is_usual
from tasks.scrub.dialogue.typed_values import DATE, numbers
from tasks.scrub.span import Span

SCORE = 0.9
ACCOUNT = 0.3  # low, because a pattern with a checksum decides better which account it is
ACCOUNT_DIGITS, PIN_DIGITS = 5, range(3, 7)

# Every text with such a value contains one of these.
# fmt: off
_INTRODUCING = (
    "name", "i'm", "i’m", "i am", "im ", "nmae", "naem", "this is", "call me", "it's", "host", " here", "speaking",
    "under ", "my ", "our ", "guest", "hosted", "short for", "for ", "the name",
)
_STATING = (
    "pin", "p.i.n", "maiden", "pet", "answer", "secur", "secret", "birth", "dob", "d.o.b", "born", "bday", "acc",
    "a/c", "ac#", "memorable", "dog", "cat", "verif",
)
# fmt: on

_HEDGE = r"(?:either|maybe|probably|perhaps|possibly|i think|i believe|it['’]?s|its|is|was|be|or|just|actually|set to"
_HEDGE += r"|of|the|um+|uh+)\s{1,3}"
_LINK = r"\s{0,3}(?:is|was|are|were|of|being|(?:might|could|should|would|may) be|['’]s)?\s{0,3}[:=#-]?\s{0,3}"
_LINK += rf"(?:{_HEDGE}){{0,3}}"
_OR = rf"(?:\s{{0,3}}(?:,|/|or|and)\s{{0,3}}){{1,2}}(?:{_HEDGE}){{0,2}}"
_PIN = re.compile(
    rf"\bp\.?i\.?n\.?s?(?:['’]s|\s{{0,3}}(?:number|code|no\.?|num|#)s?)?{_LINK}(\d{{3,8}})(?!\w)"
    rf"(?:{_OR}(\d{{3,8}})(?!\w))?(?:{_OR}(\d{{3,8}})(?!\w))?"
    r"|(?<!\w)(\d{3,8}) (?:is|was|as|for) (?:my|the) p\.?i\.?n\b",
    re.IGNORECASE,
)
_PIN_MENTION = re.compile(r"\bp\.?i\.?n\b", re.IGNORECASE)
_ACCOUNT = re.compile(
    rf"\b(?:account|acct|acc|a/?c)\b\.?(?:\s{{0,3}}(?:number|no\.?|num|nr|id|#))?"
    rf"(?:\s(?:at|with|from)\s(?!\d)\w{{1,30}})?{_LINK}(?:at\s)?"
    r"([A-Z]{0,4}\d[\dA-Z]*+(?:[ -]\d{2,}+)*+)(?!\w)"
    r"|(?<!\w)(\d{5,20}) (?:is|was|as) (?:my|the) (?:bank )?acc(?:oun)?t",
    re.IGNORECASE,
)
_BORN = r"(?:birth ?(?:day|date)?|d\.?o\.?b\.?|bday|born)"
_BORN += r"(?:\s{0,3}(?:is|was|on|in|the|=|:|-|,|of|it['’]?s|i was|['’]s)\s{0,3}){0,3}\s{0,3}"
_BIRTH = re.compile(_BORN + "$", re.IGNORECASE)
_BIRTH_DIGITS = re.compile(rf"\b(?:date of )?{_BORN}(\d{{4}}(?:\d{{2}}){{0,2}})(?!\w)", re.IGNORECASE)
_PET = r"(?:pet|dog|cat|goldfish|puppy|kitten|hamster)"
_SECRET = re.compile(
    rf"(?:\bmaiden(?:\s{{1,3}}name)?|\b(?:childhood|first|child)\s{_PET}(?:['’]?s)?(?:\s{{1,3}}name)?"
    rf"|\b{_PET}(?:['’]?s)\s{{1,3}}name|\b{_PET}\s{{1,3}}names?|\bname\sof\smy\s(?:\w{{1,20}}\s)?{_PET}"
    rf"|\bmy\s{_PET}(?=\s(?:was|is|as|when|growing|from))"
    r"|\b(?:security|secret|memorable|verification)\s(?:question\s)?(?:\d\s)?(?:answer|word|question|phrase)s?(?:\s\d)?"
    r"(?:\sanswer)?)"
    r"(?:\s(?:as a (?:kid|child)|when i was (?:a kid|a child|young|little)|growing up|from childhood))?"
    r"(?P<link>\s{0,3}(?:is|was|are|were|[:=-]|['’]s)?(?:\s(?:named|called|name))?"
    r"(?:\s{1,3}(?:is|was|a|an|the|i think|maybe|probably|either|just)){0,4}\s{1,3}"
    r"(?:a\s\w{1,20}\s(?:named|called)\s)?)",
    re.IGNORECASE,
)
_WEAK = re.compile(rf"my\s{_PET}\s{{1,3}}(?:is|was)(?:\s{{1,3}}(?:a|an|the|just))?\s{{1,3}}")
_LATER = re.compile(
    r"[^\n]{0,60}?\b(?:it['’]?s|it is|it was|which (?:is|was)|s?he was|that['’]?s)\s{1,3}(?=[^\W\d_])", re.IGNORECASE
)
_VALUE = re.compile(r"[\"'“‘]?([^\W_][\w'’-]*+)")
_NEXT = re.compile(r"( (?:or|and) | )([^\W\d_][\w'’-]*+)")
_SECRET_AFTER = re.compile(
    r"([^\W\d_][\w'’-]{1,30}) (?:is|was) (?:my|the) (?:mother['’]?s maiden|(?:childhood |first )(?:pet|dog|cat)"
    r"|(?:security|secret) (?:answer|word)|pet['’]?s name)",
    re.IGNORECASE,
)


def find_statements(text: str) -> list[Span]:
    """Return the values that a customer's turn names; spans may overlap.

    Args:
        text: the turn, placeholders shielded.
    """
    lower = text.lower()
    spans = find_introductions(text) if any(cue in lower for cue in _INTRODUCING) else []
    if any(cue in lower for cue in _STATING):
        if any(map(str.isdigit, text)):
            spans += _figures(text)
        spans += _secrets(text)
    return spans


def _figures(text: str) -> Iterator[Span]:
    for pattern, kind in ((_PIN, "PIN"), (_BIRTH_DIGITS, "DATE_OF_BIRTH")):
        for match in pattern.finditer(text):
            yield from (Span(*match.span(at), kind, SCORE) for at in range(1, pattern.groups + 1) if match[at])
    for match in _ACCOUNT.finditer(text):
        span = match.span(1 if match[1] else 2)
        if sum(map(str.isdigit, text[slice(*span)])) >= ACCOUNT_DIGITS:
            yield Span(*span, "ACCOUNT_NUMBER", ACCOUNT)
    for mention in _PIN_MENTION.finditer(text):
        # "I remember my PIN now. Try 1234."
        begin = max(0, mention.start() - 30)
        near = text[begin : mention.end() + 80]
        for start, end in numbers(near):
            cut = (begin + start > 0 and start == 0) or (end == len(near) and begin + end < len(text))
            if end - start in PIN_DIGITS and near[start:end].isdecimal() and not cut:
                yield Span(begin + start, begin + end, "PIN", SCORE)
    for date in DATE.finditer(text):
        if _BIRTH.search(text, max(0, date.start() - 40), date.start()):
            yield Span(*date.span(), "DATE_OF_BIRTH", SCORE)


def _secrets(text: str) -> Iterator[Span]:
    for match in _SECRET.finditer(text):
        cue = match[0].lower()
        linked = match["link"].strip() != "" or "maiden" in cue or "childhood" in cue or any(map(str.isdigit, cue))
        if _WEAK.fullmatch(cue) and not text[match.end() : match.end() + 1].isupper():
            continue  # "my dog is sick"
        words = _words(text, match.end()) if linked else []
        later = None if words else _LATER.match(text, match.end())
        yield from _words(text, later.end()) if later else words
    for match in _SECRET_AFTER.finditer(text):
        if not is_stop(match[1]):
            yield Span(*match.span(1), "SECURITY_ANSWER", SCORE)


def _words(text: str, start: int) -> list[Span]:
    """Return the answers that begin at `start`: "o hara" is one, "rex or bella" are two."""
    token = _VALUE.match(text, start)
    if token is None or is_stop(token[1]):
        return []
    if not token[1][0].isupper() and is_usual(token[1].lower()) and len(text) - token.end() >= 3:
        return []
    spans = [Span(*token.span(1), "SECURITY_ANSWER", SCORE)]
    position = token.end()
    lower = text[start : start + 60].islower()
    for _ in range(2):
        joined = _NEXT.match(text, position)
        if joined is None or is_stop(joined[2]):
            break
        if not joined[2][0].isupper() and not (lower and not is_usual(joined[2])):
            break
        if joined[1] == " ":
            spans[-1] = spans[-1]._replace(end=joined.end())
        else:
            spans.append(Span(*joined.span(2), "SECURITY_ANSWER", SCORE))
        position = joined.end()
    return spans
