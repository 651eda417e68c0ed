"""Detect answers to security questions, user names, passwords and addresses, which can be any words."""

import re
from collections.abc import Iterator

from tasks.scrub.dialogue.clauses import clauses, without_fillers
from tasks.scrub.dialogue.names import LEAD
from tasks.scrub.dialogue.stopwords import REFUSAL, TOKEN, is_stop, is_usual
from tasks.scrub.span import Span

SCORE = 0.9
ANSWERS, ANSWER_WORDS = 4, 4  # maximum answers in a turn, and words of an answer
CREDENTIAL = 3  # minimum characters of a user name or a password
ADDRESS = (6, 150)  # minimum and maximum characters of an address

_JOINT = re.compile(r"\s{1,3}(?:or|and|but|no,?)\s{1,3}", re.IGNORECASE)
_WORD = re.compile(r"[^\W_][\w'’.-]*+")
_SPACE = re.compile(r"\s+")
_ARTICLE = re.compile(r"(?:a|an|the)\s{1,3}", re.IGNORECASE)
_LINK = re.compile(
    r"\b(?:is|was|were|named|called|name['’]?s|it['’]?s|its|that['’]?s|his|her|used|had|got|been|said)\s{1,3}"
    r"(?:(?:a|an|the|my|his|her|probably|maybe|perhaps|either|just|actually|definitely|always|of course|um+|pet|dog|cat"
    r"|goldfish|hamster|rabbit|parrot|bird|horse|fish|turtle|name|named|called|is|was)\s{1,3}){0,4}",
    re.IGNORECASE,
)
_NAMED = re.compile("named|called", re.IGNORECASE)
_POOR = re.compile(r"(?:my|our)\s{1,3}(?:(?:poor|dear|old|beloved|little|sweet|late)\s{1,3})?(?=[A-Z])", re.IGNORECASE)
_AFTER = re.compile(
    r"\s{0,3},?\s{0,3}(?:is|was|were)\s{1,3}(?:my|the|his|her|our|their|what)\b|\s{1,3}(?:here|speaking|calling)\b|\s{1,3}(?:the|a)\s{1,3}\w{1,30}",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r"\S{3,64}")
_CREDENTIAL_LEAD = re.compile(
    r"(?:my\s{1,3})?(?:(?:user ?name|user ?id|log ?in|pass ?word|pass ?phrase)(?:\s{1,3}(?:name|id))?|\bit)\s{0,3}"
    r"(?:is|was|['’]s|[:=])\s{0,3}|\bits\s{1,3}",
    re.IGNORECASE,
)
_ADDRESS_LEAD = re.compile(
    r"(?:my\s{1,3})?(?:(?:\b\w{1,20}\s{1,3})?address\s{0,3}(?:is|:|=)|\bit\s{1,3}is|\bit['’]?s|\b(?:i|we)\s{1,3}live\s{1,3}(?:at|in|on))\s{0,3}",
    re.IGNORECASE,
)
_ADDRESS_END = re.compile(
    r"[.!?](?:\s|$)|\n\s{0,3}\n|\s(?:and my|my|thanks|thank you|please|but|phone|email|is that|can you)\b",
    re.IGNORECASE,
)


def find_answers(text: str, fresh: bool) -> list[Span]:
    """Return the answers to security questions in a customer's turn, which can be any words, such as "blue" or "Ford".

    Args:
        text: the turn, placeholders shielded.
        fresh: whether the question directly precedes it; otherwise only words that are called the answer count.
    """
    spans: list[Span] = []
    bare = fresh
    for start, end in clauses(text):
        for begin, stop in _alternatives(text, start, end):
            answer = _answer(text, begin, stop, bare)
            if answer:
                spans.append(Span(*answer, "SECURITY_ANSWER", SCORE))
        bare = bare and text[start:end].strip() == ""
    return spans[:ANSWERS]


def _alternatives(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for joint in _JOINT.finditer(text, start, end):
        yield without_fillers(text, start, joint.start())
        start = joint.end()
    yield without_fillers(text, start, end)


def _answer(text: str, start: int, end: int, bare: bool) -> tuple[int, int] | None:
    if start >= end:
        return None
    refused = REFUSAL.search(text, start, end)
    after = _run(text, start, end)
    if after and not refused and _AFTER.match(text, after[1], end) and not LEAD.match(text, start, end):
        return after  # "Fluffy was my first cat"
    for link in sorted(_LINK.finditer(text, start, end), key=lambda link: not _NAMED.search(link[0])):
        if refused and not _NAMED.search(link[0]):
            continue
        run = _run(text, link.end(), end)
        if run and (text[run[0]].isupper() or not is_usual(_first(text, run)) or (bare and run[1] + 2 >= end)):
            return run
    poor = _POOR.match(text, start, end)
    if poor and bare:
        return _run(text, poor.end(), end)
    if refused or after is None:
        return None
    capital = text[after[0]].isupper()
    if bare:
        return after if after[1] + 1 >= end or capital else None
    return after if after[1] + 2 >= end and capital else None


def _first(text: str, run: tuple[int, int]) -> str:
    return text[run[0] : run[1]].split()[0].lower()


def _run(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span of the words from `start` that can be an answer, without a leading article."""
    article = _ARTICLE.match(text, start, end)
    start = article.end() if article else start
    last, count, position = start, 0, start
    while count < ANSWER_WORDS:
        token = _WORD.match(text, position, end)
        if token is None or is_stop(token[0]):
            break
        if count and text[start].isupper() and not token[0][0].isupper() and not token[0][0].isdigit():
            break
        last, count = token.end(), count + 1
        space = _SPACE.match(text, last, end)
        if space is None:
            break
        position = space.end()
    while last > start and text[last - 1] in ".-'’":
        last -= 1
    return (start, last) if count else None


def find_credential(text: str, kind: str) -> list[Span]:
    """Return the text that is called a user name or password, or that is unlikely to be a word of the sentence."""
    start, end = without_fillers(text, 0, len(text))
    lead = _CREDENTIAL_LEAD.search(text, start, end)
    token = _CREDENTIAL.match(text, lead.end() if lead else start, end)
    if token is None:
        return []
    value = token[0].rstrip(".,;:!?\"')")
    if len(value) < CREDENTIAL or is_stop(value):
        return []
    alone = not text[token.end() : end].strip()
    if not lead and value.isalpha() and not (alone and (value != value.lower() or not is_usual(value))):
        return []
    return [Span(token.start(), token.start() + len(value), kind, SCORE)]


def find_address(text: str) -> list[Span]:
    """Return the address in an answer: the text that is called an address, or that starts the turn; with a number."""
    start, end = without_fillers(text, 0, len(text))
    lead = _ADDRESS_LEAD.search(text, start, end)
    begin = lead.end() if lead else start
    stop = _ADDRESS_END.search(text, begin, end)
    value = text[begin : stop.start() if stop else end].rstrip(" ,;:.!?\n")
    words = TOKEN.findall(value)
    if not words or not ADDRESS[0] <= len(value) <= ADDRESS[1] or not any(map(str.isdigit, value)):
        return []
    if REFUSAL.search(value) or (not lead and sum(map(is_stop, words)) > 1 + len(words) // 4):
        return []
    return [Span(begin, begin + len(value), "ADDRESS", SCORE)]
