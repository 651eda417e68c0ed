"""Some words replaced by synonyms from WordNet."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tasks.augment.generators.config import SynonymsConfig
from tasks.augment.generators.spans import intact, pieces
from tasks.augment.generators.wordnet import WordNet, place

WORD = re.compile(r"(?<![\w'’-])[A-Za-z][a-z]*(?![\w'’-])")
ARTICLE = re.compile(r"(?<!\w)an?[ \t]+\Z", re.IGNORECASE)
# Grammar and courtesy, which WordNet lists among nouns, verbs and adverbs.
GRAMMAR = """
    about above across after again against along also although among any anybody anyone anything around as because
    been before behind below beside best between beyond both but can could dear despite did does done down during
    each either else even ever every everybody everyone except few for from get give going gone got had has have
    having hello here how however if into its just kind let like look many may maybe mean might mine more most much
    must near need neither never next none nor not now off on once one only onto other ought our out over own past
    per please put rather same say see several shall should since some somebody someone soon still such take team
    than thank that the then there these thing this those though through till too toward under unless until upon use
    used very via want was way well were what when whenever where whether which while who whole whom whose why will
    with within without would yes yet you your
"""
KEPT = frozenset(GRAMMAR.split())


class Synonyms:
    """Replaces a share of a turn's words, at least one."""

    keyed, neural = True, False

    def __init__(self, config: SynonymsConfig, versions: Mapping[str, str]) -> None:
        """Keep the config; WordNet is read at the first call."""
        self._config = config
        self._place = place(config.wordnet)
        self._wordnet: WordNet | None = None
        self.identity = config.identity(versions)

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return texts with synonyms; None if no word has one."""
        if self._wordnet is None:
            self._wordnet = WordNet(self._place)
        return [self._replaced(text, seed) for text, seed in zip(texts, seeds, strict=True)]

    def _replaced(self, text: str, seed: int) -> str | None:
        rng = np.random.default_rng(seed)
        words, choices = 0, {}
        position = 0
        for piece, protected in pieces(text, self._config.protect, names=True):
            for match in () if protected else WORD.finditer(piece):
                words += 1
                start = position + match.start()
                synonyms = self._fitting(match[0], text[:start])
                if synonyms:
                    choices[start] = (match[0], synonyms)
            position += len(piece)
        if not choices:
            return None
        count = min(len(choices), max(1, round(self._config.share * words)))
        result = text
        for start in sorted(rng.choice(sorted(choices), size=count, replace=False).tolist(), reverse=True):
            word, synonyms = choices[start]
            result = result[:start] + synonyms[rng.integers(len(synonyms))] + result[start + len(word) :]
        return result if intact(text, result, self._config.protect) else None

    def _fitting(self, word: str, before: str) -> list[str]:
        """Synonyms in the word's case, which the article before it still fits."""
        lower = word.lower()
        if self._wordnet is None or lower in KEPT:
            return []
        synonyms = self._wordnet.synonyms(lower)
        if ARTICLE.search(before[-8:]):
            synonyms = tuple(other for other in synonyms if (other[0] in "aeiou") == (lower[0] in "aeiou"))
        return [other.capitalize() if word[0].isupper() else other for other in synonyms]
