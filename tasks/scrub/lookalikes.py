"""Replace lookalike characters: Cyrillic and Greek letters in Latin words, decimal digits of other scripts.

People can read `jane@example.com` with a Cyrillic "a" or a card number in Arabic-Indic digits, but no pattern matches
them. Letters follow the mixed-script confusables of https://www.unicode.org/reports/tr39/.
"""

import re
import unicodedata
from collections.abc import Iterator

LATIN = dict(zip("аеорсухіјѕһӏԁԛԝАВЕЅІЈКМНОРСТУХ", "aeopcyxijshldqwABESIJKMHOPCTYX", strict=True)) | dict(
    zip("οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "oABEZHIKMNOPTYX", strict=True)
)
FOREIGN = re.compile(r"[^\W_0-9A-Za-z\u00aa-\u024f]")  # most texts have none and need no further search
ASCII_LETTER = re.compile("[A-Za-z]")
DIGIT_OR_WORD = re.compile(rf"(?P<digit>(?![0-9])\d)|(?<![^\W\d_])[A-Za-z\u00c0-\u024f{''.join(LATIN)}]++(?![^\W\d_])")


def lookalikes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield replacements in order: (start, end, ASCII character).

    A letter is replaced only in a word that also has ASCII letters and none that is unmistakably of another script, so
    that Russian and Greek words stay.
    """
    for match in DIGIT_OR_WORD.finditer(text) if FOREIGN.search(text) else ():
        if match["digit"]:
            yield match.start(), match.end(), str(unicodedata.decimal(match[0]))
        elif ASCII_LETTER.search(match[0]):
            for at, letter in enumerate(match[0], match.start()):
                if letter in LATIN:
                    yield at, at + 1, LATIN[letter]
