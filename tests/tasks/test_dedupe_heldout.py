"""Sources for evaluation only: neither their conversations nor similar ones are trained on."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.schema import conversations
from tasks.dedupe import remember
from tests.tasks.test_dedupe import CONFIG, LONG, decided, run, talk

HELDOUT = CONFIG.model_copy(update={"heldout": ("may",)})


def spoken(name: str, text: str, source: str = "spring", **more: Any) -> dict[str, Any]:
    return talk(name, text, source=source, **more)


def test_families_with_a_conversation_of_theirs_are_for_the_test_split() -> None:
    rows = conversations(
        [
            spoken("a", LONG, keys=("k",)),
            spoken("b", "another matter of the same person, about a lamp", "may", keys=("k",)),
            spoken("c", "something else entirely was asked by someone else", "may"),
            *(spoken(f"t{n}", f"number {n} wrote about {n} other things and {n} lamps") for n in range(12)),
        ]
    )
    result = decided(run(rows, HELDOUT))
    assert result["a"][:2] == result["b"][:2]
    assert {result[name][1] for name in ("a", "b", "c")} == {"test"}
    assert any(result[f"t{n}"][1] == "train" for n in range(12))
    assert all(reject is None for _, _, reject in result.values())


def test_one_that_belongs_to_a_family_of_training_is_rejected_and_training_stays() -> None:
    first = conversations([spoken("a", LONG, keys=("k",)), spoken("z", "quite another thing about a broken kettle")])
    before = run(first, HELDOUT).assign(split="train")
    later = conversations(
        [
            spoken("a", LONG, keys=("k",)),
            spoken("z", "quite another thing about a broken kettle"),
            spoken("late", "the lamp that I bought does not light up", "may", batch=2, keys=("k",)),
            spoken("tied", "the lamp that I bought does not light up", batch=2),
            spoken("free", "no relation to anything that was said before", "may", batch=2),
        ]
    )
    result = decided(run(later, HELDOUT, remember(before)))
    assert (result["a"][1:], result["z"][1:]) == (("train", None), ("train", None))
    assert result["late"][2] == result["tied"][2] == "joins_splits"
    assert result["free"][1:] == ("test", None)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_family_of_the_test_split_takes_them_and_one_of_validation_does_not(split: str) -> None:
    first = conversations([spoken("a", LONG)])
    families = remember(run(first, HELDOUT).assign(split=split))
    later = conversations([spoken("a", LONG), spoken("b", LONG + " please", "may", batch=2)])
    assert decided(run(later, HELDOUT, families))["b"][2] == ("near_duplicate" if split == "test" else "joins_splits")


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["spring", "may"]), st.sampled_from("abc"), st.integers(0, 5)),
        min_size=1,
        max_size=12,
    )
)
@settings(deadline=None, max_examples=80)
def test_none_is_ever_trained_on_and_batches_add_up(drawn: list[tuple[int, str, str, int]]) -> None:
    listed = [
        spoken(f"c{number}", f"{word} {word} {number % 2} {word}", source, batch=batch, keys=(f"k{key}",))
        for number, (batch, source, word, key) in enumerate(drawn)
    ]
    rows = conversations(listed)
    result = run(rows, HELDOUT)
    kept = result[result["reject"].isna()]
    assert set(kept.loc[kept["source"] == "may", "split"]) <= {"test"}
    assert (kept.groupby("family")["split"].nunique() <= 1).all()
    families: pd.DataFrame | None = None
    for batch in sorted({batch for batch, *_ in drawn}):
        known = conversations([one for one in listed if one["batch"] <= batch])
        step = run(known, HELDOUT, families)
        families = remember(step)
    assert decided(step) == decided(result)
