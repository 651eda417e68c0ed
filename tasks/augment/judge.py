"""Checks of a rewritten turn: it must be complete, free of new personal data, and similar in length and meaning.

Two scans look for personal data: scrub's detector, and a simple one that shares no code with it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import cast

from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.contract.stage import Context
from tasks.augment.config import AugmentConfig
from tasks.augment.generators.spans import intact, protected
from tasks.augment.similarity import Pair, Score
from tasks.scrub.config import ScrubConfig
from tasks.scrub.detect import detect

# In the order of the checks; on a tie, a copy gets the reason that comes first.
REASONS = (
    "nothing_generated",
    "not_new",
    "placeholder_lost",
    "personal_data",
    "length",
    "too_different",
    "too_similar",
)
LONG_NUMBER = re.compile(r"[0-9]{3,}")


def scans_of(context: Context) -> Sequence[ScrubConfig]:
    """Return the settings of the scrub steps before this step; scrub's defaults if another stage scrubs."""
    return cast(Sequence[ScrubConfig], context.configs.get("scrub")) or [ScrubConfig()]


def judge(
    pairs: Sequence[tuple[str, str | None]], config: AugmentConfig, scans: Sequence[ScrubConfig], score: Score
) -> list[str | None]:
    """Return the reason against each rewritten turn.

    Args:
        pairs: n of (original turn, rewritten turn or None).
        scans: settings of the scan for personal data, see `scans_of`.
        score: similarity of pairs, 0 to 1.
    Returns:
        n of one of REASONS, or None for a fit turn.
    Raises:
        DataError: scrub's detector takes too long on a text.
    """
    distinct = dict.fromkeys(pairs)
    reasons = {pair: _plainly(pair[0], pair[1], config) for pair in distinct}
    whole = [
        (original, rewritten)
        for original, rewritten in distinct
        if rewritten is not None and reasons[original, rewritten] is None
    ]
    for pair, likeness in zip(whole, score(whole) if whole else (), strict=True):
        reasons[pair] = _likeness(likeness, config)
    alike = [pair for pair in whole if reasons[pair] is None]
    for pair, new in zip(alike, new_personal(alike, scans), strict=True):
        reasons[pair] = "personal_data" if new else None
    return [reasons[pair] for pair in pairs]


def fold(text: str) -> str:
    """Return the letters and digits of a text, case folded."""
    return "".join(filter(str.isalnum, text.casefold()))


def new_personal(pairs: Sequence[Pair], scans: Sequence[ScrubConfig]) -> list[bool]:
    """Check which rewritten turns hold a value that scrub's detector does not find in the original."""
    texts = sorted({text for pair in pairs for text in pair})
    values: dict[str, set[str]] = {text: set() for text in texts}
    for scan in scans:
        for text, spans in zip(texts, detect(texts, scan), strict=True):
            values[text] |= {text[span.start : span.end].casefold() for span in spans}
    return [not values[rewritten] <= values[original] for original, rewritten in pairs]


def _plainly(original: str, rewritten: str | None, config: AugmentConfig) -> str | None:
    """Run the checks that need neither a model nor the detector."""
    if rewritten is None or not rewritten.strip():
        return "nothing_generated"
    if fold(original) == fold(rewritten):
        return "not_new"
    complete = not Counter(protected(original)) - Counter(protected(rewritten))
    if complete and looks_personal(original, rewritten):
        return "personal_data"
    if not intact(original, rewritten) or PLACEHOLDER.findall(original) != PLACEHOLDER.findall(rewritten):
        return "placeholder_lost"
    least, most = config.length
    return None if least <= len(rewritten) / len(original) <= most else "length"


def looks_personal(original: str, rewritten: str) -> bool:
    """Check for an `@` or a number of three or more digits that the original does not have."""
    if rewritten.count("@") > original.count("@"):
        return True
    return not set(LONG_NUMBER.findall(rewritten)) <= set(LONG_NUMBER.findall(original))


def _likeness(score: float, config: AugmentConfig) -> str | None:
    least, most = config.bounds
    if score < least:
        return "too_different"
    return "too_similar" if score > most else None
