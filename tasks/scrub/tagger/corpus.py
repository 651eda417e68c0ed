"""Generate labelled sentences for training the tagger from frames, fillers and noise, reproducible by seed."""

import random
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple

from deskloop.contract.placeholders import PLACEHOLDER
from tasks.scrub.tagger.fillers import FRAMES, slots
from tasks.scrub.tagger.pools import harmless, pools
from tasks.scrub.tagger.wordlists import word_list
from tasks.scrub.tagger.wordnet import examples

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
_SOMEBODY = re.compile(
    rf"\b(?:(he|she|him)|(his) (?=[a-z])|the (?:old |young )?(?:{'|'.join(word_list('people'))}))\b", re.IGNORECASE
)
_SIGNS = re.compile(r"[.,;:!?'\"()/#&-]")


class Sample(NamedTuple):
    """A text and its labelled spans (start, end, type)."""

    text: str
    spans: list[tuple[int, int, str]]


Slots = dict[str, Callable[[random.Random], tuple[str, str]]]
Segments = list[tuple[str, str]]  # (text, label); the label is "" outside names and addresses


def frames(kind: str, held_out: bool) -> list[str]:
    """Return the frames of `names`, `addresses` or `plain`; one in nine is held out. A bare slot is in both parts."""
    lines = [line.replace("\\n", "\n") for line in (FRAMES / f"{kind}.txt").read_text().splitlines() if line]
    bare = [line for line in lines if SLOT.fullmatch(line)]
    return [line for line in lines if (zlib.crc32(line.encode()) % 9 == 0) == held_out and line not in bare] + bare


def generate(count: int, seed: int, held_out: bool = False) -> list[Sample]:
    """Generate `count` samples; held-out ones use frames, locales and example sentences of their own."""
    draw = random.Random(seed)
    tables = [slots(pool, harmless(0)) for pool in pools(held_out, 0)]
    kinds = {kind: frames(kind, held_out) for kind in ("names", "addresses", "plain")}
    spoken = [
        text for text in examples() if _SOMEBODY.search(text) and (zlib.crc32(text.encode()) % 9 == 0) == held_out
    ]
    sentences = [text for text in examples() if (zlib.crc32(text.encode()) % 9 == 0) == held_out]
    samples = []
    for _ in range(count):
        kind = draw.choices(["names", "prose", "addresses", "plain", "sentence"], [30, 15, 13, 32, 10])[0]
        table = draw.choice(tables)
        if kind == "sentence":
            segments = [(draw.choice(sentences), "")]
        else:
            segments = fill(
                peopled(draw.choice(spoken), draw) if kind == "prose" else draw.choice(kinds[kind]), table, draw
            )
        if draw.random() < 0.14:
            other = draw.choices(["names", "addresses", "plain"], [3, 1, 5])[0]
            segments = [
                *segments,
                (draw.choice([". ", " ", "\n", ", "]), ""),
                *fill(draw.choice(kinds[other]), table, draw),
            ]
        samples.append(join(roughen(segments, draw)))
    return samples


def peopled(sentence: str, draw: random.Random) -> str:
    """Turn a sentence about a person into a frame: "he looked at her" becomes "{name} looked at her"."""
    form = draw.choice(["{name}", "{first} {last}", "{last}", "{first}", "{titled}", "{first} and {first}"])

    def put(match: re.Match[str]) -> str:
        return f"{form}'s " if match[2] else form

    frame = _SOMEBODY.sub(put, re.sub(r"[\[\]{}|]", "", sentence), count=1)
    ends = ["", "", ".", "!", ". {Title} {word}."]
    return frame + draw.choice(ends)


def fill(frame: str, table: Slots, draw: random.Random) -> Segments:
    """Choose one alternative of each `[a|b]`, and fill each `{slot}`."""
    while _CHOICE.search(frame):
        frame = _CHOICE.sub(lambda match: draw.choice(match[1].split("|")), frame)
    segments: Segments = []
    for number, part in enumerate(SLOT.split(frame)):
        segments.append(table[part](draw) if number % 2 else (part, ""))
    first = draw.random() < 0.5
    return [(text[:1].upper() + text[1:], label) if first and not number and text else (text, label)
            for number, (text, label) in enumerate(segments)]  # fmt: skip


def roughen(segments: Segments, draw: random.Random) -> Segments:
    """Vary the writing: lower case, no signs or apostrophes, capitals, typos, placeholders."""
    if draw.random() < 0.06:
        segments = [(f"<{label}_{draw.randint(1, 9)}>" if label else text, "") for text, label in segments]
    if any(PLACEHOLDER.search(text) for text, _ in segments):
        return segments
    chance = draw.random()
    if chance < 0.55:
        segments = [(text.lower(), label) for text, label in segments]
    elif chance < 0.59:
        segments = [(text.upper(), label) for text, label in segments]
    elif chance < 0.63:
        segments = [(text.title(), label) for text, label in segments]
    elif chance < 0.66:
        segments = [(text.title() if label else text.lower(), label) for text, label in segments]
    elif chance < 0.70:
        segments = [(text.lower() if label else text, label) for text, label in segments]
    if chance < 0.38:
        segments = [(_SIGNS.sub("", text), label) for text, label in segments]
    elif chance < 0.5:
        segments = [(re.sub(r"['.!?]", "", text), label) for text, label in segments]
    if draw.random() < 0.12:
        segments = [(_typo(text, draw), label) for text, label in segments]
    return segments


def _typo(text: str, draw: random.Random) -> str:
    if len(text) < 5:
        return text
    place = draw.randrange(1, len(text) - 2)
    left, first, second, right = text[:place], text[place], text[place + 1], text[place + 2 :]
    if not (first.isalpha() and second.isalpha()):
        return text
    return draw.choice([left + second + first + right, left + first + right, left + first + first + second + right])


def join(segments: Segments) -> Sample:
    """Join segments to a text with the spans of the labelled ones, without their leading and trailing blanks."""
    text, spans = "", []
    for piece, label in segments:
        if label and piece.strip():
            start = len(text) + len(piece) - len(piece.lstrip())
            spans.append((start, start + len(piece.strip()), label))
        text += piece
    return Sample(text, spans)
