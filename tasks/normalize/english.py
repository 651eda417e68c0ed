"""What counts as an English word: symspellpy's dictionary, what it lacks, and what people write on purpose."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

DICTIONARY = "frequency_dictionary_en_82_765.txt"
USUAL = 6000  # rank by frequency: of stems, and of words that are run together
USUAL_PAIR = 1500  # the same for words of two letters, most of which are abbreviations

# American words that follow no rule, and new ones.
LACKING = """
    aluminum anemia cancelation catalog chili cozy donut ebook emoji enrollment esim esthetic hdmi installment jewelry
    leukemia maneuver marvelous math moldy moms mustache offense omelet onwards orthopedic pajamas pediatric plow
    preorder pretense pricy savory selfie skeptic skeptical specialty subwoofer sulfur tidbit unboxed unboxing vlog
    willful woolen
"""
# Never corrected, and never written out: it is how customers talk.
CHAT = """
    addr ahhh alrite appt argh bcoz bcuz bday bruh convo coupla favs fone gimmie haha hahaha halp heya heyo hiya hmmm
    hola hullo imho imma lmao lols lovin mins mmmm msgs nada nite numba okey okies ooops plss plsss plzz ppls prolly
    rofl rsvp srsly thanku thanx thks thnkyou thnks thnx thxs tmoro tmrw tomo tomoro ttyl ughh vids wana wassup welp
    whatcha whts woah yada yall yaya yayy yeap yeet yess yesss yolo yupp
"""
# American spellings that follow one, which the dictionary mostly lacks too, and the British ones.
AMERICAN = (
    (re.compile(r"(?<=..)or(?=$|s$|ed$|ing$|able$|ful$|hoods?$|ites?$|ly$)"), "our"),
    (re.compile(r"(?<=..)l(?=(?:ed|ers?|ing)$)"), "ll"),
    (re.compile(r"(?<=..)er(?=s?$)"), "re"),
    (re.compile(r"(?<=..)([iy])z(?=[aei])"), r"\1s"),
)
SUFFIXES = ("s", "es", "d", "ed", "r", "er", "ers", "ing", "ly", "ness", "less", "able", "ish", "y")
STEM = 4  # letters of a word that takes one


class Dictionary(NamedTuple):
    """Every word with its rank by frequency, from 0; and what is written on purpose: "dont", "didn", "thx"."""

    ranks: Mapping[str, int]
    casual: frozenset[str]


@cache
def dictionary() -> Dictionary:
    """The words that symspellpy ships, 82,834, and those that it lacks."""
    text = files("symspellpy").joinpath(DICTIONARY).read_text("utf-8-sig")
    words = [line.split()[0] for line in text.splitlines()]
    contracted = [word for word in words if "'" in word]
    bare = {word.replace("'", "") for word in contracted} | {word.partition("'")[0] for word in contracted}
    ranks = dict.fromkeys(LACKING.split(), USUAL - 1) | {word: rank for rank, word in enumerate(words)}
    return Dictionary(ranks, frozenset(bare.union(CHAT.split())))


@lru_cache(maxsize=65536)
def is_english(word: str) -> bool:
    """Whether a word in lower case is English, or made of English: a form, an American spelling, words run together.

    A word with an apostrophe or a letter beyond ASCII counts too: the dictionary has next to none of them.
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
    """A word that others are run together with: "alot", "ofthe", "birthdate"."""
    if len(word) == 1:
        return word in "ai"
    return dictionary().ranks.get(word, USUAL) < (USUAL_PAIR if len(word) == 2 else USUAL)
