"""User names and passwords by their shape, in a conversation that is about an account: `wexdo_54`, `Maple_6400#`.

Nobody says "my user name is" every time: an agent asks "Is the account wexdo_54?", a customer "Is Maple_6400# a good
one?". A word with figures behind it means little in a talk about parcels, and a credential in one about logging in.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from tasks.scrub.cues.lexicon import COUNTED, MONTHS, STOP, listed
from tasks.scrub.span import Span

SCORE = 0.5  # a shape alone: whatever knows better what it is, wins

_TOPIC = re.compile(
    r"\b(?:user(?: ?(?:name|id))?|log(?:ged|ging|s)?[ -]?(?:in|on|into)|sign(?:ed|ing)?[ -]?(?:in|on)|account|profile"
    r"|pass ?(?:word|wrd|code|phrase)s?|passwd|pwd|credentials?|membership)\b",
    re.IGNORECASE,
)
_SHAPE = re.compile(
    r"(?<![\w@$#/&.\\-])(?P<word>[A-Za-z]['a-z]{2,24})(?:[._-][a-z]{1,24})?(?P<joint>[._!#%&*-]{0,2})"
    r"\d{2,4}(?P<sign>[!#$%&*]{0,2})(?![\w@/\\]|[.,:-]\w)"
)
# Words that figures follow in the name of a product, a place in a list, a time or a file.
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
    """Whether anybody in a conversation speaks of an account, of logging in, or of a password."""
    return any(_TOPIC.search(text) for text in texts)


def find_credentials(text: str) -> Iterator[Span]:
    """Each word with figures behind it that is no product, list or date; placeholders are shielded.

    A sign or a capital letter makes it a password: user names seldom have them.
    """
    for match in _SHAPE.finditer(text):
        word = match["word"].lower()
        plain = not match["joint"] and not match["sign"]
        if word in _NUMBERED or (word in STOP and plain):
            continue
        secret = match["word"][0].isupper() or match["sign"] or any(sign in "!#$%&*" for sign in match["joint"])
        yield Span(*match.span(), "PASSWORD" if secret else "USERNAME", SCORE)


def credentials(texts: Sequence[str]) -> list[list[Span]]:
    """The user names and passwords in all turns of a conversation, by their shape alone.

    Args:
        texts: n turns, placeholders shielded; not modified.
    """
    if not is_about_accounts(texts):
        return [[] for _ in texts]
    return [list(find_credentials(text)) for text in texts]
