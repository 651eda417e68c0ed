"""Match context words like Presidio's `LemmaContextAwareEnhancer`, on the tokens of a blank spaCy pipeline.

A blank pipeline has no lemmas, so the words themselves are used. With `words=False` no context word ever matches, which
is Presidio's own behaviour with a blank pipeline.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


class Context:
    """Raises the scores of findings near context words."""

    def __init__(self, enhancer: Any, words: bool = True) -> None:
        self.words = words
        self._whole = enhancer.context_matching_mode == "whole_word"
        self._before, self._after = enhancer.context_prefix_count, enhancer.context_suffix_count
        self._factor, self._least = enhancer.context_similarity_factor, enhancer.min_score_with_context_similarity
        self._most = enhancer.MAX_SCORE

    def raised(self, score: float) -> float:
        """Return the score of a finding near a context word."""
        return float(min(max(score + self._factor, self._least), self._most))

    def may_support(self, lowered: str, context: Sequence[str]) -> bool:
        """Check whether a lower-cased text contains any of the lower-cased words."""
        return self.words and any(word in lowered for word in context)

    def supported(self, tokens: "Tokens", start: int, context: Sequence[str]) -> bool:
        """Check whether any of the words is near the finding that starts at `start`."""
        around = tokens.around(start, self._before, self._after)
        if self._whole:
            return not around.isdisjoint(context)
        return any(word in near for word in context for near in around)


class Tokens:
    """The tokens of a text: their ends, their lower-cased forms, and which of these are keywords."""

    def __init__(self, text: str) -> None:
        from spacy.attrs import IDX, LENGTH

        blank, plain = _language()
        document = blank.make_doc(_SURROGATE.sub("\ufffd", text))  # spaCy keeps words as UTF-8
        places = document.to_array([IDX, LENGTH]).tolist()
        texts = [text[start : start + length] for start, length in places]
        self._ends = [start + length for start, length in places]
        self._words = list(map(str.lower, texts))
        keywords: set[str] = set()
        for raw, word in zip(texts, self._words, strict=True):
            if word not in keywords and plain(raw):
                keywords.update(word.split(":"))
        self._keywords = keywords

    def around(self, start: int, before: int, after: int) -> set[str]:
        """Return the keyword at an offset with up to `before` keywords to its left and `after` to its right."""
        index = bisect_right(self._ends, start)
        index = min(index, len(self._ends) - 1)  # only white space follows the last word
        return self._take(range(index, -1, -1), before + 1) | self._take(range(index, len(self._words)), after + 1)

    def _take(self, order: range, wanted: int) -> set[str]:
        taken: list[str] = []
        for index in order:
            if len(taken) == wanted:
                break
            if self._words[index] in self._keywords:
                taken.append(self._words[index])
        return set(taken)


def forgetting() -> AbstractContextManager[Any]:
    """Return a context manager that frees the words which spaCy adds to its vocabulary in the block."""
    zone: AbstractContextManager[Any] = _language()[0].memory_zone()
    return zone


@cache
def _language() -> tuple[Any, Any]:
    """Return a blank English pipeline, and a function that rejects stop words and punctuation."""
    import spacy
    from spacy.attrs import IS_PUNCT, IS_STOP

    blank = spacy.blank("en")
    is_stop, is_punct = (blank.vocab.lex_attr_getters[attribute] for attribute in (IS_STOP, IS_PUNCT))

    def plain(word: str) -> bool:
        return word not in ("-PRON-", "be") and not is_stop(word) and not is_punct(word)

    return blank, plain
