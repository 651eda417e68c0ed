"""Verify the split on the data itself, then write one dataset each for train, validation and test.

`dedupe` assigns the splits early, and later steps may have broken them. The verification therefore relies on the rows
alone: it shares the definitions of shingles and similarity with `dedupe`, but not the code that finds and joins pairs.
A generated copy that is too similar to an evaluation conversation is rejected; anything else that crosses splits is an
error.
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
    """What to verify; options stricter than those of `dedupe` fail on sound data."""

    threshold: float = Field(
        0.7, ge=0.2, le=1, description="Jaccard similarity that no pair across splits reaches; as for dedupe"
    )
    shingle: int = Field(5, ge=1, le=50, description="words in a shingle; as for dedupe")
    customer: bool = Field(True, description="verify that no customer is in two splits")


@dataclass(frozen=True)
class Findings:
    """Result of the verification: `counts` for the report, and the conversations that break each rule."""

    counts: dict[str, object]
    broken: dict[str, list[str]]


def split(rows: pd.DataFrame, config: SplitConfig, context: Context) -> pd.DataFrame:
    """Verify that nothing is shared between splits (P2, P3) and return the rows.

    Args:
        rows: (n, row_id, conversation_id, turns, customer_keys, family, split, origin, repeats); not modified.
    Returns:
        The n rows and `reject`: near_evaluation for a generated training row that is a near-duplicate of a row in
        validation or test, else null.
    Raises:
        DataError: a rule is broken, with the number of conversations and up to five ids; or a split is empty.
    """
    generated = (rows["origin"] != "log") & (rows["split"] == "train")
    near = generated & _near_crossing(rows, config).rows if generated.any() else generated
    reject = near.map({True: "near_evaluation", False: None}).astype("str")
    rows, remaining = rows.assign(reject=reject), rows[~near]
    broken = inspect(remaining, config).broken
    if broken:
        lines = [
            f"  - {rule}: {len(ids)} conversation{'s' if len(ids) != 1 else ''} ({', '.join(ids[:SHOWN])}"
            f"{', ...' if len(ids) > SHOWN else ''})"
            for rule, ids in broken.items()
        ]
        raise DataError(
            f"step {context.step!r} cannot verify the split of {remaining['conversation_id'].nunique():,} "
            "conversations:\n"
            + "\n".join(lines)
            + "\nEither a step after dedupe changed rows, or this step's options (threshold, shingle, customer) are "
            "stricter than dedupe's. Compare the options, and run dedupe after any step that changes rows."
        )
    sizes = remaining.groupby("split")["conversation_id"].nunique()
    empty = [name for name in SPLITS if name not in sizes.index]
    if empty:
        raise DataError(
            f"step {context.step!r}: no conversation in {' and '.join(empty)}. There are {sizes.sum():,} conversations "
            f"({', '.join(f'{name} {sizes.get(name, 0):,}' for name in SPLITS)}) in {remaining['family'].nunique():,} "
            f"families, the largest of {_largest_family(remaining):,}. Load more conversations, raise dedupe's "
            "`validation` and `test`, or make families smaller (dedupe's `customer: false`, or a higher `threshold`)."
        )
    return rows


def proof(rows: pd.DataFrame, config: SplitConfig) -> dict[str, object]:
    """Return the figures of the verification, for the report: conversations and families by split, and crossings.

    Args:
        rows: the input or output of `split`, in which rejected rows do not count. Not modified.
    """
    return inspect(rows[rows["reject"].isna()] if "reject" in rows else rows, config).counts


def inspect(rows: pd.DataFrame, config: SplitConfig) -> Findings:
    """Look for everything that could leak from one split into another."""
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
    """Return the number of conversations in the largest family; 0 without rows."""
    sizes = rows.groupby("family")["conversation_id"].nunique()
    return int(sizes.max()) if len(sizes) else 0


def _crossing(keys: pd.Series, splits: pd.Series) -> set[Hashable]:
    """Return the keys that occur in more than one split."""
    distinct = pd.DataFrame({"key": keys, "split": splits}).drop_duplicates()
    return set(distinct["key"][distinct["key"].duplicated()])


@dataclass(frozen=True)
class Near:
    """Near-duplicates across splits: `checked` pairs of shingle sets, `crossing` pairs, and a mask of their `rows`."""

    checked: int
    crossing: int
    rows: pd.Series


def _near_crossing(rows: pd.DataFrame, config: SplitConfig) -> Near:
    """Compare all rows of different splits that can be near-duplicates.

    Counts distinct sets: copies with equal shingles count once, and a set in two splits is a pair with itself.
    """
    sets = shingle_sets(rows["turns"], config.shingle)
    seen_in = np.zeros((len(sets.sizes), len(SPLITS)), dtype=bool)
    codes = pd.Index(SPLITS).get_indexer(pd.Index(rows["split"]))
    seen_in[sets.of[codes >= 0], codes[codes >= 0]] = True
    several = np.flatnonzero(seen_in.sum(axis=1) > 1)
    left, right = _candidates(sets, seen_in, config.threshold)
    near = jaccard(sets, left, right) >= config.threshold
    ids = np.unique(np.concatenate([several, left[near], right[near]]))
    return Near(len(left), len(several) + int(near.sum()), pd.Series(np.isin(sets.of, ids), index=rows.index))


def _candidates(sets: ShingleSets, seen_in: NDArray[np.bool_], threshold: float) -> tuple[Indices, Indices]:
    """Return every pair of sets of different splits that can be near-duplicates, by prefix filtering.

    Two sets of similarity t share at least t times the larger one's shingles. With the shingles of each set ordered
    from rare to frequent, they therefore share one among their first size - ceil(t * size) + 1. Unlike MinHash, this
    misses no pair (Bayardo, Ma, Srikant: Scaling up all pairs similarity search, WWW 2007).

    Args:
        seen_in: (sets, splits) whether a set occurs in a split.
    """
    _, shingles, frequency = np.unique(sets.values, return_inverse=True, return_counts=True)
    owner = np.repeat(np.arange(len(sets.sizes)), sets.sizes)
    order = np.lexsort((shingles, frequency[shingles], owner))  # the order of owners does not change
    prefix = sets.sizes - np.ceil(threshold * sets.sizes - 1e-9).astype(np.int64) + 1
    inside = np.arange(len(owner)) - sets.starts[owner] < prefix[owner]
    keys, owner = shingles[order][inside], owner[inside]
    numbers = [np.empty(0, dtype=np.int64)]
    for first, second in pairs_within(keys):
        left, right = np.minimum(owner[first], owner[second]), np.maximum(owner[first], owner[second])
        sizes = sets.sizes[left], sets.sizes[right]
        crosses = (seen_in[left] | seen_in[right]).sum(axis=1) > 1
        fits = crosses & (np.minimum(*sizes) >= threshold * np.maximum(*sizes) - 1e-9)
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
    provides=frozenset({"verified_splits"}),
    proof=proof,
    columns=("row_id", "conversation_id", "turns", "customer_keys", "family", "split", "origin", "repeats"),
    by_split=True,
)
