"""Keep the conversations that the model shall learn from and be judged on; without options, all of them.

All splits are held to the same conditions: a model that is not taught a language is not judged on it either.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from deskloop.contract.stage import Context, RowStage, StageConfig
from tasks.annotate.rules import Phrase, mentions

SENTENCE_END = re.compile(r"[.!?\n]+(?=\s|$)")
WORD = re.compile(r"\S*\w\S*")

Names = Annotated[tuple[str, ...], Field(min_length=1)]


class SelectConfig(StageConfig):
    """What a conversation must be to be kept; what is not given is not asked."""

    languages: Names | None = Field(None, description="ISO 639-1 codes to keep; `und` is an unknown language")
    sources: Names | None = Field(None, description="sources to keep, as named in ingest")
    intents: Names | None = Field(None, description="intents to keep; conversations without one are rejected")
    exclude_intents: tuple[str, ...] = Field((), description="intents to leave out")
    min_rating: float | None = Field(None, description="lowest rating; conversations without one are kept")
    min_agent_words: int = Field(0, ge=0, description="words in all the agent's replies that are to be learned")
    unsupervise: tuple[Phrase, ...] = Field(
        (), description="replies of which every sentence has one of these phrases are context, and not learned"
    )
    min_reply_words: int = Field(0, ge=0, description="replies of fewer words are context, and not learned")

    @model_validator(mode="after")
    def _consistent(self) -> "SelectConfig":
        if self.intents is not None and not set(self.intents) - set(self.exclude_intents):
            raise ValueError("every one of `intents` is in `exclude_intents`: nothing would be kept")
        return self


def select(rows: pd.DataFrame, config: SelectConfig, context: Context) -> pd.DataFrame:
    """Mark replies that are not to be learned, and reject conversations that are not asked for.

    Args:
        rows: (n, schema); not modified.
    Returns:
        (n, schema + `reject`): new `turns`, their texts unchanged; `reject` is null or the first of other_language,
        other_source, excluded_intent, other_intent, low_rating, nothing_to_learn, few_agent_words that holds.
    """
    turns = [unsupervise(cell, config) for cell in rows["turns"]]
    taught = pd.Series([_supervised(cell) for cell in rows["turns"]], index=rows.index, dtype="int64")
    left = pd.Series([_supervised(cell) for cell in turns], index=rows.index, dtype="int64")
    words = pd.Series([_words_taught(cell) for cell in turns], index=rows.index, dtype="int64")
    unfit = {
        "other_language": ~_among(rows["language"].fillna("und"), config.languages),
        "other_source": ~_among(rows["source"], config.sources),
        "excluded_intent": rows["intent"].isin(config.exclude_intents),
        "other_intent": ~_among(rows["intent"], config.intents),
        "low_rating": rows["rating"] < (float("-inf") if config.min_rating is None else config.min_rating),
        "nothing_to_learn": (taught > 0) & (left == 0),
        "few_agent_words": words < config.min_agent_words,
    }
    reject = pd.Series([None] * len(rows), index=rows.index, dtype="str")
    for reason, mask in reversed(unfit.items()):
        reject = reject.mask(mask, reason)
    return rows.assign(turns=pd.Series(turns, index=rows.index, dtype=object), reject=reject)


def unsupervise(turns: Sequence[Mapping[str, Any]], config: SelectConfig) -> list[dict[str, Any]]:
    """Copies of a conversation's turns; `supervise` is false where an agent says nothing that is to be learned."""
    return [{**turn, "supervise": turn["supervise"] and not _idle(turn["text"] or "", config)} for turn in turns]


def _idle(text: str, config: SelectConfig) -> bool:
    if len(WORD.findall(text)) < config.min_reply_words:
        return True
    sentences = [part for part in SENTENCE_END.split(text) if WORD.search(part)]
    return bool(config.unsupervise and sentences) and all(mentions(part, config.unsupervise) for part in sentences)


def _among(column: pd.Series, names: Sequence[str] | None) -> pd.Series:
    return pd.Series(True, index=column.index) if names is None else column.isin(names)


def _supervised(turns: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(turn["supervise"]) for turn in turns)


def _words_taught(turns: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(WORD.findall(turn["text"] or "")) for turn in turns if turn["supervise"])


STAGE = RowStage(
    name="select",
    dataset="selected",
    summary="Selects the conversations to train on and evaluate with.",
    suite="expectations.selected",
    config=SelectConfig,
    run=select,
    needs=frozenset({"scrubbed"}),
    provides=frozenset({"selected"}),
)
