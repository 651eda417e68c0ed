"""Normalize messages: white space, spelling, signatures, quotes, boilerplate and runs of one speaker; bound the length.

`fit` detects boilerplate: a line that opens or closes many different messages comes from the mail program or the help
desk, not from the writer. (Canned replies recur as well, but as a whole or except for numbers, and the model should
learn them.) It also collects the log's vocabulary, see `spelling.py`. The text is already scrubbed, so recurring lines
contain no personal data.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

import pandas as pd
from pydantic import Field, model_validator

from deskloop.contract.placeholders import generalise, hide, show
from deskloop.contract.stage import Context, FittedStage, StageConfig
from tasks.normalize.clean import clean, tidy
from tasks.normalize.spelling import LANGUAGE, Speller, learn, speller

__all__ = ["ARTIFACT", "STAGE", "VOCABULARY", "NormalizeConfig", "clean", "fit", "normalize", "tidy"]

ARTIFACT = "boilerplate.json"
VOCABULARY = "vocabulary.json"
SHORTEST_BOILERPLATE = 30  # characters; a lower bound would include "Hello," and "Thank you for your help."
DIGITS = re.compile(r"[0-9]+")


class NormalizeConfig(StageConfig):
    """What to clean, and the bounds of a conversation after cleaning."""

    min_turns: int = Field(2, ge=1, description="fewest turns of a conversation after cleaning")
    max_turns: int | None = Field(None, ge=1, description="most turns of a conversation after cleaning")
    min_chars: int = Field(1, ge=0, description="fewest characters of all turns together")
    max_chars: int = Field(20_000, ge=1, description="most characters of all turns together")
    signatures: bool = Field(
        True, description="remove signatures, closings and quoted replies from the end of messages"
    )
    boilerplate_share: float = Field(0.02, gt=0, le=1, description="share of conversations in which a line must recur")
    boilerplate_min: int = Field(20, ge=2, description="conversations in which a line must recur")
    spelling: bool = Field(True, description="correct typos in customers' English messages")
    vocabulary_min: int = Field(3, ge=1, description="customers that must use a non-English word for it to be accepted")
    merge_turns: bool = Field(True, description="join consecutive turns of one role with the same supervision")

    @model_validator(mode="after")
    def _bounds(self) -> "NormalizeConfig":
        if self.max_turns is not None and self.max_turns < self.min_turns:
            raise ValueError("max_turns is below min_turns: every conversation would be rejected")
        if self.max_chars < self.min_chars:
            raise ValueError("max_chars is below min_chars: every conversation would be rejected")
        return self


def fit(rows: pd.DataFrame, config: NormalizeConfig, context: Context) -> Mapping[str, bytes]:
    """Collect the vocabulary, and the lines that open or close messages with different text in many conversations.

    Lines are removed in rounds, so that all lines of a block of boilerplate are found, from the outside in.

    Args:
        rows: (n, schema) with scrubbed `turns`, `entities`, `language`, `customer_keys`; not modified.
    Returns:
        {"boilerplate.json": sorted JSON list of lines, placeholders without numbers,
        "vocabulary.json": the result of `spelling.learn`, if spelling is on}.
    """
    covered = [hide(*cells)[0] for cells in zip(rows["turns"], rows["entities"], strict=True)]
    rows = rows.assign(turns=pd.Series(covered, index=rows.index, dtype=object))  # pseudonyms are not vocabulary
    vocabulary = {VOCABULARY: learn(rows, config.vocabulary_min)} if config.spelling else {}
    spelled = _spelled(rows, vocabulary.get(VOCABULARY))
    messages = [[text for turn in turns if "\n" in (text := tidy(turn["text"]))] for turns in spelled]
    bound = max(config.boilerplate_min, config.boilerplate_share * len(rows))
    boilerplate: set[str] = set()
    while True:
        messages = [[clean(text, boilerplate, config.signatures) for text in texts] for texts in messages]
        edges: dict[str, tuple[set[int], set[str]]] = defaultdict(lambda: (set(), set()))
        for number, texts in enumerate(messages):
            for line, rest in (edge for text in texts for edge in _edges(text)):
                edges[line][0].add(number)
                edges[line][1].add(rest)
        recurring = {line for line, (ids, rests) in edges.items() if min(len(ids), len(rests)) >= bound} - boilerplate
        if not recurring:
            return {ARTIFACT: json.dumps(sorted(boilerplate), ensure_ascii=False, indent=0).encode(), **vocabulary}
        boilerplate |= recurring


def normalize(rows: pd.DataFrame, config: NormalizeConfig, context: Context) -> pd.DataFrame:
    """Clean every conversation and reject those outside the bounds.

    Args:
        rows: (n, schema) with `turns`, `entities`, `language`; not modified. `context.artifact` holds `fit`'s result.
    Returns:
        (n, schema + `reject`): new `turns` without empty ones, `entities` at their new positions. `reject` is null or
        too_few_turns, too_many_turns, too_short, too_long, no_agent_reply, no_customer_text.
    """
    boilerplate = frozenset(json.loads(context.artifact[ARTIFACT]))
    covered = [hide(*cells) for cells in zip(rows["turns"], rows["entities"], strict=True)]
    hidden = rows.assign(turns=pd.Series([cell for cell, _ in covered], index=rows.index, dtype=object))
    spelled = _spelled(hidden, context.artifact[VOCABULARY] if config.spelling else None)
    turns = [normalize_turns(cell, boilerplate, config) for cell in spelled]
    shown = [show(cell, values) for cell, (_, values) in zip(turns, covered, strict=True)]
    return rows.assign(
        turns=pd.Series([cell for cell, _ in shown], index=rows.index, dtype=object),
        entities=pd.Series([cell for _, cell in shown], index=rows.index, dtype=object),
        reject=pd.Series([_reason(cell, config) for cell in turns], index=rows.index, dtype="str"),
    )


def normalize_turns(
    turns: list[dict[str, Any]], boilerplate: Collection[str], config: NormalizeConfig
) -> list[dict[str, Any]]:
    """Clean the turns of one conversation and remove those that become empty.

    A run of turns is not merged if the joined text would be cleaned further, as text with a signature or boilerplate:
    the stage must be idempotent.
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


def _spelled(rows: pd.DataFrame, vocabulary: bytes | None) -> list[list[dict[str, Any]]]:
    """Return the turns of every row; corrects customers' English if there is a vocabulary.

    Spelling comes before cleaning, so that a closing such as "Best regrads," is removed in the same pass.
    """
    if vocabulary is None:
        return list(rows["turns"])
    corrector = speller(vocabulary)
    return [
        [_corrected(turn, corrector) for turn in turns] if language == LANGUAGE else turns
        for language, turns in zip(rows["language"], rows["turns"], strict=True)
    ]


def _corrected(turn: dict[str, Any], corrector: Speller) -> dict[str, Any]:
    # The model is trained on the agents' text, so a wrong correction there would teach it a mistake.
    return {**turn, "text": corrector.correct(tidy(turn["text"]))} if turn["role"] == "customer" else turn


def _edges(text: str) -> Iterator[tuple[str, str]]:
    """Yield the first and last line of a multi-line message, if long enough, and its generalised rest."""
    first, _, below = text.partition("\n")
    above, newline, last = text.rpartition("\n")
    for line, rest in ((first, below), (last, above)) if newline else ():
        if len(line := generalise(line)) >= SHORTEST_BOILERPLATE:
            yield line, DIGITS.sub("0", generalise(rest))


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
        return "no_agent_reply"  # nothing to train on
    if not any(turn["role"] == "customer" for turn in turns):
        return "no_customer_text"
    return None


STAGE = FittedStage(
    name="normalize",
    dataset="normalized",
    summary="Cleans up white space, spelling, signatures and boilerplate; rejects what is too short or too long.",
    suite="expectations.normalized",
    config=NormalizeConfig,
    run=normalize,
    fit=fit,
    needs=frozenset({"turns", "scrubbed"}),
    provides=frozenset({"normalized"}),
    libraries=("symspellpy",),
)
