"""Parts of speech of an address: one letter per word, so that a grammar is a regular expression.

* `n m f z` a number of one or two, three, four, five or six digits, `y` of nine, `x` any other, and any other mark
* `S s` a street suffix and a weaker one, `P` a word before a street's name, `F` a name and its street in one word
* `U` a unit, `B` a box, `M` a military post office, `R` a region, `i` one that is also a word of English, `C` a country
* `D` a particle, `W` a word that may belong to a name, `q` a short one in lower case, `v` a longer one, `w` an English
  word
* `o` the end of an ordinal, `l` one letter directly after a digit, `h` "no" and "number", `&` "and"
* `# , . - / ( )` themselves, where `/` is a line break and `-` also a slash
"""

from functools import lru_cache

from tasks.scrub.cues import streets
from tasks.scrub.cues.lexicon import COUNTED, STOP, listed
from tasks.scrub.cues.tokens import Tokens

STREET_WORDS = listed(
    """
    street st avenue ave road rd blvd boulevard lane address adress addres adders nagar salai utca rua calle
    colony
    """
)
ADDRESS_WORDS = listed("address adress addres addresss adders addrs addess")
# Words that begin the next statement after an address.
NEXT_CUES = listed(
    """
    phone ph contact mobile cell tel email mail ssn ac account acc name my please pls thanks thank you ok number
    and is
    """
)


def spelled(words: Tokens) -> str:
    """Return one letter for each token."""
    return "".join([_letter(words, index) for index in range(len(words.low))])


_MARKS = {
    "\n": "/",
    ",": ",",
    ".": ".",
    "-": "-",
    "#": "#",
    "\u2116": "#",
    "(": "(",
    ")": ")",
    "'": "'",
    "/": "-",
    "&": "&",
}
KNOWN: dict[str, str] = {}
for _part, _list in (
    ("C", streets.COUNTRIES),
    ("R", streets.REGIONS),
    ("D", streets.PARTICLES),
    ("P", streets.PREFIX),
    ("s", streets.WEAK_STREET),
    ("S", streets.STREET),
    ("U", streets.UNIT),
    ("B", streets.BOX),
    ("M", streets.MILITARY),
    ("&", ("and",)),
    ("h", ("no", "nr", "num", "number")),
):
    KNOWN |= dict.fromkeys(_list, _part)
BEGUN = ("street", "road", "avenue", "nagar", "colony")  # "streetchicago": chat without a space
_FUSED = tuple(streets.FUSED)
_ORDINALS = {"st": "1", "nd": "2", "rd": "3", "th": "th"}
_SIZES = {1: "n", 2: "n", 3: "m", 4: "f", 5: "z", 6: "z", 9: "y"}
_NAMING = listed("new old little big long great best")  # stop words that begin the names of towns
_SMALL_SUFFIX = listed("u út tér tee utca rkp krt köz sok cad st rd ave str vei väg weg allé")


def _letter(words: Tokens, index: int) -> str:
    word = words.low[index]
    glued = words.glued(index)
    if word[0].isdigit():
        return "x" if glued and words.low[index - 1][0].isalpha() else _SIZES.get(len(word), "x")
    if not word[0].isalpha() and word[0] != "\u2206":
        return _MARKS.get(word, "x")
    behind = index > 0 and words.low[index - 1][0].isdigit() and (glued or words.chat)
    if behind and word in _ORDINALS and (glued or word == "th" or _ORDINALS[word] == words.low[index - 1][-1]):
        return "o"
    if behind and glued and len(word) == 1:
        return "l"
    first = words.text[words.starts[index]]
    capital = words.chat or not first.islower()
    shout = not words.chat and 1 < len(word) < 4 and words.text[words.starts[index] : words.ends[index]].isupper()
    return _part_of_speech(word, capital, shout, words.chat)


@lru_cache(maxsize=1 << 16)
def _part_of_speech(word: str, capital: bool, shout: bool, chat: bool) -> str:
    part = KNOWN.get(word)
    if part == "P" and not capital:
        return "w" if word in streets.CAPITAL_PREFIX else "P"
    if word in _NAMING and capital:
        return "W"
    if part in ("S", "s"):
        if chat and word in ("u", "sok", "cad", "tee"):
            return "W"
        return part if capital or word in _SMALL_SUFFIX or (part == "S" and len(word) > 3) else "w"
    if part in ("U", "M", "D", "&", "B") or (part == "h" and not shout):
        return part
    if shout:
        return "R"
    if part == "R" and len(word) == 2:
        return "w" if not chat else "i" if word in STOP else "R"
    if part in ("R", "C", "P") and capital:
        return part
    if word in STOP or word in COUNTED or word in NEXT_CUES:
        return "w"
    if chat and len(word) > 8 and word.startswith(BEGUN):
        return "S"
    if capital:
        return "F" if len(word) > 6 and word.endswith(_FUSED) else "W"
    return "q" if len(word) < 4 else "v"
