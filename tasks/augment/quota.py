"""The number of copies: a plan by intent, fitted on the training rows, and from it the copies of one row.

The plan is a rate, so that a row's copies depend only on the plan and the row's id (P4, P5).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from deskloop.contract.errors import DataError
from deskloop.contract.placeholders import PLACEHOLDER
from deskloop.contract.stage import Context
from tasks.augment.config import AugmentConfig

ARTIFACT = "quota.json"
UNLABELLED = ""  # conversations without an intent, in the plan
FEWEST_WORDS = 3  # of a turn that is rewritten: "ok" and "yes please" have no other useful wording

WORD = re.compile(r"[^\W\d_]{2,}")
DIGIT = re.compile(r"\S*[@0-9]\S*")


def fit(rows: pd.DataFrame, config: AugmentConfig, context: Context) -> Mapping[str, bytes]:
    """Fit how many copies each intent's training conversations need.

    Args:
        rows: (n, schema) with `split`, `intent`, `parent_id`, `language`, `turns`; not modified.
    Returns:
        {"quota.json": sorted JSON of intent -> copies per conversation that has words to rewrite, six decimals}.
    Raises:
        DataError: none of the declared `intents` occurs in training.
    """
    training = rows[rows["split"] == "train"]
    intents = training["intent"].fillna(UNLABELLED)
    sizes = intents[(intents != UNLABELLED) | config.unlabelled].value_counts()
    chosen = set(sizes.index if config.intents is None else config.intents) | ({UNLABELLED} & set(sizes.index))
    if config.intents is not None and len(training) and not set(config.intents) & set(sizes.index):
        raise DataError(
            f"step {context.step!r}: `intents` names {len(config.intents):,}, and none of them occurs among the "
            f"{len(sizes):,} intents of {len(training):,} training conversations. Compare the names with the log's."
        )
    able = [
        copyable(parent, language, turns, config)
        for parent, language, turns in zip(training["parent_id"], training["language"], training["turns"], strict=True)
    ]
    sources = intents[able].value_counts()
    goal = config.target * sizes.max() if len(sizes) else 0.0
    rates = {}
    for intent in sorted(chosen & set(sources.index)):
        rate = min(float(config.max_copies), (goal - sizes[intent]) / sources[intent])
        if rate > 0:
            rates[intent] = round(float(rate), 6)
    return {ARTIFACT: json.dumps(rates, sort_keys=True, ensure_ascii=False).encode()}


def copies(row_id: str, rate: float, context: Context) -> int:
    """Draw the number of copies of a row: the rate's integer part, plus one with the probability of the rest."""
    return int(rate) + int(context.rng(row_id, "copies").random() < rate % 1)


def copyable(parent: object, language: str | None, turns: list[dict[str, Any]], config: AugmentConfig) -> bool:
    """Check that a conversation is no copy, has words to rewrite, and has a generator for its language."""
    return (
        bool(pd.isna(parent))  # type: ignore[call-overload]
        and any(generator.serves(language) for generator in config.generators)
        and any(map(rewritable, turns))
    )


def rewritable(turn: Mapping[str, Any]) -> bool:
    """Check that a turn is the customer's and has enough words besides placeholders, codes and numbers."""
    if turn["role"] != "customer":
        return False
    plain = DIGIT.sub(" ", PLACEHOLDER.sub(" ", turn["text"] or ""))
    return len(WORD.findall(plain)) >= FEWEST_WORDS
