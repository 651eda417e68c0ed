"""Reject duplicates, and assign every conversation to a family and a split.

    exact duplicate   same roles and text, ignoring case and white space
    near-duplicate    Jaccard similarity of word shingles of at least `threshold`
    family            conversations connected by customer or near-duplication; never separated by a split

`shingles` turns conversations into sets, `minhash` finds similar ones, `families` folds over the batches, and `strata`
chooses splits. Families and splits are recorded in the ledger and never change.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deskloop.contract.stage import Context, StageConfig, TableStage
from tasks.dedupe.families import Links, assign_families
from tasks.dedupe.minhash import near_pairs
from tasks.dedupe.shingles import ShingleSets, plain_text, shingle_sets


class DedupeConfig(StageConfig):
    """What counts as a duplicate, what connects a family, and the shares of the splits."""

    threshold: float = Field(0.7, ge=0.2, le=1, description="Jaccard similarity from which two are near-duplicates")
    drop_threshold: float | None = Field(
        0.9,
        ge=0.2,
        le=1,
        description="near-duplicates at least this similar to an earlier conversation are rejected; null: none are",
    )
    customer: bool = Field(True, description="conversations that share a customer key are one family")
    max_customer_conversations: int = Field(
        200, ge=1, description="a key with more conversations (a kiosk, an anonymous id) is ignored and removed"
    )
    shingle: int = Field(5, ge=1, le=50, description="words in a shingle")
    permutations: int = Field(128, ge=64, le=1024, description="MinHash permutations")
    validation: float = Field(0.1, gt=0, lt=0.5, description="share of the conversations for validation")
    test: float = Field(0.1, gt=0, lt=0.5, description="share of the conversations for test")
    heldout: tuple[str, ...] = Field(
        (), description="sources for evaluation only, as named in ingest: their families go to the test split"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "DedupeConfig":
        if self.drop_threshold is not None and self.drop_threshold < self.threshold:
            raise ValueError("drop_threshold is below threshold: only near-duplicates can be rejected")
        return self


def dedupe(rows: pd.DataFrame, config: DedupeConfig, context: Context) -> pd.DataFrame:
    """Mark duplicates and set family and split.

    All rows of a conversation (its copies) share family, split and reject, which follow from its original row.

    Args:
        rows: (n, row_id, conversation_id, batch, source, turns, customer_keys, intent, intent_source); not modified.
            `context.families` holds the ledger's decisions.
    Returns:
        The n rows in their order with `family`, `split`, `excluded`, and `reject`: null, exact_duplicate,
        near_duplicate or joins_splits (permanent, with `excluded` true). Keys of more than `max_customer_conversations`
        conversations are removed from `customer_keys`: they do not identify a customer, and must not connect families.
    """
    conversations = _conversations(rows, context.seed)
    sets = shingle_sets(conversations["turns"], config.shingle)
    left, right, similarity = near_pairs(sets, config.threshold, config.permutations, context.rng("minhash"))
    members, keys, names = _customers(conversations["customer_keys"] if config.customer else [])
    links = Links(members, keys, config.max_customer_conversations, sets.of, left, right)
    shares = {"train": 1 - config.validation - config.test, "validation": config.validation, "test": config.test}
    heldout = conversations["source"].isin(config.heldout).to_numpy(dtype=bool) if config.heldout else None
    decided = assign_families(conversations, links, context.families, shares, heldout)
    close = None
    if config.drop_threshold is not None:
        near = similarity >= config.drop_threshold
        close = zip(left[near].tolist(), right[near].tolist(), strict=True)
    decided["reject"] = pd.Series(_rejects(conversations["turns"], decided["excluded"], sets, close), dtype="str")
    decided = decided.set_axis(conversations["conversation_id"]).loc[rows["conversation_id"]].set_axis(rows.index)
    shared = set(names[links.shared_keys(np.ones(len(conversations), dtype=bool))])
    customer_keys = [[key for key in cell or [] if key not in shared] for cell in rows["customer_keys"]]
    return rows.assign(
        customer_keys=pd.Series(customer_keys, index=rows.index, dtype=object),
        **{name: decided[name] for name in ("family", "split", "excluded", "reject")},
    )


def remember(result: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger's part of `dedupe`'s result: (conversations, conversation_id, family, split, excluded)."""
    columns = ["conversation_id", "family", "split", "excluded"]
    return result[columns].drop_duplicates("conversation_id").reset_index(drop=True)


def _conversations(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return one row per conversation, ordered by batch and then by a keyed random number."""
    keys = np.array([_keyed(seed, name) for name in rows["conversation_id"]], dtype=np.uint64)
    copies = rows["row_id"] != rows["conversation_id"]
    ordered = rows.assign(key=keys, copy=copies, stratum=_strata(rows)).sort_values(
        ["batch", "key", "conversation_id", "copy", "row_id"]
    )
    return ordered.drop_duplicates("conversation_id").reset_index(drop=True)


def _keyed(seed: int, name: str) -> int:
    """Return 64 random bits for a conversation, the same in every run with this seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest(), "big")


def _strata(rows: pd.DataFrame) -> list[str]:
    """Return the intents from logs and rules; models assign theirs only after the split."""
    return [
        intent if source in ("log", "rule") and isinstance(intent, str) else ""
        for intent, source in zip(rows["intent"], rows["intent_source"], strict=True)
    ]


def _customers(cells: Iterable[list[str] | None]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.object_]]:
    """Return conversation number and key number of every customer key in `cells`, and the keys by number."""
    numbers: dict[str, int] = {}
    pairs = [(row, numbers.setdefault(key, len(numbers))) for row, cell in enumerate(cells) for key in set(cell or [])]
    members, keys = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return members, keys, np.array(list(numbers), dtype=object)


def _rejects(
    turns: pd.Series, excluded: pd.Series, sets: ShingleSets, close: Iterable[tuple[int, int]] | None
) -> list[str | None]:
    """Return the reason for rejecting each conversation, or None; of a `close` pair of sets, the later is rejected."""
    neighbours: dict[int, set[int]] = defaultdict(set)
    for left, right in close or ():
        neighbours[left].add(right)
        neighbours[right].add(left)
    seen: set[tuple[tuple[str, str], ...]] = set()
    accepted: set[int] = set()
    reasons: list[str | None] = []
    for cell, is_excluded, number in zip(turns, excluded, sets.of.tolist(), strict=True):
        text = tuple(plain_text(cell))
        if is_excluded:
            reasons.append("joins_splits")
            continue
        if text in seen:
            reasons.append("exact_duplicate")
        elif close is not None and (number in accepted or neighbours[number] & accepted):
            reasons.append("near_duplicate")
        else:
            accepted.add(number)
            reasons.append(None)
        seen.add(text)
    return reasons


STAGE = TableStage(
    name="dedupe",
    dataset="deduped",
    summary="Rejects copies and near-copies, groups similar conversations into families, and assigns splits to them.",
    words={"exact_duplicate": "exact copies", "near_duplicate": "near-copies"},
    suite="expectations.deduped",
    config=DedupeConfig,
    run=dedupe,
    needs=frozenset({"normalized", "customer_keys"}),
    provides=frozenset({"family", "split", "customer_keys"}),  # without keys of too many conversations
    columns=("row_id", "conversation_id", "batch", "source", "turns", "customer_keys", "intent", "intent_source"),
    remember=remember,
)
