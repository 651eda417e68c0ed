"""Look up words that are one edit away from a known one: an insertion, deletion, substitution or transposition.

The lookup uses symmetric deletes as in SymSpell (Garbe, 2012), so its time depends on the length of the text and not on
the number of known words.
"""

from collections.abc import Iterable, Iterator

from tasks.normalize.english import dictionary

LETTERS = 5  # minimum length of a word that may be misspelled
LONGEST = 64  # maximum length of a word that is looked up; each takes the square of its length
DIGITS = 8  # minimum length of a number that may be mistyped; a shorter one is often a different number


class Near:
    """An index of known words for the lookup of their misspellings."""

    def __init__(self, words: Iterable[str]) -> None:
        """Index those of the case-folded words that are long enough and consist of letters or of digits only."""
        self._words = {word for word in words if (DIGITS if word.isdecimal() else LETTERS) <= len(word) <= LONGEST}
        self._words = {word for word in self._words if word.isdecimal() or word.isalpha()}
        self._heads = {word[:2] for word in self._words}
        self._tails = {word[-2:] for word in self._words}
        self._without: dict[str, list[str]] = {}
        for word in sorted(self._words):
            for rest in {word, *_without_one(word)}:
                self._without.setdefault(rest, []).append(word)

    def __bool__(self) -> bool:
        return bool(self._words)

    def word(self, token: str) -> str:
        """Return the alphabetically first known word that a token misspells, else the token.

        Args:
            token: a case-folded word of a text. English words and known words are no misspellings.
        """
        # A single edit cannot change both ends of a word of five letters.
        if token[:2] not in self._heads and token[-2:] not in self._tails:
            return token
        if token in self._words or not LETTERS - 1 <= len(token) <= LONGEST + 1:
            return token
        ranks, casual = dictionary()
        if token in ranks or token in casual:
            return token
        candidates = {word for rest in {token, *_without_one(token)} for word in self._without.get(rest, ())}
        return min((word for word in candidates if one_edit(token, word)), default=token)


def _without_one(word: str) -> Iterator[str]:
    return (word[:at] + word[at + 1 :] for at in range(len(word)))


def one_edit(short: str, long: str) -> bool:
    """Check that two different words are one insertion, deletion, substitution or transposition apart."""
    if len(short) > len(long):
        short, long = long, short
    at = next((at for at, (left, right) in enumerate(zip(short, long, strict=False)) if left != right), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at : at + 2] == long[at : at + 2][::-1]
    return short[at + 1 :] == long[at + 1 :] or (swapped and short[at + 2 :] == long[at + 2 :])
