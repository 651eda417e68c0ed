"""Balance intents in training: frequent ones are cut, rare ones repeated, and what is left is weighed.

With n the training rows of an intent (after `max_conversations`) and L the largest n:

    repeated   e = n                              where n >= to * L
               e = min(to * L, max_repeats * n)   otherwise                       (`oversample`)
    cap        C = max_ratio * smallest e, but not below min_conversations        (`max_ratio`)
    wanted     f = min(e, C)                      f <= n: f rows are kept; f > n: all, `repeats` adding up to f
    weight     w ~ 1 / f (inverse), 1 / sqrt(f) (sqrt_inverse), with a mean of 1 over all f rows

Inverse weights are n / (k * n_c) of k classes, as of King and Zeng, Logistic Regression in Rare Events Data, 2001; the
square root is the compromise of Mahajan et al., https://arxiv.org/abs/1805.00932. Repeating comes before cutting, so
that fewer conversations are thrown away for a ratio.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from deskloop.contract.stage import Context, StageConfig, TableStage

DIGITS = 6  # of a weight
UNLABELLED = ""  # the class of conversations without an intent


class OversampleConfig(StageConfig):
    """How far rare intents are lifted."""

    to: float = Field(0.5, gt=0, le=1, description="share of the largest intent that every intent is lifted to")
    max_repeats: int = Field(3, ge=1, le=100, description="how often one conversation may be seen in an epoch")


class BalanceConfig(StageConfig):
    """How even intents become; without options, nothing changes."""

    max_ratio: float | None = Field(None, ge=1, description="largest / smallest intent, after repeating")
    min_conversations: int = Field(50, ge=1, description="max_ratio cuts no intent below so many rows")
    max_conversations: int | None = Field(
        None, ge=1, description="training rows of one intent, copies included, at most"
    )
    oversample: OversampleConfig | None = Field(None, description="see rare intents more often in an epoch")
    weights: Literal["none", "inverse", "sqrt_inverse"] = Field(
        "none", description="what a token counts in the loss, by how rare its intent is"
    )
    unlabelled: Literal["leave", "class"] = Field(
        "leave",
        description="conversations without an intent: left as they are, or a class to cut and weigh (never repeated)",
    )


def balance(rows: pd.DataFrame, config: BalanceConfig, context: Context) -> pd.DataFrame:
    """Set `repeats` and `weight` of training rows, and reject those over a cap.

    Logged conversations are kept before generated ones, so that no copy outlives the conversation it was made from;
    among equals a random number keyed by the row decides, so that a new row moves at most one other.

    Args:
        rows: (n, row_id, origin, intent, split, repeats, weight); not modified.
    Returns:
        The n rows in their order, with `reject` (null, over_cap); validation and test exactly as they were.
    """
    train = rows["split"].to_numpy() == "train"
    classes = rows["intent"].fillna(UNLABELLED).to_numpy(dtype=object)
    balanced = train & (classes != UNLABELLED) if config.unlabelled == "leave" else train
    ranked = _ranked(rows, np.flatnonzero(balanced), classes, context)
    wanted = wanted_rows({name: len(places) for name, places in ranked.items()}, config)
    weights = class_weights(wanted, config.weights)
    repeats, weight = rows["repeats"].to_numpy().copy(), rows["weight"].to_numpy().copy()
    over = np.zeros(len(rows), dtype=bool)
    for name, places in ranked.items():
        each, more = divmod(wanted[name], len(places))
        repeats[places] = each
        repeats[places[:more]] += 1
        over[places[wanted[name] :]] = True
        weight[places] = weights[name]
    repeats[over] = 1  # of a row that is taken out
    reject = pd.Series([None] * len(rows), index=rows.index, dtype="str").mask(over, "over_cap")
    return rows.assign(repeats=repeats, weight=weight, reject=reject)


def wanted_rows(sizes: Mapping[str, int], config: BalanceConfig) -> dict[str, int]:
    """How many rows of each class an epoch shall see: f of the formulae above, at least 1.

    Args:
        sizes: class -> its training rows, all of them above 0; the class `UNLABELLED` may be cut, but counts neither
            as largest nor as smallest.
    """
    bound = config.max_conversations
    cut = {name: size if bound is None else min(size, bound) for name, size in sizes.items()}
    labelled = {name: size for name, size in cut.items() if name != UNLABELLED}
    if not labelled:
        return cut
    lifted = dict(cut)
    if config.oversample is not None:
        target = _floor(config.oversample.to * max(labelled.values()))
        for name, size in labelled.items():
            lifted[name] = max(size, min(target, config.oversample.max_repeats * size))
    if config.max_ratio is None:
        return lifted
    smallest = min(lifted[name] for name in labelled)
    cap = max(config.min_conversations, _floor(config.max_ratio * smallest))
    return {name: min(size, cap) for name, size in lifted.items()}


def class_weights(seen: Mapping[str, int], kind: str) -> dict[str, float]:
    """Each class's weight, by the rows that an epoch sees of it; the mean over those rows is 1.

    Args:
        kind: none, inverse or sqrt_inverse.
    """
    power = {"none": 0.0, "inverse": 1.0, "sqrt_inverse": 0.5}[kind]
    raw = {name: count**-power for name, count in seen.items()}
    total = sum(raw[name] * count for name, count in seen.items())
    return {name: round(one * sum(seen.values()) / total, DIGITS) for name, one in raw.items()}


def _floor(value: float) -> int:
    """0.29 of 100 is 29, though it is a little less in binary."""
    return math.floor(value + 1e-9)


def _ranked(rows: pd.DataFrame, places: np.ndarray, classes: np.ndarray, context: Context) -> dict[str, np.ndarray]:
    """Class -> the positions of its rows, the first to be kept first."""
    names = rows["row_id"].to_numpy(dtype=object)[places]
    keys = [int(context.rng(name).integers(2**62)) for name in names]
    generated = ~rows["origin"].isin(["log", "feedback"]).to_numpy()[places]
    order = pd.DataFrame({"class": classes[places], "generated": generated, "key": keys, "row_id": names})
    order = order.assign(place=places).sort_values(["class", "generated", "key", "row_id"])
    return {str(name): part.to_numpy() for name, part in order.groupby("class", sort=True)["place"]}


STAGE = TableStage(
    name="balance",
    dataset="balanced",
    summary="Caps frequent intents and repeats or up-weights rare ones, in training only.",
    words={"over_cap": "above the cap of their intent"},
    suite="expectations.balanced",
    config=BalanceConfig,
    run=balance,
    needs=frozenset({"split", "intent"}),
    provides=frozenset({"repeats", "weight"}),
    columns=("row_id", "origin", "intent", "split", "repeats", "weight"),
)
