from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dedupe.strata import NewFamily, stratify

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_the_largest_deficit_wins_and_ties_train() -> None:
    families = [NewFamily("refund", key, 1) for key in range(0, 20, 2)]
    splits = stratify(families, {}, SHARES)
    # 4th: train .2, test .4, validation .4, an even key prefers test; 5th to 7th: train, validation catches up
    assert splits == [*["train"] * 3, "test", "train", "train", "validation", *["train"] * 3]
    odd = stratify([NewFamily("refund", key, 1) for key in range(1, 9, 2)], {}, SHARES)
    assert odd == [*["train"] * 3, "validation"]


def test_the_key_orders_not_the_position() -> None:
    families = [NewFamily("refund", key, 1) for key in (6, 0, 2, 4)]
    assert stratify(families, {}, SHARES) == ["test", "train", "train", "train"]


def test_what_is_assigned_counts() -> None:
    new = [NewFamily("refund", 2, 1)]
    assert stratify(new, {("refund", "train"): 8, ("refund", "test"): 1}, SHARES) == ["validation"]
    assert stratify(new, {("refund", "train"): 7, ("refund", "test"): 1, ("refund", "validation"): 1}, SHARES) == [
        "train"
    ]
    assert stratify(new, {("other", "train"): 100}, SHARES) == ["train"]


def test_rare_strata_and_large_families_train() -> None:
    shares = {"train": 0.2, "validation": 0.4, "test": 0.4}
    assert stratify([NewFamily("a", 0, 1), NewFamily("a", 2, 1), NewFamily("b", 0, 2)], {}, shares) == ["train"] * 3
    # test has a target of 20 of 200 conversations: a family of 11 is more than half of it
    assigned = {("a", "train"): 189}
    assert stratify([NewFamily("a", 0, 11)], assigned, SHARES) == ["train"]
    assert stratify([NewFamily("a", 0, 10)], {("a", "train"): 190}, SHARES) == ["test"]


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from("abc"), st.integers(5, 200), min_size=1), st.integers(0, 99))
def test_every_stratum_gets_its_shares(sizes: dict[str, int], seed: int) -> None:
    families = [NewFamily(name, number * 7919 + seed, 1) for name, size in sizes.items() for number in range(size)]
    counts = Counter(zip([family.stratum for family in families], stratify(families, {}, SHARES), strict=True))
    for name, size in sizes.items():
        for split, share in SHARES.items():
            assert abs(counts[name, split] - share * size) <= 1
