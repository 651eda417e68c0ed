"""Normalize messages: white space, signatures and quoted replies, boilerplate, runs of one speaker; bound the length.

Boilerplate is learned (`fit`): a line that opens or closes many different messages is the mail program's or the help
desk's, not the writer's. (A canned reply recurs too, but as a whole or but for a number, and is what the model is to
learn.) The text is scrubbed by then, so a recurring line holds no personal data.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

import pandas as pd
from pydantic import Field, model_validator

from deskloop.placeholders import find, generalise
from deskloop.stage import Context, Stage, StageConfig

ARTIFACT = "boilerplate.json"
SHORTEST_BOILERPLATE = 30  # characters; below it, "Hello," and "Thank you for your help." would be learned
LONGEST_SIGNATURE = 8  # lines below a "-- " delimiter; more than that is text

NEWLINE = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
BLANKS = re.compile(r"[^\S\n]+")
BLANKS_AT_NEWLINE = re.compile(r" ?\n ?")
DIGITS = re.compile(r"[0-9]+")
EMPTY_LINES = re.compile(r"\n{3,}")
NAME = r"(?:<PERSON_[0-9]+>|[A-Z][\w.'-]*),?"
NAMES = re.compile(rf"{NAME}(?: (?:& )?{NAME}){{0,4}}")
REGARDS = re.compile(
    r"(?:(?:\w+ ){0,2}(?:regards|wishes)|(?:yours )?(?:sincerely|faithfully|truly)|cheers)[,.!]*"
    rf"(?: (?-i:{NAMES.pattern}))?",
    re.IGNORECASE,
)
NEEDS_NAME = re.compile(r"(?:(?:many |kind )?(?:thanks|thank you)(?: in advance)?|(?:all the )?best),", re.IGNORECASE)
DEVICE = re.compile(
    r"sent from my .{1,40}|sent from (?:mail|outlook|yahoo|gmail|proton)\b.{0,40}|get outlook for .{1,20}",
    re.IGNORECASE,
)
QUOTE_HEAD = re.compile(r"on .{4,200} wrote:", re.IGNORECASE)
FORWARD = re.compile(r"-{2,} ?(?:original message|forwarded message) ?-{2,}", re.IGNORECASE)


class NormalizeConfig(StageConfig):
    """What is cleaned, and the bounds that a conversation must keep afterwards."""

    min_turns: int = Field(2, ge=1, description="turns a conversation needs after cleaning")
    max_turns: int | None = Field(None, ge=1, description="turns a conversation may have after cleaning")
    min_chars: int = Field(1, ge=0, description="characters of all turns together")
    max_chars: int = Field(20_000, ge=1, description="characters of all turns together")
    signatures: bool = Field(True, description="take signatures, closings and quoted replies off the end of messages")
    boilerplate_share: float = Field(0.02, gt=0, le=1, description="share of conversations in which a line must recur")
    boilerplate_min: int = Field(20, ge=2, description="conversations in which a line must recur")
    merge_turns: bool = Field(True, description="join consecutive turns of one role with the same supervision")

    @model_validator(mode="after")
    def _bounds(self) -> "NormalizeConfig":
        if self.max_turns is not None and self.max_turns < self.min_turns:
            raise ValueError("max_turns is below min_turns: every conversation would be rejected")
        if self.max_chars < self.min_chars:
            raise ValueError("max_chars is below min_chars: every conversation would be rejected")
        return self


def fit(rows: pd.DataFrame, config: NormalizeConfig, context: Context) -> Mapping[str, bytes]:
    """Learn the lines that open or close multi-line messages in many conversations, each time with another text.

    Peeled in rounds, so that every line of a block of boilerplate is found, from the outside in.

    Args:
        rows: (n, schema) with `turns`; not modified.
    Returns:
        {"boilerplate.json": sorted JSON list of lines, placeholders without numbers}.
    """
    messages = [[text for turn in turns if "\n" in (text := tidy(turn["text"]))] for turns in rows["turns"]]
    bound = max(config.boilerplate_min, config.boilerplate_share * len(rows))
    learned: set[str] = set()
    while True:
        messages = [[clean(text, learned, config.signatures) for text in texts] for texts in messages]
        seen: dict[str, tuple[set[int], set[str]]] = defaultdict(lambda: (set(), set()))
        for number, texts in enumerate(messages):
            for line, rest in (edge for text in texts for edge in _edges(text)):
                seen[line][0].add(number)
                seen[line][1].add(rest)
        found = {line for line, counted in seen.items() if min(len(counted[0]), len(counted[1])) >= bound} - learned
        if not found:
            return {ARTIFACT: json.dumps(sorted(learned), ensure_ascii=False, indent=0).encode()}
        learned |= found


def normalize(rows: pd.DataFrame, config: NormalizeConfig, context: Context) -> pd.DataFrame:
    """Clean every conversation and reject those outside the bounds.

    Args:
        rows: (n, schema) with `turns`; not modified. `context.artifact` holds what `fit` learned.
    Returns:
        (n, schema + `reject`): new `turns` without empty ones, `entities` found again in them. `reject` is null or
        too_few_turns, too_many_turns, too_short, too_long, no_agent_reply, no_customer_text.
    """
    boilerplate = frozenset(json.loads(context.artifact[ARTIFACT]))
    turns = [normalize_turns(cell, boilerplate, config) for cell in rows["turns"]]
    return rows.assign(
        turns=pd.Series(turns, index=rows.index, dtype=object),
        entities=pd.Series([find(cell) for cell in turns], index=rows.index, dtype=object),
        reject=pd.Series([_reason(cell, config) for cell in turns], index=rows.index, dtype="str"),
    )


def normalize_turns(
    turns: list[dict[str, Any]], boilerplate: Collection[str], config: NormalizeConfig
) -> list[dict[str, Any]]:
    """The cleaned turns of one conversation; those left empty are dropped.

    A run of turns stays apart where its joined text would read as text with a signature or boilerplate: otherwise a
    second pass would cut what the first one kept.
    """
    cleaned = [{**turn, "text": clean(turn["text"], boilerplate, config.signatures)} for turn in turns]
    cleaned = [turn for turn in cleaned if turn["text"]]
    if not config.merge_turns:
        return cleaned
    merged: list[dict[str, Any]] = []
    for _, group in groupby(cleaned, key=lambda turn: (turn["role"], turn["supervise"])):
        run = list(group)
        joined = "\n".join(turn["text"] for turn in run)
        stable = clean(joined, boilerplate, config.signatures) == joined
        merged.extend([{**run[0], "text": joined}] if stable else run)
    return merged


def clean(text: str | None, boilerplate: Collection[str], signatures: bool = True) -> str:
    """One message without superfluous white space, boilerplate and trailing matter; a second time changes nothing."""
    current = tidy(text)
    while "\n" in current:
        shorter = tidy("\n".join(_core(current.split("\n"), boilerplate, signatures)))
        if shorter == current:
            break
        current = shorter
    return current


def tidy(text: str | None) -> str:
    """White space alone: line ends, runs of blanks, blanks at the ends of lines, more than one empty line."""
    unix = NEWLINE.sub("\n", text or "")
    return EMPTY_LINES.sub("\n\n", BLANKS_AT_NEWLINE.sub("\n", BLANKS.sub(" ", unix))).strip()


def _edges(text: str) -> Iterator[tuple[str, str]]:
    """The first and last line of a multi-line message, if long enough, each with the rest but for names and numbers."""
    first, _, below = text.partition("\n")
    above, newline, last = text.rpartition("\n")
    for line, rest in ((first, below), (last, above)) if newline else ():
        if len(line := generalise(line)) >= SHORTEST_BOILERPLATE:
            yield line, DIGITS.sub("0", generalise(rest))


def _core(lines: list[str], boilerplate: Collection[str], signatures: bool) -> list[str]:
    """The lines that the writer wrote for this message; a message of boilerplate alone keeps its boilerplate."""
    skip = [not line or generalise(line) in boilerplate for line in lines]
    end = _end(lines, skip, signatures)
    start = next((number for number in range(end) if not skip[number]), None)
    if start is not None:
        return lines[start:end]
    return lines[: _end(lines, [not line for line in lines], signatures)]


def _end(lines: list[str], skip: list[bool], signatures: bool) -> int:
    """Where a message ends without trailing signatures, quotes and lines to skip; at least 1."""
    forwarded = (number for number, line in enumerate(lines) if number and FORWARD.fullmatch(line))
    end = next(forwarded, len(lines)) if signatures else len(lines)
    while True:
        while end > 1 and skip[end - 1]:
            end -= 1
        shorter = _peel(lines, end) if signatures else end
        if shorter in (0, end):
            return end
        end = shorter


def _peel(lines: list[str], end: int) -> int:
    """Where `lines[:end]` ends once its last piece of trailing matter is gone; `end` if there is none."""
    last = lines[end - 1]
    if last.startswith(">") or DEVICE.fullmatch(last) or QUOTE_HEAD.fullmatch(last):
        return end - 1
    if end > 1 and last.endswith("wrote:") and QUOTE_HEAD.fullmatch(f"{lines[end - 2]} {last}"):
        return end - 2  # mail programs wrap "On <date>, <name> wrote:" over two lines
    for number in range(max(0, end - 1 - LONGEST_SIGNATURE), end):
        if lines[number] == "--":
            return number
    for number in range(end - 1, max(-1, end - 6), -1):  # the closing, and below it at most four lines of names
        if REGARDS.fullmatch(lines[number]) or (number < end - 1 and NEEDS_NAME.fullmatch(lines[number])):
            return number
        if lines[number] and not NAMES.fullmatch(lines[number]):
            break
    return end


def _reason(turns: list[dict[str, Any]], config: NormalizeConfig) -> str | None:
    characters = sum(len(turn["text"]) for turn in turns)
    if len(turns) < config.min_turns:
        return "too_few_turns"
    if config.max_turns is not None and len(turns) > config.max_turns:
        return "too_many_turns"
    if characters < config.min_chars:
        return "too_short"
    if characters > config.max_chars:
        return "too_long"
    if not any(turn["role"] == "agent" and turn["supervise"] for turn in turns):
        return "no_agent_reply"  # nothing in it could be learned
    if not any(turn["role"] == "customer" for turn in turns):
        return "no_customer_text"
    return None


STAGE = Stage(
    name="normalize",
    dataset="normalized",
    config=NormalizeConfig,
    kind="fitted",
    run=normalize,
    fit=fit,
    needs=frozenset({"turns", "scrubbed"}),
    provides=frozenset({"normalized"}),
)
