"""Prove the split on the data itself, then leave one dataset for each of train, validation and test.

`dedupe` decides the splits, early; whatever ran since may have broken them. So this looks at the rows alone: it shares
with `dedupe` what a shingle and a similarity are, and nothing of how pairs are found or joined. A generated copy that
came too near to an evaluation conversation is rejected; anything else that crosses splits is an error.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from deskloop.contract.errors import DataError
from deskloop.contract.schema import SPLITS
from deskloop.contract.stage import Context, StageConfig, TableStage
from tasks.dedupe.shingles import Indices, ShingleSets, jaccard, pairs_within, shingle_sets

SHOWN = 5  # ids in an error


class SplitConfig(StageConfig):
    """What is proved; no stricter than what `dedupe` was asked for, or the proof fails on sound data."""

    threshold: float = Field(0.7, ge=0.2, le=1, description="Jaccard similarity that no two splits share; dedupe's")
    shingle: int = Field(5, ge=1, le=50, description="words in a shingle; dedupe's")
    customer: bool = Field(True, description="prove that no customer is in two splits")


@dataclass(frozen=True)
class Findings:
    """What the proof saw: `counts` for the report, and the conversations against each rule that is broken."""

    counts: dict[str, object]
    broken: dict[str, list[str]]


def split(rows: pd.DataFrame, config: SplitConfig, context: Context) -> pd.DataFrame:
    """The rows as they are, once it is proved that no split knows anything of another (P2, P3).

    Args:
        rows: (n, row_id, conversation_id, turns, customer_keys, family, split, origin, repeats); not modified.
    Returns:
        The n rows and `reject`: near_evaluation for a generated training row that is a near-duplicate of a row in
        validation or test, else null.
    Raises:
        DataError: a rule is broken, with counts and up to five ids for each; or a split is empty.
    """
    generated = (rows["origin"] != "log") & (rows["split"] == "train")
    near = generated & _near_crossing(rows, config).rows if generated.any() else generated
    reject = near.map({True: "near_evaluation", False: None}).astype("str")
    rows, kept = rows.assign(reject=reject), rows[~near]
    broken = inspect(kept, config).broken
    if broken:
        lines = [
            f"  - {rule}: {len(ids)} conversation{'s' if len(ids) != 1 else ''} ({', '.join(ids[:SHOWN])}"
            f"{', ...' if len(ids) > SHOWN else ''})"
            for rule, ids in broken.items()
        ]
        raise DataError(
            f"step {context.step!r} cannot prove the split of {kept['conversation_id'].nunique():,} conversations:\n"
            + "\n".join(lines)
            + "\nA step after dedupe changed what it had separated, or this step asks for more (threshold, shingle, "
            "customer) than dedupe was asked for: compare the two, and run dedupe after the step that changes rows."
        )
    sizes = kept.groupby("split")["conversation_id"].nunique()
    empty = [name for name in SPLITS if name not in sizes.index]
    if empty:
        raise DataError(
            f"step {context.step!r}: no conversation in {' and '.join(empty)}. There are {sizes.sum():,} conversations "
            f"({', '.join(f'{name} {sizes.get(name, 0):,}' for name in SPLITS)}) in {kept['family'].nunique():,} "
            f"families, the largest of {_largest_family(kept):,}. Load more conversations, raise dedupe's `validation` "
            "and `test`, or make families smaller (dedupe's `customer: false`, or a higher `threshold`)."
        )
    return rows


def proof(rows: pd.DataFrame, config: SplitConfig) -> dict[str, object]:
    """The figures of the proof, for the report: conversations and families by split, and what crosses splits.

    Args:
        rows: what `split` was given or returned; rejected ones do not count. Not modified.
    """
    kept = rows[rows["reject"].isna()] if "reject" in rows else rows
    return inspect(kept, config).counts


def inspect(rows: pd.DataFrame, config: SplitConfig) -> Findings:
    """Look for everything that could tell one split about another."""
    names = rows["conversation_id"]
    evaluation = rows["split"].isin(["validation", "test"])
    families = _crossing(rows["family"], rows["split"])
    customers: set[Hashable] = set()
    if config.customer:
        exploded = rows[["customer_keys", "split"]].explode("customer_keys").dropna(subset="customer_keys")
        customers = _crossing(exploded["customer_keys"], exploded["split"])
    near = _near_crossing(rows, config)
    broken = {
        "not in train, validation or test": ~rows["split"].isin(SPLITS),
        "without a family": rows["family"].isna(),
        "in two splits": names.isin(_crossing(names, rows["split"])),
        "of a family in two splits": rows["family"].isin(families),
        "of a customer in two splits": pd.Series(
            [not customers.isdisjoint(cell or ()) for cell in rows["customer_keys"]], index=rows.index, dtype=bool
        ),
        f"near-duplicates (similarity {config.threshold:g} or more) in two splits": near.rows,
        "in validation or test, but not from a log": evaluation & (rows["origin"] != "log"),
        "in validation or test, but repeated": evaluation & (rows["repeats"] != 1),
    }
    by_split = {
        name: {"conversations": int(part["conversation_id"].nunique()), "families": int(part["family"].nunique())}
        for name, part in ((name, rows[rows["split"] == name]) for name in SPLITS)
    }
    counts: dict[str, object] = {
        "families": int(rows["family"].nunique()),
        "largest_family": _largest_family(rows),
        "families_crossing": len(families),
        "customers_crossing": len(customers),
        "near_duplicate_pairs_checked": near.checked,
        "near_duplicates_crossing": near.crossing,
        "by_split": by_split,
    }
    return Findings(counts, {rule: sorted(set(names[mask])) for rule, mask in broken.items() if mask.any()})


def _largest_family(rows: pd.DataFrame) -> int:
    """Conversations of the largest family; 0 without rows."""
    sizes = rows.groupby("family")["conversation_id"].nunique()
    return int(sizes.max()) if len(sizes) else 0


def _crossing(keys: pd.Series, splits: pd.Series) -> set[Hashable]:
    """The keys that are seen with more than one split."""
    distinct = pd.DataFrame({"key": keys, "split": splits}).drop_duplicates()
    return set(distinct["key"][distinct["key"].duplicated()])


@dataclass(frozen=True)
class Near:
    """Near-duplicates over two splits: pairs of shingle sets `checked`, those `crossing`, the `rows` that have them."""

    checked: int
    crossing: int
    rows: pd.Series


def _near_crossing(rows: pd.DataFrame, config: SplitConfig) -> Near:
    """Compare every two rows of different splits that can be near-duplicates at all.

    Counted in distinct sets: copies with equal shingles are one, and a set seen in two splits is a pair with itself.
    """
    sets = shingle_sets(rows["turns"], config.shingle)
    seen_in = np.zeros((len(sets.sizes), len(SPLITS)), dtype=bool)
    codes = pd.Index(SPLITS).get_indexer(pd.Index(rows["split"]))
    seen_in[sets.of[codes >= 0], codes[codes >= 0]] = True
    several = np.flatnonzero(seen_in.sum(axis=1) > 1)
    left, right = _candidates(sets, seen_in, config.threshold)
    near = jaccard(sets, left, right) >= config.threshold
    ids = np.unique(np.concatenate([several, left[near], right[near]]))
    touched = pd.Series(np.isin(sets.of, ids), index=rows.index)
    return Near(len(left), len(several) + int(near.sum()), touched)


def _candidates(sets: ShingleSets, seen_in: NDArray[np.bool_], threshold: float) -> tuple[Indices, Indices]:
    """Every pair of sets of different splits that can be near-duplicates at all, by prefix filtering.

    Two sets of similarity t share at least t times the larger one's shingles. So with the shingles of each set ordered
    from rare to frequent, they share one among their first size - ceil(t * size) + 1: nothing is missed, in contrast to
    MinHash (Bayardo, Ma, Srikant: Scaling up all pairs similarity search, WWW 2007).

    Args:
        seen_in: (sets, splits) whether a set occurs in a split.
    """
    _, shingles, frequency = np.unique(sets.values, return_inverse=True, return_counts=True)
    owner = np.repeat(np.arange(len(sets.sizes)), sets.sizes)
    order = np.lexsort((shingles, frequency[shingles], owner))  # owners stay where they were
    prefix = sets.sizes - np.ceil(threshold * sets.sizes - 1e-9).astype(np.int64) + 1
    inside = np.arange(len(owner)) - sets.starts[owner] < prefix[owner]
    keys, owner = shingles[order][inside], owner[inside]
    numbers = [np.empty(0, dtype=np.int64)]
    for one, other in pairs_within(keys):
        left, right = np.minimum(owner[one], owner[other]), np.maximum(owner[one], owner[other])
        sizes = sets.sizes[left], sets.sizes[right]
        apart = (seen_in[left] | seen_in[right]).sum(axis=1) > 1
        fits = apart & (np.minimum(*sizes) >= threshold * np.maximum(*sizes) - 1e-9)
        numbers.append(np.unique(left[fits] * len(sets.sizes) + right[fits]))
    distinct = np.unique(np.concatenate(numbers))
    return np.divmod(distinct, max(len(sets.sizes), 1))


STAGE = TableStage(
    name="split",
    dataset="split",
    summary="Separates training, validation and test conversations, and verifies that nothing crosses a split.",
    suite="expectations.split",
    report="tasks.split.report",
    config=SplitConfig,
    run=split,
    needs=frozenset({"family", "split"}),
    provides=frozenset({"proved_splits"}),
    proof=proof,
    columns=(
        "row_id",
        "conversation_id",
        "turns",
        "customer_keys",
        "family",
        "split",
        "origin",
        "repeats",
    ),
    by_split=True,
)
