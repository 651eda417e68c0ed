"""Splits for new families, stratified by intent: each goes where its stratum is furthest behind its share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RARE = 2  # conversations of a stratum that stay in training before any may be evaluated


@dataclass(frozen=True)
class NewFamily:
    """A family without a split.

    Attributes:
        stratum: the first member's intent, "" where none is known.
        key: keyed random number of the first member: the order of assignment, and a coin for ties.
        size: conversations.
    """

    stratum: str
    key: int
    size: int


def stratify(
    families: Sequence[NewFamily], assigned: Mapping[tuple[str, str], int], shares: Mapping[str, float]
) -> list[str]:
    """A split for each family.

    Within a stratum families come in the order of their keys, and each goes to the split with the largest deficit: its
    share of the stratum's conversations so far, this family included, less those it has. Ties go to training. A family
    of more than half of an evaluation split would be that split, so it goes to training too, as rare strata do.

    Args:
        families: not modified.
        assigned: (stratum, split) to the conversations it has already.
        shares: split to its share of the conversations; sums to 1.
    Returns:
        (families,) train, validation or test.
    """
    counts = Counter(assigned)
    conversations = sum(counts.values()) + sum(family.size for family in families)
    splits = [""] * len(families)
    for number in sorted(range(len(families)), key=lambda number: (families[number].stratum, families[number].key)):
        family = families[number]
        stratum_size = sum(counts[family.stratum, split] for split in shares) + family.size
        deficits = {
            split: round(share * stratum_size - counts[family.stratum, split], 9)
            for split, share in shares.items()
            if split == "train" or family.size <= max(1, conversations * share / 2)
        }
        coin = ("validation", "test") if family.key % 2 else ("test", "validation")
        preference = [split for split in ("train", *coin) if split in deficits]
        splits[number] = "train" if stratum_size <= RARE else max(preference, key=deficits.__getitem__)
        counts[family.stratum, splits[number]] += family.size
    return splits
