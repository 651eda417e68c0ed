"""Correct customers' typos: unknown words that are one clear edit away from a word that this log uses.

A word is known if it is English (`english.py`) or if several customers use it, as with product names and slang. A
correction is always an English word that occurs in many conversations of this log. Doubtful words stay unchanged,
because a wrong correction costs more than a remaining typo. SymSpell's symmetric deletes
(https://github.com/wolfgarbe/SymSpell) propose candidates by Damerau-Levenshtein distance, in which a swap is one edit;
of two candidates, one that is far more frequent wins.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

import pandas as pd

from tasks.normalize.english import dictionary, is_english

LANGUAGE = "en"
SHORTEST = 4  # letters; shorter words such as "teh" are ambiguous
TWO_EDITS = 8  # letters from which a word is recognisable after two edits
TARGET = 10  # conversations that a word must occur in to be a correction
WEAK = 0.02  # conversations of a 4-letter word's correction, as a share of the most frequent correction's
CLEAR = 20  # the best candidate must be this many times as frequent as the next one
LIKELY = 10  # a swapped or doubled letter is this many times as likely as any other typo
DOMINANT = 100  # a word this many times as rare as its only neighbour is a misspelling of it, however many use it

# A word with quotes and punctuation between white space; nothing with a digit, "@", "_", "<" or ".x", and no "movin'".
WORD = re.compile(r"(?<!\S)[(\[\"'“‘]*([^\W\d_]+(?:['’][^\W\d_]+)*)[.,!?;:)\]\"”…]*(?!\S)")
SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)[.!?…][)\]\"'”’]*$")
SECRET = re.compile(r"\b(?:pass(?:word|code|phrase)|user ?name|log-?in|code|id|pin)\b\W*(?:(?:is|was)\b\W*)?$", re.I)
VOWEL = re.compile("[aeiouy]")
RUN = re.compile(r"(.)\1+")
TRIPLE = re.compile(r"(.)\1\1")


def learn(rows: pd.DataFrame, least: int) -> bytes:
    """Collect the vocabulary of a log from its English conversations.

    Args:
        rows: (n, schema) with scrubbed `turns`, `language`, `customer_keys`; not modified.
        least: customers that must use a non-English word for it to be accepted.
    Returns:
        JSON: `words` (accepted, not English), `targets` (possible corrections: word -> conversations with it).
    """
    conversations: dict[str, int] = defaultdict(int)
    customers: dict[str, set[str]] = defaultdict(set)
    columns = (rows[name] for name in ("language", "customer_keys", "conversation_id", "turns"))
    for language, keys, name, turns in zip(*columns, strict=True):
        distinct = {match[1].lower() for turn in turns for match in WORD.finditer(turn["text"] or "")}
        for word in distinct if language == LANGUAGE else ():
            conversations[word] += 1
            if len(word) >= SHORTEST and not is_english(word) and len(customers[word]) < least:
                customers[word].add(min(keys or [name]))
    targets = {word: count for word, count in conversations.items() if count >= TARGET and _target(word)}
    frequent = [word for word, writers in customers.items() if len(writers) >= least]
    corrector = Speller(frozenset(), targets)
    words = sorted(word for word in frequent if not corrector.dominates(word, conversations[word]))
    vocabulary = {"words": words, "targets": dict(sorted(targets.items()))}
    return json.dumps(vocabulary, ensure_ascii=False, indent=0).encode()


@lru_cache(maxsize=2)
def speller(vocabulary: bytes) -> "Speller":
    """Return a speller for the result of `learn`; cached, so that batches share its look-ups."""
    content = json.loads(vocabulary)
    return Speller(frozenset(content["words"]), content["targets"])


class Speller:
    """Corrects English text; looks up every distinct word once."""

    def __init__(self, words: frozenset[str], targets: Mapping[str, int]) -> None:
        """Create a speller from the log's own `words` and the `targets` of corrections with their conversations."""
        from symspellpy import SymSpell

        self.words, self.targets = words, targets
        self.weak = WEAK * max(targets.values(), default=0)
        self.symspell = SymSpell(max_dictionary_edit_distance=2)
        for word in sorted(targets):
            self.symspell.create_dictionary_entry(word, targets[word])
        self.correction = lru_cache(maxsize=65536)(self._correction)

    def correct(self, text: str) -> str:
        """Correct the typos of a text line by line, preserving white space; idempotent."""
        return "\n".join(map(self._line, text.split("\n")))

    def dominates(self, word: str, count: int) -> bool:
        """Check that a word of `count` conversations is a misspelling of a far more frequent one."""
        best = self.correction(word)
        return best != word and self.targets[best] >= DOMINANT * count

    def _line(self, line: str) -> str:
        words = list(WORD.finditer(line))
        unknown = [match for match in words if not self._knows(match[1].lower())]
        if not unknown or (len(unknown) > 1 and 2 * len(unknown) > len(words)):
            return line  # mostly unknown words: another language, or no language
        pieces, done = [], 0
        for match in unknown:
            old, start = match[1].lower(), match.start(1)
            new = self.correction(old)
            if new != old and _free(match[1], line[:start]):
                pieces += [line[done:start], new.capitalize() if match[1].istitle() else new]
                done = match.end(1)
        return "".join([*pieces, line[done:]])

    def _knows(self, word: str) -> bool:
        return len(word) < SHORTEST or word in self.words or is_english(word)

    def _correction(self, word: str) -> str:
        """Return the clearly best target for an unknown lower-case word, or the word itself."""
        from symspellpy import Verbosity

        terms: list[str] = []
        edits = 0
        while not terms and edits < (2 if len(word) >= TWO_EDITS else 1):
            edits += 1
            terms = [hit.term for hit in self.symspell.lookup(word, Verbosity.ALL, edits)]
        scores = {term: self.targets[term] * (LIKELY if _typical(word, term) else 1) for term in terms}
        best, *others = sorted(scores, key=lambda term: (-scores[term], term)) or [word]
        if best == word or any(scores[best] < CLEAR * scores[other] for other in others):
            return word
        if len(word) == SHORTEST and scores[best] < self.weak:
            return word
        return best if _is_typo(word, best, edits) else word


def _target(word: str) -> bool:
    return len(word) >= SHORTEST - 1 and word.isascii() and word.isalpha() and word in dictionary().ranks


def _free(word: str, before: str) -> bool:
    """Check that a word is neither a name nor a code: lower-case or capitalised at the start of a sentence, and not
    introduced as a password or the like."""
    begins = not before.strip() or SENTENCE_END.search(before.rstrip())
    return bool(word.islower() or (word.istitle() and begins)) and not SECRET.search(before)


def _typical(word: str, target: str) -> bool:
    """Check that the typo is a swap of neighbours, or a letter repeated too often or not often enough."""
    if len(word) != len(target):
        return RUN.sub(r"\1", word) == RUN.sub(r"\1", target)
    first, *rest = [at for at, letter in enumerate(word) if letter != target[at]]
    return rest == [first + 1] and word[first : first + 2] == target[first : first + 2][::-1]


def _is_typo(word: str, target: str, edits: int) -> bool:
    """Check that a word is a typo of the target, not an inflection, an emphatic spelling or an abbreviation of it."""
    if word[0] != target[0] and word[:2] != target[1::-1]:
        return False  # the first letter is seldom wrong
    if edits == 2 and word[-1] != target[-1]:
        return False  # the target would usually be the right word in a wrong form, as for "guaantees"
    if word.startswith(target) and (edits == 2 or word[-1] in "sdry"):
        return False
    if TRIPLE.search(word) and not _typical(word, target):
        return False  # "sooo" is intended
    return bool(VOWEL.search(word)) or len(target) <= len(word)  # "pymnt" is an abbreviation
