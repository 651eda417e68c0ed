"""Words that are never values: fillers around an answer, and ways to refuse one."""

import re
from functools import lru_cache

from tasks.normalize.english import dictionary

EVERYDAY = 1500  # frequency rank below which an English word is among the most common ones
USUAL = 3000  # frequency rank below which an English word in lower case is unlikely to be a name

# Function words, small talk, and nouns that begin the next statement.
_STOP_WORDS = """
    a about above access account accounts acct address after again ago ah all alright also always am an and another
    any anybody anyone anything anyway appointment are around arrive arrived as asap ask asked at aware away bank be
    because been before being believe birth birthday book booked booking both but buy by bye call called can cannot
    cant card chat check checking childhood code come coming confirm correct could couldnt currently customer date day
    days dear did didnt different do doctor does doesnt doing done dont down each either else email enough even ever
    every everything expecting fine first flight for forgot found from full gave get getting give given go going gonna
    good goodbye got great had happened has hasnt have havent having he hello help her here hers hey hi him his home
    how however i id idk if ill im in info information instead interested into is isnt issue it its itself ive just
    know last later leave let lets like little living lol long looking lost love made maiden make many may maybe me
    mean message might mine minute missing mistake moment money more morning most mother mothers much must my myself
    name named names near need needed never next nice night no nobody none nope not nothing now number of off oh ok
    okay old on once one only open or order other our out over own party password pay people perfect pet phone pick
    pin place plan planning please pls plz possible postcode previous price probably problem provide put question
    questions quick quite rather ready really reason received refund regarding remember reservation reserve right room
    said same saying schedule second security see send sent shall she should since sir so some somebody someone
    something soon sorry speak speaking start still stop such supposed sure surname take talk tell than thank thanks
    that thats the their them then there these they thing things think this those time times to today told tomorrow
    tonight too try trying two type under unfortunately until up update upset us use used user username using usually
    very wait want wanted wants was wasnt way we well went were what whats when where whether which while who whom
    whose why will wish with without wont word work working worried would wouldnt write wrong ya yea yeah yep yes
    yesterday yet you your youre yours yup zip monday tuesday wednesday thursday friday saturday sunday january
    february march july september october november december morning afternoon evening thx ty welcome cool awesome hmm
    um uh er wow whoa nah nvm nevermind cancel mr's ma'am maam lady guy guys bot robot human agent yourself supervisor
    manager available alone angry annoyed confused happy sad busy late tired stuck glad afraid unable able frustrated
    three four five six seven eight nine ten zero hold moment seconds minutes hours hour week weeks month months year
    dang darn damn crap geez jeez ugh uggh argh oops ooops yikes duh phew ha hah sweet man dude bro boo sigh gunna
    wanna gotta lemme forgive hurry crazy urgent cheap search back honestly seriously basically exactly lots cost
    years guest guests person persons adults car ride hotel restaurant venue host pets whatever idea clue
"""
STOP = frozenset(_STOP_WORDS.split())
_PRONOUNS = frozenset(["i", "it", "she", "they", "we"])
_CLITICS = frozenset(["d", "ll", "m", "re", "s", "t", "ve"])
# Fillers before a value, any number of them.
FILLER = re.compile(
    r"(?:(?:sure(?: thing)?|yes|yeah|yea|yep|yup|ya|ok(?:ay)?|of course|certainly|absolutely|no (?:problem|worries)"
    r"|hi(?: there)?|hello(?: there)?|hey(?: there)?|good (?:morning|day|afternoon|evening)|u+m+|u+h+|e+r+m*|h+m+|well"
    r"|oh+|ah+|so|and|but|or|thanks|thank you(?: so much)?|please|pls|sorry|right|alright|actually|wait|lol|haha+|wow"
    r"|gosh|geez|jeez|u+r*gh+|oops|duh|phew|dang|darn|ha|sweet|hm+|oh my (?:god|goodness|gosh)|my (?:bad|apologies)"
    r"|let me (?:see|think)|i (?:think|believe|guess)|maybe"
    r"|probably|either|here (?:it is|you go|you are|ya go)|then|also|now|ma'?am|sir|finally|fine|great|perfect|both"
    r"|(?:it|that) (?:could|might|may|should|would|must) (?:be|have been))"
    r"(?![\w'’])[\s,.!:;…-]*+)++",
    re.IGNORECASE,
)
# Words of a clause that gives no value.
REFUSAL = re.compile(
    r"\b(?:do(?:es)? ?n[o'’]?t|did ?n[o'’]?t|can ?n?[o'’]?t|could ?n[o'’]?t|won[’']?t|not|idk|dunno|no (?:idea|clue|pin"
    r"|longer)|forg[eo]t\w*|remember|recall|lost|unsure|already|why|how come|what(?! a\b)|how|where|when|which|who|whom"
    r"|can (?:you|i|we|u)|could (?:you|i|we)|would (?:you|it)|will you|do (?:you|i|we)|are you|is (?:it|that|there"
    r"|this)"
    r"|i(?:['’]?d| would) (?:like|prefer|rather)|i (?:just |only |also |really )?(?:need|want|wish|wanna|lost"
    r"|am (?:looking|trying|not|calling))|i[’']?m (?:looking|trying|not|calling|having)|one (?:moment|sec|second"
    r"|minute)"
    r"|hold on|hang on|just a|help|give me|let me|wait)\b",
    re.IGNORECASE,
)
CLAUSE = re.compile(
    r"(?<!\bdr)(?<!\bmr)(?<!\bms)(?<!\bst)(?<!\bmrs)[.!?…]+(?=\s|$)|[;:,\n()]+|\s[-–—]+\s", re.IGNORECASE
)
TOKEN = re.compile(r"[^\W\d_]++(?:['’.-][^\W\d_]++)*+")


@lru_cache(maxsize=16384)
def is_usual(word: str) -> bool:
    """Check whether a word in lower case is too common in English to be a name; forms in -ing, -ed and -ly are."""
    ranks = dictionary().ranks
    if ranks.get(word, USUAL) < USUAL:
        return True
    stem = word.removesuffix("ing").removesuffix("ed").removesuffix("ly")
    return stem != word and word in ranks and (stem in ranks or stem + "e" in ranks)


@lru_cache(maxsize=16384)
def is_everyday(word: str) -> bool:
    """Check whether a word in lower case is among the most common of English, an adverb, or a form in -ing or -ed."""
    return dictionary().ranks.get(word, EVERYDAY) < EVERYDAY or (word.endswith(("ing", "ed", "ly")) and is_usual(word))


def is_stop(word: str) -> bool:
    """Check whether a word, in any case, is never part of a value."""
    folded = word.casefold().replace("’", "'")
    head, apostrophe, tail = folded.partition("'")
    return folded.replace("'", "") in STOP or (
        apostrophe != "" and tail in _CLITICS and (head in STOP or head in _PRONOUNS)
    )
