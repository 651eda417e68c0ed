"""Words that are one letter off a known one: an insertion, a deletion, a substitution or two letters swapped.

Found by what both leave when one letter is taken out, as in SymSpell (Garbe, 2012), so that a text costs its own length
and not its words times the known ones.
"""

from collections.abc import Iterable, Iterator

from tasks.normalize.english import dictionary

LETTERS = 5  # of a word that may be misspelled
LONGEST = 64  # of one that is looked up: each costs the square of its length
DIGITS = 8  # of a number that may be mistyped: shorter ones are often another's


class Near:
    """Known words, to be looked up as they may be misspelled."""

    def __init__(self, words: Iterable[str]) -> None:
        """Take the words that are long enough; case folded, of letters or of digits alone."""
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
        """The known word that a token misspells, the first in order, else the token.

        Args:
            token: a word of a text, case folded. One that is ordinary English, or known itself, is itself.
        """
        # One edit cannot reach both ends of five letters.
        if token[:2] not in self._heads and token[-2:] not in self._tails:
            return token
        if token in self._words or not LETTERS - 1 <= len(token) <= LONGEST + 1:
            return token
        ranks, casual = dictionary()
        if token in ranks or token in casual:
            return token
        found = {word for rest in {token, *_without_one(token)} for word in self._without.get(rest, ())}
        return min((word for word in found if one_edit(token, word)), default=token)


def _without_one(word: str) -> Iterator[str]:
    return (word[:at] + word[at + 1 :] for at in range(len(word)))


def one_edit(one: str, other: str) -> bool:
    """Whether two different words are one insertion, deletion, substitution or swap of neighbours apart."""
    if len(one) > len(other):
        one, other = other, one
    at = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[at : at + 2] == other[at : at + 2][::-1]
    return one[at + 1 :] == other[at + 1 :] or (swapped and one[at + 2 :] == other[at + 2 :])
