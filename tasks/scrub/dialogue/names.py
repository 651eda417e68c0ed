"""Detect names in answers to a request for one, and in introductions."""

import re

from tasks.scrub.dialogue.clauses import clauses, without_fillers
from tasks.scrub.dialogue.stopwords import TOKEN, is_everyday, is_stop, is_usual
from tasks.scrub.shield import SHIELD
from tasks.scrub.span import Span

SCORE = 0.9
NAME_WORDS = 4  # maximum words of a name
NAMES = 3  # maximum names in an answer

_TITLE = re.compile(r"(?:mr|mrs|ms|miss|mx|dr|prof)\.?\s{1,3}", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_OWN = r"(?:my|the|her|his|their|our|your|it['’]?s)\s{1,3}"
# Phrases that lead to a name: "my first name is", "I'm", "it's", "under the name of".
LEAD = re.compile(
    rf"(?:{_OWN})?(?:(?:full|first|last|middle|given|family|legal|complete|host|guest|customer|user)(?:['’]s)?\s{{1,3}})?"
    r"(?:and\s{1,3}(?:last|first)\s{1,3})?(?:sur)?(?:name|nmae|naem)s?(?:['’]?s)?\s{1,3}(?:of the \w{1,30}\s{1,3})?"
    r"(?:is\s{1,3}|was\s{1,3}|are\s{1,3}|would be\s{1,3}|should be\s{1,3}|will be\s{1,3})?"
    rf"|{_OWN}(?:host|guest|friend|doctor|driver|son|daughter|child|husband|wife|party)(?:['’]s)?\s{{1,3}}(?:name\s{{1,3}})?"
    r"(?:is|was)\s{1,3}"
    r"|you(?:['’]?re|\s{1,3}are)\s{1,3}(?:speaking|talking|chatting)\s{1,3}(?:to|with)\s{1,3}"
    r"|(?:myself|it['’]?s me|(?:it|this|that) would be)\s{1,3}"
    r"|(?:i\s{1,3}am|i['’]?m|im|it\s{1,3}is|it['’]?s|its|that\s{1,3}is|that['’]?s"
    r"|that\s{1,3}would\s{1,3}be|this\s{1,3}is|these\s{1,3}are"
    r"|it\s{1,3}was|was|is"
    r"|call\s{1,3}me|you\s{1,3}can\s{1,3}call\s{1,3}me|they\s{1,3}call\s{1,3}me|i\s{1,3}go\s{1,3}by|i\s{1,3}used|spelled|named|called)\s{1,3}"
    r"|(?:under|for|with|to)\s{1,3}(?:the\s{1,3}name\s{1,3}(?:of\s{1,3})?)?",
    re.IGNORECASE,
)
_NAMING = re.compile("name|nmae|naem|call", re.IGNORECASE)
_IS_NAME = re.compile(r"\s{1,3}(?:here|speaking|is my (?:\w{1,30} )?name|is the name)\b", re.IGNORECASE)
_NAME_IS = re.compile(r"\bnames?(?:['’]?s|\s{1,3}(?:is|was|of|should be|will be))?\s{0,3}:?\s{1,3}", re.IGNORECASE)
_PARTICLES_WORDS = "al bin da de del della den der di dos du el ibn la le mac mc o san st van von"
_PARTICLES = frozenset(_PARTICLES_WORDS.split())
# Introductions; without a word such as "name", the name needs its capital letter.
_INTRODUCTION = re.compile(
    r"\b(?P<sure>(?:my|the|his|her) (?:(?:full|first|last|legal|given|family) )?(?:sur)?name"
    r"(?:['’]?s| is| was|:)|(?:under )?the name of|name:|(?:my|the) (?:nmae|naem) is) *(?:is +)?"
    r"|\b(?P<related>(?:my|our|her|his|a|for) (?:\w{1,30} )?(?:son|daughter|child|kid|girl|boy|baby|wife"
    r"|husband|fianc[eé]e?"
    r"|friend|colleague|mother|father|brother|sister|partner|boss|neighbou?r|roommate),?(?: is| was)?"
    r"|hosted by|under the name|short for|friends call me|(?:the )?(?:host|guest)[^.?!\n]{0,20} (?:is|will be)) +"
    r"|\b(?:i['’]?m|i am|this is|it['’]?s(?: me,)?|you can call me|call me|under"
    r"|(?:my|his|her) name|(?:host|guest):) +",
    re.IGNORECASE,
)
_HERE = re.compile(r"(?:[A-Z][\w'’-]{0,30} ){1,3}(?=here\b|speaking\b)")
_PEOPLES_WORDS = """
    african american arab asian atheist australian austrian belgian brazilian british bulgarian canadian catholic
    chinese christian danish dutch egyptian english european filipino finnish french german greek hindu hungarian
    indian indonesian iranian iraqi irish israeli italian jamaican japanese jewish kenyan korean latino mexican mormon
    muslim nigerian norwegian pakistani polish portuguese romanian russian scottish spanish swedish swiss thai turkish
    ukrainian vegan vegetarian vietnamese welsh
"""
_PEOPLES = frozenset(_PEOPLES_WORDS.split())


def find_names(text: str, fresh: bool) -> list[Span]:
    """Return the names in an answer to a request for one.

    Args:
        text: a customer's turn, placeholders shielded.
        fresh: whether the request directly precedes it; otherwise only words that are called a name count.
    """
    spans: list[Span] = []
    first = True
    for start, end in clauses(text):
        name = _name_in_clause(text, start, end, first and fresh)
        if name is None and spans and spans[-1].end >= start - 3:
            name = _alone(text, start, end)  # "Doe, Jane"
        if name:
            spans.append(Span(*name, "PERSON", SCORE))
        words = TOKEN.findall(text, start, end)
        aside = len(words) <= 4 and all(map(is_stop, words)) and SHIELD not in text[start:end]
        first = first and not name and aside
    return spans[:NAMES]


def _alone(text: str, start: int, end: int) -> tuple[int, int] | None:
    run = _run(text, start, end, 2)
    return run if run and not text[run[1] : end].strip() and text[run[0]].isupper() else None


def _name_in_clause(text: str, start: int, end: int, bare: bool) -> tuple[int, int] | None:
    lead = LEAD.match(text, start, end)
    if lead:
        named = _NAMING.search(lead[0]) is not None
        run = _run(text, lead.end(), end, NAME_WORDS, loose=named)
        if run and (named or _likely(text, run, end, led=True)):
            return run
    if bare and _foreign(text[start:end]):
        return start, end
    run = None if lead else _run(text, start, end, NAME_WORDS, loose=bare)
    if run and (_IS_NAME.match(text, run[1], end) or (bare and _likely(text, run, end))):
        return run
    later = _NAME_IS.search(text, start, end) if bare else None
    run = _run(text, later.end(), end, NAME_WORDS) if later else None
    return run if run and _likely(text, run, end) else None


def _foreign(clause: str) -> bool:
    """Check whether a clause is a few words with non-ASCII letters, which English words do not have."""
    words = TOKEN.findall(clause)
    return 0 < len(words) <= NAME_WORDS and " ".join(words) == clause and not clause.isascii() and "’" not in clause


def _run(text: str, start: int, end: int, most: int, loose: bool = False) -> tuple[int, int] | None:
    """Return the span of up to `most` words from `start` that can be a name."""
    title = _TITLE.match(text, start, end)
    position = title.end() if title else start
    last, count, capital = position, 0, False
    while count < most:
        token = TOKEN.match(text, position, end)
        if token is None or is_stop(token[0]):
            break
        upper = token[0][0].isupper()
        if count and not upper and token[0] not in _PARTICLES:
            goes_on = _goes_on(text, token, end, loose)
            if goes_on or (capital and not loose):
                break
        capital = capital or upper
        last, count = token.end(), count + 1
        if last < end and text[last] == "." and len(token[0]) == 1:
            last += 1
        space = _SPACE.match(text, last, end)
        if space is None:
            break
        position = space.end()
    return (start, last) if count else None


def _goes_on(text: str, token: re.Match[str], end: int, loose: bool) -> bool:
    """Check whether a word in lower case continues the sentence rather than the name."""
    word = token[0]
    if not is_usual(word):
        return False
    following = TOKEN.search(text, token.end(), end)
    if word.endswith(("ing", "ed")) or (following is not None and not is_stop(following[0])):
        return True
    return not loose and following is not None


def _likely(text: str, run: tuple[int, int], end: int, led: bool = False) -> bool:
    """Check whether words that only the question suggests to be a name are one."""
    rest = text[run[1] : end].strip()
    words = [word.lower() for word in TOKEN.findall(text, *run)]
    if text[run[0]].isupper():
        following = TOKEN.match(rest)
        return not (following and following[0].islower() and is_usual(words[0]) and not is_stop(following[0]))
    if not rest and len(words) <= 3:
        return not (words[-1].endswith(("ing", "ed")) and is_usual(words[-1]))
    return len(words) <= 3 and not any(map(is_usual if led else is_everyday, words))


def find_introductions(text: str) -> list[Span]:
    """Return the names in introductions: "my name is", "I'm Jane", "Jane here"."""
    spans = []
    for match in _INTRODUCTION.finditer(text):
        run = _run(text, match.end(), min(len(text), match.end() + 80), NAME_WORDS, loose=bool(match["sure"]))
        if run and (match["sure"] or _introduced(text, match, run)):
            spans.append(Span(*run, "PERSON", SCORE))
    for match in _HERE.finditer(text):
        start = without_fillers(text, match.start(), match.end())[0]
        before = without_fillers(text, max(0, match.start() - 40), match.start())
        if start < match.end() and before[0] >= before[1] and not any(map(is_stop, text[start : match.end()].split())):
            spans.append(Span(start, match.end() - 1, "PERSON", SCORE))
    return spans


def _introduced(text: str, match: re.Match[str], run: tuple[int, int]) -> bool:
    word = TOKEN.findall(text, *run)[0]
    if not text[run[0]].isupper() or text[match.start() : run[1]].isupper() or word.lower() in _PEOPLES:
        return False
    if match["related"]:
        return True
    following = TOKEN.match(text[run[1] : run[1] + 40].lstrip())
    if following and following[0][0].islower() and not is_stop(following[0]) and not following[0].endswith("ing"):
        return False
    before = text[max(0, match.start() - 5) : match.start()].rstrip()
    return "'s" not in match[0].replace("’", "'") or not before or before.endswith((".", "!", "?", ","))
