"""Restore the customer's white space and capitals in a machine translation."""

import re
from collections.abc import Sequence

from tasks.augment.generators.spans import pieces

SPACES = re.compile(r"[ \t]+")
SPACE_BEFORE = re.compile(r"[ \t]+([.,;:!?]+)(?=\s)")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SENTENCE_END = re.compile(r"(?:[!?…]|[\w>)]{2}\.)[\"'”’)]*\s+\Z")  # not after the full stop of `e.g.`
PRONOUN = re.compile(r"I(?:['’].*)?")


def tidy(before: str, after: str, protect: Sequence[str] = ()) -> str | None:
    """Return the translation `after` of the line `before` in its case and spacing; None if it is empty.

    Protected spans stay unchanged.
    """
    if not after.strip():
        return None
    words = after.strip() + "\n"
    head, tail = before[: len(before) - len(before.lstrip())], before[len(before.rstrip()) :]
    if not re.search(r"  |\t", before.strip()):
        words = _each(words, protect, SPACES, " ")
    if not SPACE_BEFORE.search(before + "\n"):
        words = _each(words, protect, SPACE_BEFORE, r"\1")
    return head + _cased(before, words.strip(), protect) + tail


def _each(text: str, protect: Sequence[str], pattern: re.Pattern[str], replacement: str) -> str:
    """Substitute in each unprotected piece of the text."""
    parts = pieces(text, protect)
    return "".join(piece if protected else pattern.sub(replacement, piece) for piece, protected in parts)


def _cased(before: str, after: str, protect: Sequence[str]) -> str:
    """Capitalize a translation like the customer's line.

    Nothing if the line has no capitals; the start of sentences if it starts with a capital; and words that it
    capitalizes. Other capitals inside a sentence are the translator's mistakes.
    """
    capitalized = {
        word for piece, protected in pieces(before, protect) if not protected for word in WORD.findall(piece)
    }
    none = not any(word[0].isupper() for word in capitalized)
    formal = next((letter.isupper() for letter in before if letter.isalpha()), False)
    written = ""
    for piece, protected in pieces(after, protect):
        if protected or none:
            written += piece if protected else piece.lower()
            continue
        position = 0
        for match in WORD.finditer(piece):
            written += piece[position : match.start()]
            word, position = match[0], match.end()
            starts = not written.strip() or SENTENCE_END.search(written[-8:]) is not None
            if starts and formal:
                word = word[0].upper() + word[1:]
            elif word not in capitalized and not PRONOUN.fullmatch(word):
                word = word[0].lower() + word[1:]
            written += word
        written += piece[position:]
    return written
