"""Select the conversations for training and evaluation; without options, all of them.

The conditions apply to all splits: a model that is not trained on a language is not evaluated on it either.
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
    """Conditions that a conversation must meet; unset options impose none."""

    languages: Names | None = Field(None, description="ISO 639-1 codes to keep; `und` stands for an unknown language")
    sources: Names | None = Field(None, description="sources to keep, as named in ingest")
    intents: Names | None = Field(None, description="intents to keep; conversations without one are rejected")
    exclude_intents: tuple[str, ...] = Field((), description="intents to reject")
    min_rating: float | None = Field(None, description="lowest rating; conversations without one are kept")
    min_agent_words: int = Field(0, ge=0, description="fewest words of all supervised agent replies together")
    unsupervise: tuple[Phrase, ...] = Field(
        (), description="masks replies from the loss in which every sentence contains one of these phrases"
    )
    min_reply_words: int = Field(0, ge=0, description="masks replies with fewer words from the loss")

    @model_validator(mode="after")
    def _consistent(self) -> "SelectConfig":
        if self.intents is not None and not set(self.intents) - set(self.exclude_intents):
            raise ValueError("`exclude_intents` contains all of `intents`: every conversation would be rejected")
        return self


def select(rows: pd.DataFrame, config: SelectConfig, context: Context) -> pd.DataFrame:
    """Mask uninformative replies from the loss, and reject conversations that do not meet the conditions.

    Args:
        rows: (n, schema); not modified.
    Returns:
        (n, schema + `reject`): new `turns` with unchanged texts; `reject` is null or the first reason that applies:
        other_language, other_source, excluded_intent, other_intent, low_rating, nothing_to_learn, few_agent_words.
    """
    turns = [unsupervise(cell, config) for cell in rows["turns"]]
    before = pd.Series([_supervised(cell) for cell in rows["turns"]], index=rows.index, dtype="int64")
    after = pd.Series([_supervised(cell) for cell in turns], index=rows.index, dtype="int64")
    words = pd.Series([_supervised_words(cell) for cell in turns], index=rows.index, dtype="int64")
    reasons = {
        "other_language": ~_among(rows["language"].fillna("und"), config.languages),
        "other_source": ~_among(rows["source"], config.sources),
        "excluded_intent": rows["intent"].isin(config.exclude_intents),
        "other_intent": ~_among(rows["intent"], config.intents),
        "low_rating": rows["rating"] < (float("-inf") if config.min_rating is None else config.min_rating),
        "nothing_to_learn": (before > 0) & (after == 0),
        "few_agent_words": words < config.min_agent_words,
    }
    reject = pd.Series([None] * len(rows), index=rows.index, dtype="str")
    for reason, mask in reversed(reasons.items()):
        reject = reject.mask(mask, reason)
    return rows.assign(turns=pd.Series(turns, index=rows.index, dtype=object), reject=reject)


def unsupervise(turns: Sequence[Mapping[str, Any]], config: SelectConfig) -> list[dict[str, Any]]:
    """Return copies of a conversation's turns in which uninformative replies are not supervised."""
    return [
        {**turn, "supervise": turn["supervise"] and not _is_uninformative(turn["text"] or "", config)} for turn in turns
    ]


def _is_uninformative(text: str, config: SelectConfig) -> bool:
    if len(WORD.findall(text)) < config.min_reply_words:
        return True
    sentences = [part for part in SENTENCE_END.split(text) if WORD.search(part)]
    return bool(config.unsupervise and sentences) and all(mentions(part, config.unsupervise) for part in sentences)


def _among(column: pd.Series, names: Sequence[str] | None) -> pd.Series:
    return pd.Series(True, index=column.index) if names is None else column.isin(names)


def _supervised(turns: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(turn["supervise"]) for turn in turns)


def _supervised_words(turns: Sequence[Mapping[str, Any]]) -> int:
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
