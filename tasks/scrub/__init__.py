"""Scrub: the one way out of the raw zone. Decode, identify the language, put placeholders for personal values.

What is personal: what the source knows (`known`), what Presidio's patterns and checksums find, what the pipeline file
lists, and every other occurrence of such a value in the same conversation.
"""

from typing import Any

import pandas as pd

from deskloop.placeholders import find
from deskloop.schema import CONVERSATION
from deskloop.stage import Context, Stage
from tasks.scrub.config import ScrubConfig
from tasks.scrub.language import UNKNOWN, identify
from tasks.scrub.placeholders import Conversation, replace_values

__all__ = ["STAGE", "ScrubConfig", "scrub"]


def scrub(conversations: pd.DataFrame, config: ScrubConfig, context: Context) -> pd.DataFrame:
    """Decode and scrub every text of every conversation, each on its own.

    Args:
        conversations: (n, raw schema) with `turns`, `metadata`, `known`; not modified.
        config: what is personal, and which languages are expected.
        context: not used: the result depends on the row and the config alone.
    Returns:
        (n, schema), same rows in the same order, without `known`; `turns`, `metadata`, `entities` and `language` set;
        `reject` is `unknown_language` where the config wants it, else null.
    Raises:
        DataError: a pattern of the pipeline file takes too long on a text.
    """
    turns = [list(cell) if cell is not None else [] for cell in conversations["turns"]]
    metadata = [dict(cell) if isinstance(cell, dict) else {} for cell in _column(conversations, "metadata")]
    known = [cell if isinstance(cell, dict) else None for cell in _column(conversations, "known")]
    batch = [
        Conversation([*(turn["text"] for turn in said), *extra.values()], values)
        for said, extra, values in zip(turns, metadata, known, strict=True)
    ]
    replace_values(batch, config)
    texts = [[text.text for text in conversation.texts] for conversation in batch]
    turns = [
        [{**turn, "text": text} for turn, text in zip(said, new, strict=False)]
        for said, new in zip(turns, texts, strict=True)
    ]
    metadata = [
        {name: None if old is None else text for (name, old), text in zip(extra.items(), new[len(said) :], strict=True)}
        for extra, said, new in zip(metadata, turns, texts, strict=True)
    ]
    languages = [_language(said) for said in turns]
    result = conversations.drop(columns="known", errors="ignore")
    result["language"] = pd.Series(languages, index=result.index, dtype="str")
    for name, cells in (("turns", turns), ("metadata", metadata), ("entities", map(find, turns))):
        result[name] = pd.Series(list(cells), index=result.index, dtype=object)
    rejects = [_reject(language, config) for language in languages]
    result["reject"] = pd.Series(rejects, index=result.index, dtype=object)
    return result


def _column(conversations: pd.DataFrame, name: str) -> list[Any]:
    return list(conversations[name]) if name in conversations else [None] * len(conversations)


def _language(turns: list[dict[str, Any]]) -> str:
    return identify(" ".join(turn["text"] for turn in turns if turn["role"] == "customer"))


def _reject(language: str, config: ScrubConfig) -> str | None:
    unexpected = language not in (UNKNOWN, *config.languages)
    return "unknown_language" if unexpected and config.unknown_language == "reject" else None


STAGE = Stage(
    name="scrub",
    dataset="scrubbed",
    config=ScrubConfig,
    kind="row",
    run=scrub,
    needs=frozenset({"turns"}),
    provides=frozenset({"entities", "language", "scrubbed"}),
    zone=("raw", "clean"),
    schema=CONVERSATION,
    libraries=("presidio-analyzer", "phonenumbers", "ftfy", "py3langid"),
)
