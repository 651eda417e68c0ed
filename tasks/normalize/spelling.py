"""Correct customers' slips of the keyboard: a word that nobody knows, one clear step from a word that this log uses.

A word is known if it is English (`english.py`), or if several customers write it: names of products and slang come in
that way. A correction is always an English word that many conversations of this log have. Everything doubtful stays
as it is: a wrong correction costs more than a slip that is left. Candidates come from SymSpell's symmetric deletes
(https://github.com/wolfgarbe/SymSpell) in Damerau's distance, where a swap is one step; of two candidates the more
frequent one wins, if it is far more frequent.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

import pandas as pd

from tasks.normalize.english import dictionary, is_english

LANGUAGE = "en"
SHORTEST = 4  # letters; "teh" may be anything
TWO_SLIPS = 8  # letters from which two slips leave enough of a word
TARGET = 10  # conversations that have a word before anything is corrected to it
WEAK = 0.02  # of the most frequent target's conversations: what the target of a word of 4 letters must reach
CLEAR = 20  # how many times as frequent as the next candidate the best one must be
LIKELY = 10  # how many times as likely a swap or a doubled letter is as any other slip
DOMINANT = 100  # a word that is 100 times as rare as its one neighbour is its misspelling, whoever writes it

# A word, its quotes and stops between white space: what holds a digit, "@", "_", "<" or ".x" is none, nor is "movin'".
WORD = re.compile(r"(?<!\S)[(\[\"'“‘]*([^\W\d_]+(?:['’][^\W\d_]+)*)[.,!?;:)\]\"”…]*(?!\S)")
SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)[.!?…][)\]\"'”’]*$")
SECRET = re.compile(r"\b(?:pass(?:word|code|phrase)|user ?name|log-?in|code|id|pin)\b\W*(?:(?:is|was)\b\W*)?$", re.I)
VOWEL = re.compile("[aeiouy]")
RUN = re.compile(r"(.)\1+")
TRIPLE = re.compile(r"(.)\1\1")


def learn(rows: pd.DataFrame, least: int) -> bytes:
    """What this log teaches about words, from its English conversations.

    Args:
        rows: (n, schema) with scrubbed `turns`, `language`, `customer_keys`; not modified.
        least: customers in whose conversations a word that is not English must stand to be right all the same.
    Returns:
        JSON: `words` (right, but not English), `targets` (of corrections: word -> conversations that have it).
    """
    conversations: dict[str, int] = defaultdict(int)
    customers: dict[str, set[str]] = defaultdict(set)
    columns = (rows[name] for name in ("language", "customer_keys", "conversation_id", "turns"))
    for language, keys, name, turns in zip(*columns, strict=True):
        said = {match[1].lower() for turn in turns for match in WORD.finditer(turn["text"] or "")}
        for word in said if language == LANGUAGE else ():
            conversations[word] += 1
            if len(word) >= SHORTEST and not is_english(word) and len(customers[word]) < least:
                customers[word].add(min(keys or [name]))
    targets = {word: count for word, count in conversations.items() if count >= TARGET and _target(word)}
    frequent = [word for word, seen in customers.items() if len(seen) >= least]
    judge = Speller(frozenset(), targets)
    words = sorted(word for word in frequent if not judge.dominates(word, conversations[word]))
    learned = {"words": words, "targets": dict(sorted(targets.items()))}
    return json.dumps(learned, ensure_ascii=False, indent=0).encode()


@lru_cache(maxsize=2)
def speller(vocabulary: bytes) -> "Speller":
    """The speller with what `learn` returned; kept between batches for what it has looked up."""
    learned = json.loads(vocabulary)
    return Speller(frozenset(learned["words"]), learned["targets"])


class Speller:
    """Corrects texts in English; every distinct word is looked up once."""

    def __init__(self, words: frozenset[str], targets: Mapping[str, int]) -> None:
        """With the log's own `words`, and the `targets` of corrections with their conversations."""
        from symspellpy import SymSpell

        self.words, self.targets = words, targets
        self.weak = WEAK * max(targets.values(), default=0)
        self.symspell = SymSpell(max_dictionary_edit_distance=2)
        for word in sorted(targets):
            self.symspell.create_dictionary_entry(word, targets[word])
        self.correction = lru_cache(maxsize=65536)(self._correction)

    def correct(self, text: str) -> str:
        """The text with its slips corrected, line by line; white space stays. A second time changes nothing."""
        return "\n".join(map(self._line, text.split("\n")))

    def dominates(self, word: str, count: int) -> bool:
        """Whether a word of `count` conversations is a misspelling of one that is far more frequent."""
        best = self.correction(word)
        return best != word and self.targets[best] >= DOMINANT * count

    def _line(self, line: str) -> str:
        words = list(WORD.finditer(line))
        unknown = [match for match in words if not self._knows(match[1].lower())]
        if not unknown or (len(unknown) > 1 and 2 * len(unknown) > len(words)):
            return line  # more unknown than known: another language, or none
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
        """What an unknown word in lower case becomes: the one clearly best target, or itself."""
        from symspellpy import Verbosity

        terms: list[str] = []
        slips = 0
        while not terms and slips < (2 if len(word) >= TWO_SLIPS else 1):
            slips += 1
            terms = [hit.term for hit in self.symspell.lookup(word, Verbosity.ALL, slips)]
        scores = {term: self.targets[term] * (LIKELY if _typical(word, term) else 1) for term in terms}
        best, *others = sorted(scores, key=lambda term: (-scores[term], term)) or [word]
        if best == word or any(scores[best] < CLEAR * scores[other] for other in others):
            return word
        if len(word) == SHORTEST and scores[best] < self.weak:
            return word
        return best if _slip(word, best, slips) else word


def _target(word: str) -> bool:
    return len(word) >= SHORTEST - 1 and word.isascii() and word.isalpha() and word in dictionary().ranks


def _free(word: str, before: str) -> bool:
    """No name and no code: in lower case or with the capital of a sentence, and not given as a password or the like."""
    begins = not before.strip() or SENTENCE_END.search(before.rstrip())
    return bool(word.islower() or (word.istitle() and begins)) and not SECRET.search(before)


def _typical(word: str, target: str) -> bool:
    """Whether the slip is a swap of neighbours, or one letter too often or not often enough."""
    if len(word) != len(target):
        return RUN.sub(r"\1", word) == RUN.sub(r"\1", target)
    first, *rest = [at for at, letter in enumerate(word) if letter != target[at]]
    return rest == [first + 1] and word[first : first + 2] == target[first : first + 2][::-1]


def _slip(word: str, target: str, slips: int) -> bool:
    """Whether a word is a slip of the target, and not a form, a manner or an abbreviation of it."""
    if word[0] != target[0] and word[:2] != target[1::-1]:
        return False  # hands seldom miss the first letter
    if slips == 2 and word[-1] != target[-1]:
        return False  # most often the right word in a wrong form: "guaantees"
    if word.startswith(target) and (slips == 2 or word[-1] in "sdry"):
        return False
    if TRIPLE.search(word) and not _typical(word, target):
        return False  # "sooo" is meant
    return bool(VOWEL.search(word)) or len(target) <= len(word)  # "pymnt" is short for something
