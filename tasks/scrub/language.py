"""The language of a text, by py3langid's n-gram model, which the package carries."""

import re
from functools import cache
from typing import Any

from deskloop.contract.placeholders import PLACEHOLDER

UNKNOWN = "und"  # ISO 639-2 for undetermined
LETTERS = 500  # characters that are looked at
LEAST_LETTERS = 12  # fewer are a guess
CONFIDENCE = 0.5  # on 5,000 English questions to a bank, 97% are above it and 0.06% of those are taken for another

_NOT_LETTERS = re.compile(r"[\W\d_]+")


def identify(text: str) -> str:
    """The language as ISO 639-1, or `und` where the text is too short, unclear, or in a language without such a code.

    Args:
        text: decoded; placeholders, digits and punctuation are not looked at.
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
