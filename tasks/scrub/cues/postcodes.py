"""Detect postcodes after a cue word, after a place, and by an unambiguous form (UK, CA, NL)."""

import re
from collections.abc import Iterator

from tasks.scrub.cues.lexicon import listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

# The forms: https://en.wikipedia.org/wiki/Postcodes_in_the_United_Kingdom#Validation, Canada Post's A1A 1A1 without
# unused letters, PostNL's 1234 AB.
_FORMS = re.compile(
    r"(?<![\w-])(?:(?:[A-PR-UWYZ][A-HK-Y]?[0-9][0-9A-HJKMNP-Y]?|GIR) ?[0-9][ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d"
    r"|[1-9]\d{3} (?!AM|PM|AD|BC|CE|KM|KG|GB|MB|TB|KB|HZ|OK|US|UK|EU|SS|SA|SD|TV|PC|VW|CM|MM|HP|CC"
    r"|BTU)[A-Z]{2})(?![\w-])"
)
_YEAR = re.compile(r"(?:19|20)\d\d ")
_CUE = re.compile(
    r"\b(?:zip|zip ?codes?|zipcoke|zip-code|post ?codes?|postal(?: codes?)?|pin ?codes?|plz|cap|cep|area code"
    r"|mail ?code)\b"
    r"(?:[ ]{0,2}(?:[:=#,-]|is|was|are|its|it's|number|no|code|should be|would be|will be|for|my|and"
    r"|the)(?![^\W_])){0,4}[ ]{0,2}"
    r"(?P<value>[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}|[A-Z]\d[A-Z][ -]?\d[A-Z]\d|\d{3}[ ]\d{2,3}|\d{3,7}(?:-\d{3,4}"
    r"|[ ][A-Z]{2})?)"
    r"(?![^\W_])",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?:in|from|at|near|to|of|around)[ ](?:[^\W\d_a-z][^\W\d_]{1,30}[ -]){1,3}"
    r"(?:,[ ])?(?:[A-Z]{2}[ ])?(?P<value>\d{5}(?:-\d{3,4})?)"
    r"(?![\w%]|[.,:]\d)"
)
_THROUGH = re.compile(r"(?<!\d)(\d{5})[ ](?:thru|through|to|-)[ ](\d{5})(?!\d)", re.IGNORECASE)
POST_WORDS = listed(
    """
    zip zipcode zipcodes zipcoke postcode postal post pin pincode plz cap cep area mail mailcode
    """
)
_LONG = re.compile(r"\d{5}")
_LETTERED = re.compile(r"[A-Z]\d|\d ?[A-Z]{2}")
_UNITS = re.compile(r"[ ]?(?:dollars?|usd|eur|euros?|pounds?|miles?|km|people|points?|rupees?|am|pm)\b", re.IGNORECASE)


def postcodes(words: Tokens, named: bool) -> Iterator[Span]:
    """Yield every postcode with a cue word (`named`: whether the text contains one), a place or a distinct form."""
    text = words.text
    for match in _FORMS.finditer(text) if _LETTERED.search(text) else ():
        if not _YEAR.match(match[0]):
            yield Span(*match.span(), "ZIP_CODE", 0.7)
    long = _LONG.search(text)
    for rule in (_CUE, _PLACE) if long else (_CUE,) if named else ():
        for match in rule.finditer(text):
            if not _UNITS.match(text, match.end()):
                yield Span(*match.span("value"), "ZIP_CODE", 0.8)
    for match in _THROUGH.finditer(text) if long else ():
        if not _UNITS.match(text, match.end()):
            yield Span(*match.span(1), "ZIP_CODE", 0.6)
            yield Span(*match.span(2), "ZIP_CODE", 0.6)
