"""Detect passwords, user names and birth dates after the word that names them."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import COUNTED, MONTHS, STOP, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

_PASSWORD = r"(?:pass ?word|passwrd|pasword|pwd|passwd|pass ?phrase|(?<!boarding )(?<!bus )pass)"
_USER = r"(?:user ?name|user ?id|login(?: name| id)?|log in|screen ?name|handle)"
_LINK = r"(?P<link>[ ]{0,2}(?:[:=#]|(?:is|was|it's|its|should be|will be)\b:?)[ ]{0,2}(?:also )?)"
_CLAUSE = r"(?: (?:that )?(?:i|we|you|on|for|to|with)(?: [a-z'\u2019]{1,12}){1,4}?)?"  # "the password i use here is"
_SECRET = re.compile(
    rf"\b(?:(?P<p>{_PASSWORD})|(?P<u>{_USER}))(?:{_CLAUSE}{_LINK}|[ ]{{1,2}})(?P<value>[^\s\ue000<>]{{3,64}})",
    re.IGNORECASE,
)
_CHAT = re.compile(
    r"[a-z]{1,20} \d{1,12}(?: [a-z]{1,3} \d{1,12}){0,2}(?: [a-z]{1,3}(?![a-z]))?"
    r"|\d{1,12} [a-z]{1,4}(?![a-z])(?: \d{1,12})?"
    r"|[a-z0-9]{1,2}(?: [a-z0-9]{1,3}(?![a-z0-9])){2,7}"
)
_CHAT_CUE = re.compile(rf"\b(?:{_PASSWORD}|{_USER}){_LINK}?[ ]{{0,2}}(?=[a-z0-9])")
_TAIL = re.compile(r"[.,;:!?)\"']+$")
_MORE = re.compile(r"[ ](?:\d{1,12}|[^\W\d_]{3,20})(?![^\s.,;!?])")

_MONTH = "|".join(sorted(MONTHS, key=lambda month: (-len(month), month)))
_DATE = (
    r"(?:\d{1,4}[ ]?[/.-][ ]?\d{1,2}[ ]?[/.-][ ]?\d{2,4}|\d{6,8}|\d{1,2} \d{1,2} \d{4}"
    rf"|\d{{1,2}} ?(?:st|nd|rd|th)?(?: of)?[ -](?:{_MONTH})\.?,?(?:[ -]{{1,2}}\d{{2,4}})?"
    rf"|(?:{_MONTH})\.?[ ]\d{{1,2}} ?(?:st|nd|rd|th)?,?(?: \d{{2,4}})?)"
)
_BORN = re.compile(
    r"\b(?:dob|d\. ?o\. ?b\.?|birth ?da(?:y|te)|date of birth|born(?: on)?)(?:[ ]{0,2}(?:[:=#,\t]|is|was|on|it's|its"
    r"|the))"
    rf"{{0,3}}\s{{0,2}}(?P<value>{_DATE})(?!\d)",
    re.IGNORECASE,
)
_ALONE = re.compile(r"\W{0,3}(\d{1,2}[/.-]\d{1,2}[/.-](?:19\d\d|200\d)|(?:19\d\d|200\d)-\d\d-\d\d)\W{0,3}")

SECRET_WORDS = listed(
    """
    password passwords passwrd pasword pwd passwd passphrase pass word phrase username userid user login log
    screenname screen handle
    """
)
BORN_WORDS = listed("dob birthday birthdate birth born d b")


def secrets(words: Tokens) -> Iterator[Span]:
    """Yield passwords and user names: the characters after "password is", in chat also the next word or digits."""
    text = words.text
    for match in _SECRET.finditer(text):
        start, end = match.span("value")
        value = _TAIL.sub("", match["value"])
        end = start + len(value)
        lower, spelled = value.lower(), any(map(str.isdigit, value))
        if len(value) < 3 or lower in STOP or lower in COUNTED or (lower.isalpha() and not match["link"]):
            continue
        rest = text[end : end + 24].lower().split(maxsplit=1)
        follows = rest[0] if rest else ""
        if spelled and follows.strip(".,;!?") in COUNTED:
            continue
        if not spelled:
            more = _MORE.match(text, end) if words.chat or match["p"] else None
            if more and more[0].strip().isdigit():
                end = more.end()
            elif follows and text[end : end + 1] not in ".,;!?\n" and follows.strip(".,;!?'") not in STOP:
                if not (words.chat and more and more.end() == len(text.rstrip())):
                    continue
                end = more.end()
        yield Span(start, end, "PASSWORD" if match["p"] else "USERNAME", 0.8)
    for match in _CHAT_CUE.finditer(text) if words.chat else ():
        split = _CHAT.match(text, match.end())
        if split and split[0].split()[0] not in STOP | COUNTED:
            parts = split[0].split(" ")
            while parts[-1] in STOP or parts[-1] in COUNTED:
                parts.pop()
            if len(parts) > 1:
                yield Span(split.start(), split.start() + len(" ".join(parts)), "PASSWORD", 0.7)


def births(words: Tokens, born: bool) -> Iterator[Span]:
    """Yield birth dates after a cue (`born`: whether the text has one), and a message that is a single past date."""
    for match in _BORN.finditer(words.text) if born else ():
        yield Span(*match.span("value"), "DATE_OF_BIRTH", 0.85)
    alone = _ALONE.fullmatch(words.text.strip()) if len(words.text) < 24 else None
    if alone:
        start = words.text.index(alone[1])
        yield Span(start, start + len(alone[1]), "DATE_OF_BIRTH", 0.6)
