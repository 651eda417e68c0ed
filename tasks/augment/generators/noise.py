"""Typos and OCR errors by nlpaug (https://github.com/makcedward/nlpaug); missing capitals and punctuation.

nlpaug changes single words here: given an entire text, it would split placeholders and change the white space.
"""

import importlib.metadata
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np

from tasks.augment.generators.config import NoiseConfig
from tasks.augment.generators.spans import intact, pieces

WORD = re.compile(r"[^\W\d_]{4,}")
LINE_END = re.compile(r"[.,;!?]+(?=[ \t]*\n)")
OF_TURN = ("lowercase", "punctuation")


class Noisy:
    """Changes a share of a turn's words, at least one; sometimes also its capitals and full stops."""

    keyed, neural = True, False

    def __init__(self, config: NoiseConfig) -> None:
        """Keep the config; nlpaug is loaded at the first call."""
        self._config = config
        self._of_word = [kind for kind in config.kinds if kind not in OF_TURN]
        self.identity = config.identity({"nlpaug": importlib.metadata.version("nlpaug")})

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return noisy texts; None if there is no word to change."""
        with _own_randomness():
            return [self._spoilt(text, seed) for text, seed in zip(texts, seeds, strict=True)]

    def _spoilt(self, text: str, seed: int) -> str | None:
        rng = np.random.default_rng(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        result = self._words(text, rng) if self._of_word else text
        for kind in OF_TURN:
            if kind in self._config.kinds and (not self._of_word or rng.random() < 0.5):
                result = self._turn(result, kind)
        return result if result != text and intact(text, result, self._config.protect) else None

    def _words(self, text: str, rng: np.random.Generator) -> str:
        places, position = [], 0
        for piece, protected in pieces(text, self._config.protect):
            places += [] if protected else [(position + match.start(), match[0]) for match in WORD.finditer(piece)]
            position += len(piece)
        if not places:
            return text
        left = max(1, round(self._config.share * len(places)))
        spoilt = {}
        for place in rng.permutation(len(places)).tolist():
            start, word = places[place]
            other = self._spoil(word, self._of_word[rng.integers(len(self._of_word))])
            if other != word:  # not every typo is possible in every word
                spoilt[start] = (word, other)
            if len(spoilt) == left:
                break
        for start in sorted(spoilt, reverse=True):
            word, other = spoilt[start]
            text = text[:start] + other + text[start + len(word) :]
        return text

    def _spoil(self, word: str, kind: str) -> str:
        """Make one typo in a word, which keeps its capital: `eHllo` would be a code."""
        upper = word[0].isupper()
        made = self._augmenters[kind].augment(word.lower() if upper else word)
        spoilt = made[0] if made and made[0].isalpha() else word
        return spoilt[0].upper() + spoilt[1:] if upper else spoilt

    def _turn(self, text: str, kind: str) -> str:
        change = str.lower if kind == "lowercase" else partial(LINE_END.sub, "")
        parts = pieces(text + "\n", self._config.protect)
        return "".join(piece if protected else change(piece) for piece, protected in parts)[:-1]

    @cached_property
    def _augmenters(self) -> dict[str, Any]:
        """Return nlpaug's augmenters, each of which changes one letter of one word."""
        from nlpaug.augmenter.char import KeyboardAug, OcrAug, RandomCharAug

        once = {
            "aug_char_min": 1,
            "aug_char_max": 1,
            "aug_word_min": 1,
            "aug_word_max": 1,
            "aug_word_p": 1.0,
            "min_char": 1,
            "tokenizer": lambda text: [text],
            "reverse_tokenizer": "".join,
        }
        letters = {"include_special_char": False, "include_numeric": False, "include_upper_case": False}
        confused = OcrAug().model.model
        # A letter misread as a digit would turn a word into a number.
        confused = {
            key: [value for value in values if value.isalpha()] for key, values in confused.items() if key.isalpha()
        }
        return {
            "keyboard": KeyboardAug(**once, **letters),
            "ocr": OcrAug(**once, dict_of_path={key: values for key, values in confused.items() if values}),
            "swap": RandomCharAug(action="swap", **once),
            "drop": RandomCharAug(action="delete", **once),
        }


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Restore the global random generators, as nlpaug draws from them and accepts no other."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
