"""Decide what counts as an English word: symspellpy's dictionary, words that it lacks, and deliberate slang."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

DICTIONARY = "frequency_dictionary_en_82_765.txt"
USUAL = 6000  # highest frequency rank of stems, and of words that are run together
USUAL_PAIR = 1500  # the same for words of two letters, most of which are abbreviations

# Irregular American spellings, and new words.
LACKING = """
    aluminum anemia cancelation catalog chili cozy donut ebook emoji enrollment esim esthetic hdmi installment jewelry
    leukemia maneuver marvelous math moldy moms mustache offense omelet onwards orthopedic pajamas pediatric plow
    preorder pretense pricy savory selfie skeptic skeptical specialty subwoofer sulfur tidbit unboxed unboxing vlog
    willful woolen
"""
# Customers' slang, which is neither corrected nor expanded.
CHAT = """
    addr ahhh alrite appt argh bcoz bcuz bday bruh convo coupla favs fone gimmie haha hahaha halp heya heyo hiya hmmm
    hola hullo imho imma lmao lols lovin mins mmmm msgs nada nite numba okey okies ooops plss plsss plzz ppls prolly
    rofl rsvp srsly thanku thanx thks thnkyou thnks thnx thxs tmoro tmrw tomo tomoro ttyl ughh vids wana wassup welp
    whatcha whts woah yada yall yaya yayy yeap yeet yess yesss yolo yupp
"""
# Regular American spellings, which the dictionary mostly lacks too -> the British ones.
AMERICAN = (
    (re.compile(r"(?<=..)or(?=$|s$|ed$|ing$|able$|ful$|hoods?$|ites?$|ly$)"), "our"),
    (re.compile(r"(?<=..)l(?=(?:ed|ers?|ing)$)"), "ll"),
    (re.compile(r"(?<=..)er(?=s?$)"), "re"),
    (re.compile(r"(?<=..)([iy])z(?=[aei])"), r"\1s"),
)
SUFFIXES = ("s", "es", "d", "ed", "r", "er", "ers", "ing", "ly", "ness", "less", "able", "ish", "y")
STEM = 4  # fewest letters of a word that takes a suffix


class Dictionary(NamedTuple):
    """Every word with its frequency rank, from 0; and casual spellings such as "dont", "didn" and "thx"."""

    ranks: Mapping[str, int]
    casual: frozenset[str]


@cache
def dictionary() -> Dictionary:
    """Load the 82,834 words that symspellpy ships, and those that it lacks."""
    text = files("symspellpy").joinpath(DICTIONARY).read_text("utf-8-sig")
    words = [line.split()[0] for line in text.splitlines()]
    contracted = [word for word in words if "'" in word]
    bare = {word.replace("'", "") for word in contracted} | {word.partition("'")[0] for word in contracted}
    ranks = dict.fromkeys(LACKING.split(), USUAL - 1) | {word: rank for rank, word in enumerate(words)}
    return Dictionary(ranks, frozenset(bare.union(CHAT.split())))


@lru_cache(maxsize=65536)
def is_english(word: str) -> bool:
    """Check that a lower-case word is English, an inflected or American form of one, or several words run together.

    Words with an apostrophe or a letter beyond ASCII always count, because the dictionary has hardly any of them.
    """
    ranks, casual = dictionary()
    if word in ranks or word in casual or not word.isascii() or "'" in word:
        return True
    if any(pattern.sub(british, word) in ranks for pattern, british in AMERICAN):
        return True
    stems = (word.removesuffix(suffix) for suffix in SUFFIXES)
    if any(len(stem) >= STEM and ranks.get(stem, USUAL) < USUAL for stem in stems):
        return True
    return any(_part(word[:cut]) and _part(word[cut:]) for cut in range(1, len(word)))


def _part(word: str) -> bool:
    """Check for a word that is often run together with others, as in "alot", "ofthe" and "birthdate"."""
    if len(word) == 1:
        return word in "ai"
    return dictionary().ranks.get(word, USUAL) < (USUAL_PAIR if len(word) == 2 else USUAL)
