"""Identify the language of a text with the n-gram model that py3langid ships."""

import re
from functools import cache
from typing import Any

from deskloop.contract.placeholders import PLACEHOLDER

UNKNOWN = "und"  # ISO 639-2 for undetermined
LETTERS = 500  # characters that the model reads
LEAST_LETTERS = 12  # with fewer, the result is a guess
CONFIDENCE = 0.5  # 97% of 5,000 English banking questions exceed it; 0.06% of those are identified as another language

_NOT_LETTERS = re.compile(r"[\W\d_]+")


def identify(text: str) -> str:
    """Return the language as ISO 639-1, or `und` if the text is too short or unclear, or its language has no code.

    Args:
        text: decoded; placeholders, digits and punctuation are ignored.
    """
    letters = _NOT_LETTERS.sub(" ", PLACEHOLDER.sub(" ", text[: 4 * LETTERS])).strip()[:LETTERS]
    if len(letters) - letters.count(" ") < LEAST_LETTERS:
        return UNKNOWN
    language, confidence = _identifier().classify(letters)
    return str(language) if confidence >= CONFIDENCE and len(language) == 2 else UNKNOWN


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
