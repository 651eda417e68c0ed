from itertools import combinations
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import DataError
from deskloop.contract.schema import SPLITS, conversations
from deskloop.contract.stage import Context
from tasks.split import STAGE, SplitConfig, proof, split

CONTEXT = Context(step="split")
TEXT = "my parcel with the two red chairs has still not come and nobody answers"


def talk(name: str, part: str, text: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "customer", "text": text}, {"role": "agent", "text": "ok"}]
    return {"conversation_id": name, "split": part, "family": f"f-{name}", "turns": turns, **more}


def sound() -> pd.DataFrame:
    return conversations(
        [
            talk("a", "train", TEXT, customer_keys=["k1"]),
            talk("b", "train", TEXT + " today", family="f-a", customer_keys=["k1", "k2"]),
            talk(
                "b", "train", "noise", row_id="b/noise-1", family="f-a", origin="noise", repeats=3, customer_keys=["k1"]
            ),
            talk("c", "validation", "where can i find the invoice of last month"),
            talk("d", "test", "how do i change the address of an order", customer_keys=["k3"]),
        ]
    )


def test_sound_rows_pass_unchanged() -> None:
    rows = sound()
    before = rows.copy(deep=True)
    expected = before.assign(reject=pd.Series([None] * 5, dtype="str"))
    pd.testing.assert_frame_equal(split(rows, SplitConfig(), CONTEXT), expected)
    pd.testing.assert_frame_equal(rows, before)
    assert proof(rows, SplitConfig()) == {
        "families": 3,
        "largest_family": 2,
        "families_crossing": 0,
        "customers_crossing": 0,
        "near_duplicate_pairs_checked": 0,
        "near_duplicates_crossing": 0,
        "by_split": {
            "train": {"conversations": 2, "families": 1},
            "validation": {"conversations": 1, "families": 1},
            "test": {"conversations": 1, "families": 1},
        },
    }


def test_a_copy_that_came_too_near_to_evaluation_is_taken_out() -> None:
    rows = sound()
    copied = rows.iloc[[2]].assign(row_id="b/paraphrase-1", origin="paraphrase", turns=[rows["turns"][4]])
    told = split(pd.concat([rows, copied], ignore_index=True), SplitConfig(), CONTEXT)
    assert told["row_id"][told["reject"].notna()].tolist() == ["b/paraphrase-1"]
    assert told["reject"].dropna().tolist() == ["near_evaluation"]
    assert proof(told, SplitConfig()) == proof(rows, SplitConfig())
    logged = copied.assign(row_id="b/w2", origin="log")
    with pytest.raises(DataError, match="near-duplicates"):
        split(pd.concat([rows, copied, logged], ignore_index=True), SplitConfig(), CONTEXT)


NEAR = [{"role": "customer", "text": TEXT + " now"}, {"role": "agent", "text": "ok"}]


@pytest.mark.parametrize(
    ("column", "value", "message", "figures"),
    [
        ("split", "dev", "not in train, validation or test: 1 conversation (d)", {}),
        ("split", None, "not in train, validation or test: 1 conversation (d)", {}),
        ("family", None, "without a family: 1 conversation (d)", {}),
        ("family", "f-a", "of a family in two splits: 3 conversations (a, b, d)", {"families_crossing": 1}),
        (
            "customer_keys",
            ["k9", "k2"],
            "of a customer in two splits: 2 conversations (b, d)",
            {"customers_crossing": 1},
        ),
        (
            "turns",
            NEAR,
            "near-duplicates (similarity 0.7 or more) in two splits: 3 conversations (a, b, d)",
            {"near_duplicates_crossing": 2},
        ),
        (
            "turns",
            "b",
            "near-duplicates (similarity 0.7 or more) in two splits: 3 conversations (a, b, d)",
            {"near_duplicates_crossing": 2},
        ),
        ("conversation_id", "a", "in two splits: 1 conversation (a)", {}),
        ("origin", "noise", "in validation or test, but not from a log: 1 conversation (d)", {}),
        ("repeats", 2, "in validation or test, but repeated: 1 conversation (d)", {}),
    ],
)
def test_every_broken_rule_is_named(column: str, value: Any, message: str, figures: dict[str, int]) -> None:
    rows = sound()
    rows.at[4, column] = rows.at[1, "turns"] if value == "b" else value
    with pytest.raises(DataError) as error:
        split(rows, SplitConfig(), CONTEXT)
    assert [line for line in str(error.value).splitlines() if line.startswith("  - ")] == [f"  - {message}"]
    assert "parcel" not in str(error.value)
    found = proof(rows, SplitConfig())
    crossing = {name: count for name, count in found.items() if name.endswith("_crossing") and count}
    assert crossing == figures


def test_only_requested_rules_are_verified() -> None:
    rows = sound()
    rows.at[4, "customer_keys"] = ["k1"]
    assert split(rows, SplitConfig(customer=False), CONTEXT)["reject"].isna().all()
    rows = sound()
    rows.at[4, "turns"] = NEAR
    assert split(rows, SplitConfig(threshold=0.95), CONTEXT)["reject"].isna().all()


def test_five_ids_are_shown() -> None:
    rows = pd.concat(
        [sound(), conversations(talk(f"e{number}", "test", f"text {number}", repeats=2) for number in range(7))]
    )
    with pytest.raises(DataError, match=r"but repeated: 7 conversations \(e0, e1, e2, e3, e4, \.\.\.\)"):
        split(rows.reset_index(drop=True), SplitConfig(), CONTEXT)


@pytest.mark.parametrize("name", SPLITS)
def test_an_empty_split_says_what_to_do(name: str) -> None:
    rows = sound()
    rows = rows[rows["split"] != name].reset_index(drop=True)
    with pytest.raises(DataError, match=rf"no conversation in {name}.*largest of.*Load more conversations"):
        split(rows, SplitConfig(), CONTEXT)


def test_no_rows_are_three_empty_splits() -> None:
    with pytest.raises(
        DataError, match=r"no conversation in train and validation and test\. There are 0 conversations"
    ):
        split(conversations([]), SplitConfig(), CONTEXT)


def test_the_stage_says_what_it_needs() -> None:
    assert STAGE.columns is not None
    assert STAGE.by_split
    assert len(split(sound()[list(STAGE.columns)], SplitConfig(), CONTEXT)) == 5


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from(SPLITS), st.lists(st.sampled_from("abcde"), max_size=9).map(" ".join)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0.3, 0.5, 0.7, 1.0]),
    st.integers(1, 3),
)
def test_no_near_duplicate_across_splits_is_missed(talks: list[tuple[str, str]], threshold: float, size: int) -> None:
    rows = conversations(talk(f"c{number:02}", part, text) for number, (part, text) in enumerate(talks))
    sets = []
    for _, text in talks:
        words = [*text.split(), "ok"]
        sets.append({tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))})
    expected = {
        f"c{number:02}"
        for pair in combinations(range(len(talks)), 2)
        if talks[pair[0]][0] != talks[pair[1]][0]
        and len(sets[pair[0]] & sets[pair[1]]) / len(sets[pair[0]] | sets[pair[1]]) >= threshold
        for number in pair
    }
    config = SplitConfig(threshold=threshold, shingle=size, customer=False)
    found = proof(rows, config)
    assert (found["near_duplicates_crossing"] > 0) == bool(expected)  # type: ignore[operator]
    if expected:
        with pytest.raises(DataError, match=rf"in two splits: {len(expected)} conversations \({min(expected)}, "):
            split(rows, config, CONTEXT)
