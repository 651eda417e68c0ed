"""Balance intents in training: cap frequent ones, repeat rare ones, and weight the resulting rows.

With n the training rows of an intent (after `max_conversations`) and L the largest n:

    repeated   e = n                              if n >= to * L
               e = min(to * L, max_repeats * n)   otherwise                       (`oversample`)
    cap        C = max_ratio * smallest e, but not below min_conversations        (`max_ratio`)
    target     f = min(e, C)                      f <= n: f rows remain; f > n: all do, and `repeats` add up to f
    weight     w ~ 1 / f (inverse), 1 / sqrt(f) (sqrt_inverse), with a mean of 1 over all f rows

Inverse weights are n / (k * n_c) for k classes, following King and Zeng, Logistic Regression in Rare Events Data, 2001;
the square root is the compromise of Mahajan et al., https://arxiv.org/abs/1805.00932. Repeating comes before capping,
so that a given ratio rejects fewer conversations.
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
    """How far to oversample rare intents."""

    to: float = Field(0.5, gt=0, le=1, description="size that rare intents are raised to, as a share of the largest")
    max_repeats: int = Field(3, ge=1, le=100, description="most occurrences of one conversation in an epoch")


class BalanceConfig(StageConfig):
    """How to balance intents; without options, nothing changes."""

    max_ratio: float | None = Field(None, ge=1, description="largest / smallest intent, after repeating")
    min_conversations: int = Field(50, ge=1, description="max_ratio caps no intent below this many rows")
    max_conversations: int | None = Field(None, ge=1, description="most training rows of one intent, including copies")
    oversample: OversampleConfig | None = Field(None, description="repeat rare intents within an epoch")
    weights: Literal["none", "inverse", "sqrt_inverse"] = Field(
        "none", description="weight of a token in the loss, by the rarity of its intent"
    )
    unlabelled: Literal["leave", "class"] = Field(
        "leave",
        description="conversations without an intent: left unchanged, or treated as a class, which is never repeated",
    )


def balance(rows: pd.DataFrame, config: BalanceConfig, context: Context) -> pd.DataFrame:
    """Set `repeats` and `weight` of training rows, and reject those over a cap.

    Generated conversations are rejected before logged ones, so that no copy remains without its original. Among equals
    a random number keyed by the row decides, so that a new row displaces at most one other.

    Args:
        rows: (n, row_id, origin, intent, split, repeats, weight); not modified.
    Returns:
        The n rows in their order, with `reject` (null, over_cap); validation and test rows unchanged.
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
    repeats[over] = 1  # rejected rows are not repeated
    reject = pd.Series([None] * len(rows), index=rows.index, dtype="str").mask(over, "over_cap")
    return rows.assign(repeats=repeats, weight=weight, reject=reject)


def wanted_rows(sizes: Mapping[str, int], config: BalanceConfig) -> dict[str, int]:
    """Return the rows of each class in an epoch: f of the formulae above, at least 1.

    Args:
        sizes: class -> its training rows, above 0; the class `UNLABELLED` can be capped, but counts neither as the
            largest nor as the smallest.
    """
    bound = config.max_conversations
    capped = {name: size if bound is None else min(size, bound) for name, size in sizes.items()}
    labelled = {name: size for name, size in capped.items() if name != UNLABELLED}
    if not labelled:
        return capped
    repeated = dict(capped)
    if config.oversample is not None:
        target = _floor(config.oversample.to * max(labelled.values()))
        for name, size in labelled.items():
            repeated[name] = max(size, min(target, config.oversample.max_repeats * size))
    if config.max_ratio is None:
        return repeated
    smallest = min(repeated[name] for name in labelled)
    cap = max(config.min_conversations, _floor(config.max_ratio * smallest))
    return {name: min(size, cap) for name, size in repeated.items()}


def class_weights(seen: Mapping[str, int], kind: str) -> dict[str, float]:
    """Return the weight of each class from its rows in an epoch; the mean over those rows is 1.

    Args:
        kind: none, inverse or sqrt_inverse.
    """
    power = {"none": 0.0, "inverse": 1.0, "sqrt_inverse": 0.5}[kind]
    raw = {name: count**-power for name, count in seen.items()}
    total = sum(raw[name] * count for name, count in seen.items())
    return {name: round(weight * sum(seen.values()) / total, DIGITS) for name, weight in raw.items()}


def _floor(value: float) -> int:
    """Round down with a tolerance: 0.29 * 100 is 29, although slightly less in floating point."""
    return math.floor(value + 1e-9)


def _ranked(rows: pd.DataFrame, places: np.ndarray, classes: np.ndarray, context: Context) -> dict[str, np.ndarray]:
    """Return class -> positions of its rows, in the order of preference."""
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
