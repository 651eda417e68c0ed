"""Choose splits for new families, stratified by intent: each fills the split furthest behind its share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RARE = 2  # the first conversations of a stratum, which go to training


@dataclass(frozen=True)
class NewFamily:
    """A family without a split.

    Attributes:
        stratum: the first member's intent, "" if unknown.
        key: keyed random number of the first member, for the order of assignment and for ties.
        size: conversations.
    """

    stratum: str
    key: int
    size: int


def stratify(
    families: Sequence[NewFamily], assigned: Mapping[tuple[str, str], int], shares: Mapping[str, float]
) -> list[str]:
    """Choose a split for each family.

    Within a stratum, families are assigned in the order of their keys, each to the split with the largest deficit: the
    split's share of the stratum's conversations so far, including this family, less those it has. Ties go to training.
    So do rare strata, and families of more than half of an evaluation split, which would dominate it.

    Args:
        families: not modified.
        assigned: (stratum, split) -> conversations already assigned.
        shares: split -> its share of the conversations; sums to 1.
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
