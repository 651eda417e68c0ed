"""Filter the network's findings: reject everyday words, dates, countries, and first names of third persons.

The network reads a few words on each side. These rules add how common an English word is, and what precedes a lone
first name in lower case: "my name is carla", "carla here" and "carla" identify a person; "text carla" and "a table for
carla" could mean any Carla.
"""

import re
from functools import lru_cache

from tasks.normalize.english import dictionary
from tasks.scrub.span import Span

USUAL = 3000  # frequency rank below which an English word is unlikely to be a name
MORE = 2  # maximum words by which a name is extended
PERSON = "PERSON"
SURE = 0.9  # minimum score for common words to count as a name or an address

_CAPITAL = re.compile(
    r" (?:(?:van|von|de|da|del|di|bin|al|la|le|der|den) ){0,2}"
    r"([A-Z][^\W\d_]{1,24}(?:[-'\u2019][^\W\d_]{1,24})?)(?![\w@])"
)
_WORD = re.compile(r"[^\W\d_]+")
_INTRODUCED = re.compile(
    r"(?:\b(?:names?|named|i am|i'm|i\u2019m|im|iam|this is|its|it's|it\u2019s|it is|myself|mr|mrs|ms|miss|mister|dr"
    r"|doctor|prof|sir|madam|call me|calls me|me as|me is|is|speaking with|surname|dear|hi|hello|hey|thanks|thank you"
    r"|thx|bye|good (?:morning|evening|afternoon))[.:]?\s+|[\n.!?:;,]\s*|^\W*)$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:names?(?: is)?|named|mr|mrs|ms|mister|dr|surname)[.:]?\s+$", re.IGNORECASE)
_SIGNS = frozenset("%;$€£@=<>{}|")  # addresses contain none of these
# Names of people have no capital letter inside (except after Mc, De and the like), and no word such as "team" follows.
_BRAND = re.compile(
    r"(?:(?!(?:Mac|Mc|De|Del|Di|Da|Du|La|Le|Van|Von|Fitz|San|Saint)[A-Z])[A-Z][a-z]{2,20}[A-Z][a-z]{2,20})"
)
_TEAM = re.compile(r"[ ]{1,2}(?:team|support|customer (?:care|service|support))\b", re.IGNORECASE)
_DECIMAL = re.compile(r"\d[.]\d")
_ORDINAL = re.compile(r"\d{1,2}(?:st|nd|rd|th)", re.IGNORECASE)
_UNITS = frozenset(
    """
    am pm a p m min mins minute minutes hour hours hr hrs day days week weeks month months year years people persons
    guests tickets ticket seats x by room rooms dollars euros pounds percent usd eur gbp cents bucks mile miles km
    kg lbs gb mb st nd rd th of and to the on at in from jan feb mar apr may jun jul aug sep sept oct nov dec
    january february march april june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday today tomorrow tonight
    """.split()  # noqa: SIM905
)
# Countries, nationalities, currencies, abbreviations: a finding that consists of these is not a person.
_NOBODY = frozenset(
    """
    afghanistan albania algeria andorra angola argentina armenia australia austria azerbaijan bahamas bahrain
    bangladesh barbados belarus belgium belize benin bhutan bolivia bosnia botswana brazil brunei bulgaria burundi
    cambodia cameroon canada chile china colombia congo croatia cuba cyprus czechia denmark djibouti dominica
    ecuador egypt england eritrea estonia ethiopia europe fiji finland france gabon gambia germany ghana greece
    grenada guatemala guinea guyana haiti honduras hungary iceland india indonesia iran iraq ireland italy jamaica
    japan kazakhstan kenya kiribati korea kosovo kuwait laos latvia lebanon lesotho liberia libya liechtenstein
    lithuania luxembourg macedonia madagascar malawi malaysia maldives mali malta mauritania mauritius mexico
    moldova monaco mongolia montenegro morocco mozambique myanmar namibia nauru nepal netherlands nicaragua niger
    nigeria norway oman pakistan palau palestine panama paraguay peru philippines poland portugal qatar romania
    russia rwanda samoa scotland senegal serbia seychelles singapore slovakia slovenia somalia spain sudan suriname
    sweden switzerland syria taiwan tajikistan tanzania thailand togo tonga tunisia turkey turkmenistan tuvalu
    uganda ukraine uruguay usa uzbekistan vanuatu venezuela vietnam wales yemen zambia zimbabwe uk us eu usd eur gbp
    aud cad inr yen ruble rouble rupee peso franc dollar euro pound russian american british english spanish french
    german italian chinese japanese indian mexican canadian australian sir madam maam mam ma miss mister sirs bro
    dude guys team north south east west monday tuesday wednesday thursday friday saturday sunday january february
    march april may june july august september october november december iban bic swift nino ssn sin dob pin otp cvv
    cvc sepa atm id ids ceo cto ai app sms url http https www usps ups dhl fedex gps vip faq sku
    """.split()  # noqa: SIM905
)


def plausible(text: str, span: Span) -> bool:
    """Check whether a finding of the network is plausible.

    Args:
        text: the text of the finding.
        span: a PERSON or an ADDRESS.
    """
    value = text[span.start : span.end]
    if span.type != PERSON:
        around = text[max(0, span.start - 2) : span.start], text[span.end : span.end + 2]
        cut = _DECIMAL.fullmatch(around[0] + value[:1]) or _DECIMAL.fullmatch(value[-1:] + around[1])
        return not cut and _address(value, span.score)
    words = _WORD.findall(value)
    long = [word for word in words if len(word) > 1]
    if not long or all(word.lower() in _NOBODY for word in long if len(word) > 2 or len(long) == 1):
        return False
    if text[span.start - 1 : span.start] in ("'", "\u2019") and span.start > 1 and len(words) == 1 and len(value) < 3:
        return False
    if len(words) == 1 and (_BRAND.fullmatch(value) or _TEAM.match(text, span.end)):
        return False
    before = text[max(0, span.start - 24) : span.start]
    usual = [_usual(word.lower()) for word in long]
    if len(long) == 1:
        if not value.islower():
            alone = not _WORD.search(text[: span.start]) and not _WORD.search(text[span.end :])
            return not usual[0] or alone or span.score >= SURE or bool(_NAMED.search(before))
        if usual[0]:
            return bool(_NAMED.search(before)) and span.score >= SURE
        return bool(_INTRODUCED.search(before))
    return not all(usual) or (span.score >= SURE and (not value.islower() or bool(_NAMED.search(before))))


def whole_name(text: str, span: Span) -> Span:
    """Extend a name by the capitalised words directly after it that are not English, the rest of a rare name."""
    value = text[span.start : span.end]
    if span.type != PERSON or not value[:1].isupper() or value.isupper():
        return span
    end = span.end
    for _ in range(MORE):
        following = _CAPITAL.match(text, end)
        if following is None or following[1].lower() in _NOBODY or following[1].lower() in dictionary()[0]:
            break
        end = following.end()
    return span._replace(end=end)


def _address(value: str, score: float) -> bool:
    words = [word for word in map(str.lower, _WORD.findall(value)) if len(word) > 2 and word not in _UNITS]
    if not words or set(words) <= _NOBODY or _DECIMAL.search(value) or not _SIGNS.isdisjoint(value):
        return False
    if any(map(str.isdigit, value)):
        return not _ORDINAL.fullmatch(value.strip()) and (score >= SURE or not all(map(_usual, words)))
    return (
        len(words) > 1
        and "&" not in value
        and score >= SURE
        and not all(word in _NOBODY or _usual(word) for word in words)
    )


@lru_cache(maxsize=65536)
def _usual(word: str) -> bool:
    ranks, casual = dictionary()
    return ranks.get(word, USUAL) < USUAL or word in casual
