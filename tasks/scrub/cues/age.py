"""Detect ages: "I am 34", "aged 34", "34 y/o", "this 20 year old", "turned 40"; not "30 days old" or "2 years ago"."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

_AGE = r"(?P<age>1[0-2]\d|[1-9]?\d)"
_NOT_AGE = (
    r"(?![\d:%/]|[.,]\d|[ -]?(?:am|pm|a\.m|p\.m|%|percent|dollar|euro|pound|usd|eur|gbp|day|week|month|hour|hr|min"
    r"|sec|mile|km"
    r"|year(?:s)? (?:ago|later|before|in|at|of exp|ahead|behind)|yrs? ago|people|person|item|of|and a half|feet|ft"
    r"|cm|kg|lb"
    r"|st\b|nd\b|rd\b|th\b|on|in line|out|short|late|x\b|star|points|degrees|minutes|for)(?![^\W_]))"
)
# English phrases in which a number can only be a person's age; `is`, `was`, `am` need a person before them.
_RULES = [
    re.compile(rule, re.IGNORECASE)
    for rule in (
        rf"(?<![\w.$#-]){_AGE}[ -]?(?:years?|yrs?|yr)[ -](?:old|of age)(?! (?:account|card|policy|contract|issue"
        rf"|problem|car"
        r"|computer|phone|laptop|house|building|device|loan|subscription|ticket|bug|wine|whisk|company|business)\b)",
        rf"(?<![\w.$#-]){_AGE}[ ]?(?:y/o|y\.o\.?|yo|yrs old)\b",
        rf"\baged? (?:of |is |about |around |only |:)?{_AGE}\b{_NOT_AGE}",
        rf"\bage ?[:=-] ?{_AGE}\b{_NOT_AGE}",
        rf"\b(?:just |recently |only |i |he |she |will |i'll |about to )(?:have |has )?(?:turned|turn"
        rf"|turning) {_AGE}\b{_NOT_AGE}"
        r"(?![ ]?(?!and|so|but|today|yesterday|last|this|in|years?|yrs?|now|recently)[a-z])",
        rf"\bturned {_AGE}\b(?=[ ]?(?:$|[.,;!?]|(?:today|yesterday|last|this|in|on|years?)\b)){_NOT_AGE}",
        rf"(?<![^\W_])(?:i am|i'm|im|he is|he's|she is|she's|i was|he was|she was|we are both|my (?:son|daughter"
        rf"|wife|husband"
        rf"|mother|father|mom|mum|dad|child|brother|sister|partner|grandmother|grandfather) is)"
        rf" (?:only |just |about |almost |nearly |now |already |turning |over )?{_AGE}\b{_NOT_AGE}(?=[ ]?(?:$"
        rf"|[.,;!?\n)]|(?:and"
        r"|so|but|years?|yrs?|now|male|female|married|single|living|retired|with|old|when|who)\b))",
        rf"\b(?:when|while|since|after|before) (?:i|he|she) (?:was|is|am|were) (?:only |just |about "
        rf"|almost )?{_AGE}\b{_NOT_AGE}",
        rf"\bat the age of {_AGE}\b{_NOT_AGE}",
        rf"\b{_AGE}-?(?:year|yr)-?old\b",
    )
]
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_WORDS = re.compile(
    rf"\b(?P<age>(?:{_TENS})(?:[ -](?:{_ONES}))?|{_TEENS})[ -]years?[ -](?:old|of age)\b", re.IGNORECASE
)
_SIGN = re.compile(
    r"y(?:ea)?rs?\b|y/o|y\.o|\byo\b|\d ?yo\b|\baged?\b|\bturn|\b(?:am|i'?m|is|was|were|he's|she's) (?:[a-z]+ )?\d"
)
AGE_WORDS = listed("old")


def ages(words: Tokens) -> Iterator[Span]:
    """Yield every age of a person, in figures or words."""
    low = words.text.lower()
    if not _SIGN.search(low):
        return
    for rule in _RULES:
        for match in rule.finditer(words.text):
            yield Span(*match.span("age"), "AGE", 0.8)
    for match in _WORDS.finditer(words.text):
        yield Span(*match.span("age"), "AGE", 0.8)
