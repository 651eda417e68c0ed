"""Format a message for its channel: capitals, HTML, typos, fillers, emoji, mojibake.

A message is a list of pieces. These functions change only plain text; personal values have been written before
(`disguise.py`) and stay as they are, so that the truth file can quote them. Mojibake is the exception: it affects
entire messages, and the form of a changed value records it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import codepoint2name
from random import Random
from typing import NamedTuple

# Neighbouring keys on a QWERTY keyboard.
BESIDE = {
    "a": "sqz", "b": "vgn", "c": "xvd", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy", "i": "uok",
    "j": "hku", "k": "jli", "l": "kop", "m": "nj", "n": "bmh", "o": "ipl", "p": "ol", "q": "wa", "r": "etf",
    "s": "adw", "t": "ryg", "u": "yij", "v": "cbf", "w": "qes", "x": "zcs", "y": "tuh", "z": "xa",
}  # fmt: skip
EMOJI = {
    "happy": ["🙂", "😊", "👍", "🙏", "😀", "❤️", "🎉"],
    "upset": ["😡", "😞", "🙁", "😤", "😭", "🤦", "😕"],
}
SYNONYMS = {
    "order": "purchase", "parcel": "package", "please": "kindly", "help": "assist", "ordered": "bought",
    "check": "verify", "problem": "issue", "still": "even now", "today": "this morning", "quickly": "soon",
    "great": "good", "need": "require", "want": "would like", "get": "receive", "tell": "let me know",
    "send": "forward", "just": "only", "sorry": "very sorry",
}  # fmt: skip
SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] )|(?<=\n))[a-zäöüñ¿¡]")
WORD = re.compile(r"[A-Za-z]{4,}")
GAP = re.compile(r"[a-z], (?=[a-z])| (?=(?:and|but|because) )")
SYNONYM = re.compile(rf"\b(?:{'|'.join(SYNONYMS)})\b")
LEGAL_FOOTER = (
    "Norvale Home & Audio Ltd. This e-mail may contain confidential information. "
    "If you are not the intended recipient, please delete it and tell the sender."
)


class Piece(NamedTuple):
    """Text of a message; for a personal value also its type, its canonical value and the form it is written in."""

    text: str
    type: str = ""
    value: str = ""
    form: str = "plain"


def tidy(pieces: list[Piece]) -> list[Piece]:
    """Join adjacent text, remove the spaces left by empty alternatives, and capitalise sentences."""
    joined: list[Piece] = []
    for piece in pieces:
        if piece.text and joined and not piece.type and not joined[-1].type:
            joined[-1] = Piece(joined[-1].text + piece.text)
        elif piece.text:
            joined.append(piece)
    done: list[Piece] = []
    before = ". "
    for piece in joined:
        if not piece.type:
            text = re.sub(r" +", " ", piece.text)
            text = re.sub(r" ([.,?!;:])", r"\1", text)
            if before[-1] in " \n":
                text = text.lstrip(" ")
            start = SENTENCE_START.sub(lambda hit: hit[0].upper(), text)
            if not re.search(r"[.!?]\s+$|\n$", before):
                start = text[:1] + start[1:]
            piece = Piece(start)
        if piece.text:
            done.append(piece)
            before = piece.text
    if done and not done[-1].type:
        done[-1] = Piece(done[-1].text.rstrip())
    return done


def map_text(pieces: list[Piece], change: Callable[[str], str]) -> list[Piece]:
    """Apply `change` to the pieces of plain text."""
    return [piece if piece.type else Piece(change(piece.text)) for piece in pieces]


def add_typos(pieces: list[Piece], rng: Random, count: int) -> list[Piece]:
    """Make `count` typos: a neighbouring key, two letters swapped, a letter dropped or doubled."""
    done = list(pieces)
    places = [at for at, piece in enumerate(done) if not piece.type and WORD.search(piece.text)]
    for _ in range(count if places else 0):
        at = rng.choice(places)
        words = list(WORD.finditer(done[at].text))
        if words:
            word = rng.choice(words)
            done[at] = Piece(done[at].text[: word.start()] + _typo(word[0], rng) + done[at].text[word.end() :])
    return done


def _typo(word: str, rng: Random) -> str:
    at, kind = rng.randint(1, len(word) - 2), rng.random()
    if kind < 0.3:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.55:
        return word[:at] + word[at + 1 :]
    if kind < 0.7:
        return word[:at] + word[at] + word[at:]
    return word[:at] + rng.choice(BESIDE.get(word[at].lower(), "e")) + word[at + 1 :]


def add_fillers(pieces: list[Piece], rng: Random) -> list[Piece]:
    """Insert a hesitation, as people use on the phone."""
    places = [(at, hit.end()) for at, piece in enumerate(pieces) if not piece.type for hit in GAP.finditer(piece.text)]
    if not places:
        return pieces
    at, end = rng.choice(places)
    start, rest = pieces[at].text[:end].rstrip(", "), pieces[at].text[end:]
    text = f"{start}, {rng.choice(['um', 'uh', 'er', 'you know'])}, {rest}"
    return [*pieces[:at], Piece(text), *pieces[at + 1 :]]


def lower_text(pieces: list[Piece]) -> list[Piece]:
    """Convert the text to lower case."""
    return map_text(pieces, str.lower)


def add_emoji(pieces: list[Piece], rng: Random, mood: str) -> list[Piece]:
    """Append an emoji to the message."""
    return [*pieces, Piece(" " + rng.choice(EMOJI[mood]) * rng.choice([1, 1, 1, 2]))]


def to_html(pieces: list[Piece], rng: Random) -> list[Piece]:
    """Convert paragraphs to `<p>`, line breaks to `<br>`, special characters to entities, some spaces to `&nbsp;`."""
    bold, odd_spaces, breaks = rng.random() < 0.3, rng.random() < 0.3, rng.choice(["<br>", "<br/>", "<br>\n"])
    between = rng.choice(["</p><p>", "</p>\n<p>", "</p><p>&nbsp;</p><p>"])
    done = [Piece("<p>")]
    for piece in pieces:
        if piece.type:
            strong = bold and piece.type == "ORDER_ID" and piece.form == "plain"
            done += [Piece("<b>"), piece, Piece("</b>")] if strong else [piece]
            continue
        text = piece.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = "".join(f"&{codepoint2name[ord(m)]};" if ord(m) in codepoint2name and ord(m) > 127 else m for m in text)
        if odd_spaces and " " in text:
            place = rng.choice([hit.start() for hit in re.finditer(" ", text)])
            text = f"{text[:place]}&nbsp;{text[place + 1 :]}"
        paragraphs = [paragraph.replace("\n", breaks) for paragraph in text.split("\n\n")]
        done.append(Piece(between.join(paragraphs)))
    return [*done, Piece("</p>")]


def to_mojibake(pieces: list[Piece]) -> list[Piece]:
    """Misread UTF-8 as Windows-1252, curly apostrophes included: `don’t` becomes `donâ€™t`, `José` `JosÃ©`."""
    done = []
    for piece in pieces:
        text = piece.text if piece.type else piece.text.replace("'", "’").replace("$", "€")
        wrong = "".join(_misread(mark) if ord(mark) > 127 else mark for mark in text)
        done.append(Piece(wrong, piece.type, piece.value, "mojibake" if piece.type and wrong != text else piece.form))
    return done


def _misread(mark: str) -> str:
    return "".join(bytes([byte]).decode("cp1252" if _in_cp1252(byte) else "latin-1") for byte in mark.encode())


def _in_cp1252(byte: int) -> bool:
    return byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)


def reword(pieces: list[Piece], rng: Random, count: int) -> tuple[list[Piece], int]:
    """Replace up to `count` words by synonyms.

    Returns:
        The pieces, and the number of replaced words.
    """
    remaining = count

    def swap(hit: re.Match[str]) -> str:
        nonlocal remaining
        if remaining and rng.random() < 0.7:
            remaining -= 1
            return SYNONYMS[hit[0]]
        return hit[0]

    return map_text(pieces, lambda text: SYNONYM.sub(swap, text)), count - remaining
