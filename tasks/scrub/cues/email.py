"""Detect e-mail addresses without signs: "jane dot doe at gmail dot com", "janedoegmailcom", "jane 12 gmailcom"."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import COUNTED, STOP, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

# The largest free mail services, with common typos in their names; written for this module.
_SERVICES = (
    "gmail|googlemail|gamil|gmai|gmial|gmal|gmil|gail|ymail|yahoo|yaho|hotmail|hotmal|hotmai|outlook|outlok|live|msn"
    "|aol|icloud"
    "|protonmail|proton|rediffmail|reddiffmail|rediff|sbcglobal|optonline|bellsouth|att|yandex|mailinator|fastmail"
    "|zoho|gmx|comcast|verizon|mail|email|mymail|web"
)
_ENDINGS = "com|con|cim|vom|net|org|edu|info|biz|io|me|in|de|fr|it|es|nl|ca|us|ru|uk|co in|co uk|coin|couk|co"
_GLUED = re.compile(
    rf"(?<![\w.-])(?P<local>[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9])){{0,60}}?)??"
    rf"(?P<service>{_SERVICES})(?P<dot>[.]?|[ ](?:dot[ ]|[.][ ]?)?)(?:com|con|cim|couk|coin|net|org|co (?:in"
    rf"|uk))(?![^\W_])",
    re.IGNORECASE,
)
_WEAK = listed("live web me mail email proton gail")  # these are also ordinary words
_MARK = r"(?:[ ]?[\[({<]?[ ]?(?:@|\bat\b|\(at\)|\[at\])[ ]?[\])}>]?[ ]?)"
_DOT = r"(?:\.(?=\S)|[ ]\.[ ]|[ ]?[\[({]?[ ]?\b(?:dot|punto)\b[ ]?[\])}]?[ ]?)"
_JOIN = rf"(?:{_DOT}|[ ]?(?:\bunderscore\b|\bdash\b|\bhyphen\b|_|-)[ ]?)"
_SPELLED = re.compile(
    rf"(?<![^\W_])(?P<local>[a-z0-9]{{1,40}}+(?:{_JOIN}[a-z0-9]{{1,40}}+){{0,4}}+)(?P<mark>{_MARK})"
    rf"(?:(?P<host>[a-z0-9-]{{2,40}}(?:{_DOT}[a-z0-9-]{{2,40}}){{0,2}}){_DOT}(?:{_ENDINGS}|[a-z]{{2,4}})"
    rf"|(?P<service>{_SERVICES})(?:[ ]?com)?)(?![^\W_])",
    re.IGNORECASE,
)
_PIECE = re.compile(r"[a-z0-9._-]{1,40}", re.IGNORECASE)
_PLACES = listed(
    """
    looking look arrive arrived meet meeting shop working work online available customer support
    """
)
EMAIL_SIGN = re.compile(
    r"@|(?:com|con|net|org|couk|coin|co (?:in|uk))(?![a-z0-9])|mail|yahoo|[(\[]at[)\]]| dot | at (?:outlook|icloud"
    r"|live)\b"
)
_DIGITS_BEFORE = re.compile(r"(?<!\d)\d{1,4} $")
# An answer of one word that ends like a domain: an address of another service in chat without punctuation.
_WORD = re.compile(r"\s*([a-z][a-z0-9]{6,60}(?:com|net))\s*", re.IGNORECASE)
_REACH = 120  # characters before a mark that are searched for the local part


def emails(words: Tokens) -> Iterator[Span]:
    """Yield every address that is spelled out, or lacks its `@` and dots."""
    low = words.text.lower()
    if "com" in low or "net" in low or "org" in low or "co" in low:
        yield from _glued(words.text)
        alone = _WORD.fullmatch(words.text)
        if alone and not low.strip().endswith(("ethernet", "internet", "intercom", "telecom")):
            yield Span(*alone.span(1), "EMAIL_ADDRESS", 0.5)
    if " at " in low or "@" in low or "(at)" in low or "[at]" in low:
        yield from _spelled(words.text)


def _glued(text: str) -> Iterator[Span]:
    for match in _GLUED.finditer(text):
        local, service = match["local"] or "", match["service"].lower()
        if "." in match["dot"] and not local:
            continue  # the name of a web site
        start = match.start()
        if local and not local.isdigit() and _DIGITS_BEFORE.search(text, max(0, start - 8), start):
            start = _local_before(text, start)
        elif len(local) < 2 or local.isdigit():
            start = _local_before(text, start)
            if start == match.start() and (not local or service in _WEAK):
                continue
        elif service in _WEAK and match["dot"]:
            continue
        yield Span(start, match.end(), "EMAIL_ADDRESS", 0.8)


def _local_before(text: str, end: int) -> int:
    """Return the start of the local part before `end`: digits, and the word before them."""
    pieces = list(_PIECE.finditer(text, max(0, end - _REACH), end))
    start = end
    for piece in reversed(pieces[-3:]):
        if text[piece.end() : start].strip(" ") or piece[0].lower() in STOP or piece[0].lower() in COUNTED:
            break
        start = piece.start()
        if not piece[0].isdigit():
            break
    return start


def _spelled(text: str) -> Iterator[Span]:
    for match in _SPELLED.finditer(text):
        local = match["local"].lower()
        spoken = "at" in match["mark"].lower()
        last = local.rpartition(" ")[2]
        if spoken and (last in STOP or last in COUNTED or last in _PLACES):
            continue
        if spoken and match["service"] and match["service"].lower() in _WEAK | {"comcast", "verizon", "aol", "msn"}:
            continue
        start = match.start()
        if spoken and start:
            start = _words_before(text, start)
        yield Span(start, match.end(), "EMAIL_ADDRESS", 0.8)


def _words_before(text: str, start: int) -> int:
    """Extend the local part to the left ("jane doe at gmail"), up to a word of the sentence."""
    pieces = list(_PIECE.finditer(text, max(0, start - _REACH), start))
    for piece in reversed(pieces[-2:]):
        if text[piece.end() : start] != " " or piece[0].lower() in STOP or piece[0].lower() in COUNTED:
            break
        start = piece.start()
    return start
