"""Detect user names and passwords by their shape in conversations about an account: `wexdo_54`, `Maple_6400#`.

Credentials are not always announced: an agent asks "Is the account wexdo_54?", a customer "Is Maple_6400# a good one?".
A word followed by figures is likely a credential in a conversation about logging in, but not in one about parcels.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from tasks.scrub.cues.lexicon import COUNTED, MONTHS, STOP, listed
from tasks.scrub.span import Span

SCORE = 0.5  # low, because any finding with better evidence takes precedence over a shape

_TOPIC = re.compile(
    r"\b(?:user(?: ?(?:name|id))?|log(?:ged|ging|s)?[ -]?(?:in|on|into)|sign(?:ed|ing)?[ -]?(?:in|on)|account|profile"
    r"|pass ?(?:word|wrd|code|phrase)s?|passwd|pwd|credentials?|membership)\b",
    re.IGNORECASE,
)
_SHAPE = re.compile(
    r"(?<![\w@$#/&.\\-])(?P<word>[A-Za-z]['a-z]{2,24})(?:[._-][a-z]{1,24})?(?P<joint>[._!#%&*-]{0,2})"
    r"\d{2,4}(?P<sign>[!#$%&*]{0,2})(?![\w@/\\]|[.,:-]\w)"
)
# Words that precede figures in names of products and files, positions in a list, and times.
_NUMBERED = (
    COUNTED
    | MONTHS
    | listed(
        """
        android appendix apt area article block box building bus carrier channel chrome class clause clip code config
        core covid cpu day ddr document drive edge exit file figure firefox fig firmware form galaxy gate geforce gpu
        grade group hall hdmi highway house html icon image img index input intel invoice ios ipad iphone java jpg
        kernel key lane layer lot mac macbook macos main mode model nav node note nvidia office option order output
        package page para part pdf photo pixel playstation plan player plot png point port post print python radeon
        ref release replay revision rev road room route rtx ryzen screen screenshot season section series server shelf
        sheet shot signal slot space stage step style sub suite switch tab table tag terminal test tier title tower
        track type unit usb utf ver video vol volume watch wave wifi windows word xbox xperia year zone
        """
    )
)


def is_about_accounts(texts: Iterable[str]) -> bool:
    """Check whether a conversation mentions an account, logging in, or a password."""
    return any(_TOPIC.search(text) for text in texts)


def find_credentials(text: str) -> Iterator[Span]:
    """Yield each word followed by figures that is not a product, a position in a list or a date.

    With a sign or a capital letter, which user names rarely have, it is a password.

    Args:
        text: a turn, placeholders shielded.
    """
    for match in _SHAPE.finditer(text):
        word = match["word"].lower()
        plain = not match["joint"] and not match["sign"]
        if word in _NUMBERED or (word in STOP and plain):
            continue
        secret = match["word"][0].isupper() or match["sign"] or any(sign in "!#$%&*" for sign in match["joint"])
        yield Span(*match.span(), "PASSWORD" if secret else "USERNAME", SCORE)


def credentials(texts: Sequence[str]) -> list[list[Span]]:
    """Return the user names and passwords in all turns of a conversation, by their shape.

    Args:
        texts: n turns, placeholders shielded; not modified.
    """
    if not is_about_accounts(texts):
        return [[] for _ in texts]
    return [list(find_credentials(text)) for text in texts]
