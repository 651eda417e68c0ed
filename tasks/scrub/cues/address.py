"""Detect addresses with a small grammar.

Each word becomes one letter for its part of speech in an address (see `address_parts`), and the rules are regular
expressions over those letters.
"""

import re
from collections.abc import Iterator

from tasks.scrub.cues import streets
from tasks.scrub.cues.address_parts import ADDRESS_WORDS, BEGUN, KNOWN, NEXT_CUES, STREET_WORDS, spelled
from tasks.scrub.cues.lexicon import COUNTED, listed
from tasks.scrub.cues.tokens import Tokens
from tasks.scrub.span import Span

_NUM = r"(?:[nmfz](?!o)(?:l(?![a-zA-Z]?l))?(?:-[nmf]l?)?\.?)"
_GAP = r"[,./-]{0,3}"
_FRONT = rf"(?:U#?{_NUM}{_GAP})?(?:h?#?{_NUM},?){{0,2}}"
_NAME = r"(?:(?:[WDRCsSPF][.'-]?|[nmf]o){1,6}?)"
_UNIT = rf"(?:{_GAP}(?:U\.?[h#]?|#){_NUM}l?)"
_TOWN = r"(?:[WDRCsSF](?:[.'-]|\([WRC]{1,2}\))?){1,4}?"
_END = r"(?=[^a-zA-Z]|[wvxh&]|$)"
_LAND = r"(?:(?:[RCWDsSF&]\.?){1,4}?(?:\([RCWD]{1,3}\))?|q|i|n)"
_POST = r"(?:z(?:-[nmf])?|y|mn|[nf]-[mn]|n-m|f-?W(?![WD]))"
_CODED = rf"(?:{_GAP}{_TOWN}(?:{_GAP}{_LAND}){{0,2}}{_GAP}{_POST}(?:[,/]?[CR])?|{_GAP}{_TOWN}{_GAP}[RCiq]{_GAP}f)"
_LANDED = rf"(?:[,/-]{{1,3}}{_TOWN}n?(?:[,/-]{{1,3}}{_LAND}){{0,2}}{_END})"
_EUROPE = rf"(?:[,/]{{1,3}}(?:z|f|mn){_TOWN}(?:[,/]{{1,3}}[CW])?{_END})"
_FOLLOWED = rf"(?:{_TOWN}[RCq]?{_END})"
_BOX = r"(?:(?:[WR]\.?){0,2}B#?[nmfz])"
_STREET = (
    rf"{_FRONT}[PS]\.?{_NAME},?{_NUM}(?:W{{1,2}}[Ss]\.?)?"  # Rua X 12, Avenue des X 318
    rf"|(?:h?#?{_NUM},?){{1,2}}[PS]\.?(?:[WDRCsSPF][.'-]?){{1,5}}(?:[Ss]\.?)?"  # 40 rue Victor Hugo
    rf"|(?:h?#?{_NUM},?){{1,2}}{_NAME}?[Ss]+\.?{_NUM}?(?:W{{1,2}}[Ss]\.?)?(?:W(?=/?U))?"  # 12 Elm St; 136 Rue X Lind St
    rf"|{_FRONT}(?:[WDs][.]?){{0,3}}F\.?{_NUM}(?:W{{1,2}}[Ss]\.?)?"  # Nybyvagen 65
    rf"|(?:W\.?){{1,3}}S\.?{_NUM}(?:W{{1,2}}[Ss]\.?)?"  # Luite tee 87
    rf"|{_FRONT}{_BOX}"
)
_WHOLE = re.compile(
    rf"(?:W{{1,2}}&|U#?{_NUM}{_GAP})?(?:{_STREET})(?:&(?:[WDR]\.?){{1,3}}(?:[Ss]\.?"
    rf"|{_NUM}))?(?:{_UNIT}{{1,2}}(?:{_CODED}|{_LANDED}|{_FOLLOWED})?"
    rf"|{_CODED}|{_EUROPE}|{_LANDED}|{_FOLLOWED})?"
)
# A name with a number counts only before a unit or a postcode.
_LOOSE = re.compile(
    rf"(?:h?#?{_NUM},?){{1,2}}(?:[WDCRsSFv][.'-]?){{1,5}}?(?:{_NUM}?(?:W{{1,2}}[Ss])?"
    rf"(?:{_UNIT}{{1,2}}(?:{_CODED}|{_LANDED}|{_FOLLOWED})?|{_CODED})|{_NUM}{_GAP}{_TOWN}[,/]{{1,3}}W?C)"
    rf"|(?:[WDCRsSF][.'-]?){{1,5}}?{_NUM}?(?:W{{1,2}}[Ss])?(?:(?={_GAP}U){_UNIT}{{1,2}}(?:{_CODED}|{_LANDED}"
    rf"|{_FOLLOWED})?"
    rf"|(?<=[nmfzl]){_CODED})"
)
_MILITARY = re.compile(r"(?:U[nmf],?B[nmf]|[WR]W{1,2}|U[h#]?[nmf])[,/]{0,2}M[WRC]?[RW]?z")
_TOWN_CODE = re.compile(r"(?:W[.-]?){1,3},?[RC]{1,2},?[zy](?:-f)?")
_LAND_CODE = re.compile(r"(?:W|C|R)[Cs]?z(?![a-zA-Z]?l)")
_COUNTRY_CODE = re.compile(r"Cz(?![a-zA-Z])")
_BARE_UNIT = re.compile(rf"U\.?#?{_NUM}l?")
_BARE_STREET = re.compile(r"(?:W[.-]?){1,3}[Ss]\.?|P\.?D{0,2}(?:W[.-]?){1,3}|F")
_NAME_NUMBER = re.compile(rf"(?:(?:[WD][.-]?){{1,3}}&)?{_FRONT}(?:[WD][.'-]?){{0,3}}W(?:mn|{_NUM})")
_CHAT_TAIL = re.compile(r"(?:[WRCsSi]){0,5}(?:[nmzfy]|U[nm]?)?(?![nmfzl])")

# Every address has one of these: a number after a capitalised word or a fused street, a long number, a street word.
_MAYBE = re.compile(
    rf"[^\W\d_a-z][^\W\d_]{{1,40}}+[.,]?[ \n]\d|(?:{'|'.join(sorted(streets.FUSED))})[ ]\d|\d{{4}}|{'|'.join(BEGUN)}"
)
SAID = frozenset(word for word, part in KNOWN.items() if part in "SsPUBM") | ADDRESS_WORDS | {"corner"} - {"u"}
_BEFORE_PLACE = listed("at to on is : and with in following ? of by")
_AFTER_CUE = {"\n", *listed("is was : = to at now - be will line")}


def addresses(words: Tokens, said: bool) -> list[Span]:
    """Return every address once, with adjacent pieces merged; `said`: whether the text contains one of `SAID`."""
    if not said and not _MAYBE.search(words.text):
        return []
    letters = spelled(words)
    merged: list[tuple[int, int, float]] = []
    for first, end, score in sorted([*_by_grammar(words, letters), *_by_cue(words, letters)]):
        if merged and first < merged[-1][1]:
            before = merged.pop()
            first, end, score = before[0], max(before[1], end), max(before[2], score)
        merged.append((first, end, score))
    return [_span(words, *place) for place in merged]


def _span(words: Tokens, first: int, end: int, score: float) -> Span:
    while end - 1 > first and words.low[end - 1] in ("\n", ",", ".", "-", "("):
        end -= 1
    return Span(words.starts[first], words.ends[end - 1], "ADDRESS", score)


def _by_grammar(words: Tokens, letters: str) -> Iterator[tuple[int, int, float]]:
    rules = [(_MILITARY, 0.85), (_WHOLE, 0.75), (_LOOSE, 0.65), (_TOWN_CODE, 0.6)]
    for rule, score in [*rules, (_COUNTRY_CODE if words.chat else _LAND_CODE, 0.55)]:
        for match in rule.finditer(letters):
            end = match.end()
            if words.chat and rule is _WHOLE and letters[end - 1] in "Ss":
                tail = _CHAT_TAIL.match(letters, end)
                end = tail.end() if tail else end
            if _plausible(words, letters, match.start(), end):
                yield match.start(), end, score
    for match in _BARE_UNIT.finditer(letters):
        if words.low[match.start()] in ("apt", "suite", "flat", "ste", "apartment"):
            yield *match.span(), 0.6
    for match in _BARE_STREET.finditer(letters) if not words.chat else ():
        if _bare(words, match):
            yield *match.span(), 0.5
    if words.chat and len(words.low) < 10:
        message = letters.rstrip("/x")
        if re.search("[WsR]S|SW", message) and not re.search("[wxv&o]", message):
            yield 0, len(message), 0.5


def _bare(words: Tokens, match: re.Match[str]) -> bool:
    """Check whether a street without a number is a street, by its suffix or its ending."""
    last, before = words.low[match.end() - 1], match.end() - 2
    if match[0] == "F":
        return len(last) > 7 and last.endswith(tuple(streets.FUSED_ALONE))
    if match[0][0] == "P":
        return words.low[match.start()] not in streets.CAPITAL_PREFIX
    word = words.low[before] if last == "." else last
    return word in STREET_WORDS | {"drive", "terrace", "highway", "parkway", "rd", "ave"}


def _plausible(words: Tokens, letters: str, first: int, end: int) -> bool:
    """Reject matches that are counts of things ("2 Park Tickets"), dates or sums of money."""
    piece = letters[first:end]
    strong = any(letter in piece for letter in "SFPBM")
    house = re.match("h?f", piece) and words.low[first][:2] not in ("19", "20")
    if words.chat and not (strong or house or "U" in piece or re.search("[zy]|[RC]$", piece)):
        return False
    if words.chat and piece[0] == "S" and "z" not in piece:
        return False
    if first and not strong and words.low[first - 1] in COUNTED:
        return False
    if first and words.low[first - 1] in "$€£¥₹":
        return False
    if end < len(words.low) and words.low[end] in COUNTED and piece[-1] in "nmf" and not strong:
        return False
    if any(words.low[index] in COUNTED or words.low[index] in streets.NO_STREET for index in range(first, end)):
        return strong and ("z" in piece or "U" in piece)
    year = piece[-1] == "f" and words.low[end - 1][:2] in ("19", "20")
    return strong or not year


def _by_cue(words: Tokens, letters: str) -> Iterator[tuple[int, int, float]]:
    """Yield what follows "address" up to the next cue, corners of streets, and names with a number after "at"."""
    for index, word in enumerate(words.low):
        if word in ADDRESS_WORDS:
            yield from _after_address(words, letters, index + 1)
        elif word == "corner" and index + 1 < len(words.low) and words.low[index + 1] == "of":
            yield from _corner(words, letters, index)
        elif not words.chat and word in _BEFORE_PLACE:
            match = _NAME_NUMBER.match(letters, index + 1)
            if match and _plausible(words, letters, *match.span()) and not _dated(words, match.end()):
                yield *match.span(), 0.5


def _dated(words: Tokens, end: int) -> bool:
    return end < len(words.low) and (words.low[end] in COUNTED or words.low[end] in (":", "%", "/"))


def _after_address(words: Tokens, letters: str, index: int) -> Iterator[tuple[int, int, float]]:
    low = words.low
    while index < len(low) and low[index] in _AFTER_CUE:
        index += 1
    end = index
    while (
        end < len(low)
        and end - index < 16
        and letters[end] in "nmfzySsPFUBRCDWqlohi#,-/."
        and low[end] not in NEXT_CUES
    ):
        end += 1
    finished = end == len(low) or low[end] in NEXT_CUES
    while end > index and letters[end - 1] in ",-/#qDh.":
        end -= 1
    piece = letters[index:end]
    if piece == "z":
        yield index, end, 0.6
    if not re.search("[WSsFPRCU]", piece) or low[index] in streets.AFTER_ADDRESS:
        return
    numbered = any(letter in piece for letter in "nmfzy")
    if numbered and not any(low[place] in COUNTED for place in range(index, end)):
        yield index, end, 0.7
    elif words.chat and finished and end - index < 7 and not numbered:
        yield index, end, 0.5


def _corner(words: Tokens, letters: str, index: int) -> Iterator[tuple[int, int, float]]:
    """Yield two street names joined by "and"."""
    match = re.compile(r"(?:[WDRCsSPFUBnmfzlo][.'-]?){1,8}&(?:[WDRCsSPFUBnmfzlo][.'-]?){1,7}").match(letters, index + 2)
    if match:
        first = index - 1 if index and words.low[index - 1] == "the" else index
        yield first, match.end(), 0.7
