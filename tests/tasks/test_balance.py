from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.balance import STAGE, UNLABELLED, BalanceConfig, balance, class_weights, wanted_rows

CONTEXT = Context(step="balance", seed=5)


def desk(sizes: Mapping[str, int], split: str = "train", **more: Any) -> list[dict[str, Any]]:
    """That many conversations of each intent."""
    return [
        {"conversation_id": f"{split}-{intent}-{number}", "intent": intent or None, "split": split, **more}
        for intent, size in sizes.items()
        for number in range(size)
    ]


def copies(row: dict[str, Any], count: int) -> list[dict[str, Any]]:
    name = row["conversation_id"]
    return [{**row, "row_id": f"{name}/noise-{one}", "origin": "noise", "parent_id": name} for one in range(count)]


def config(**options: Any) -> BalanceConfig:
    return BalanceConfig.model_validate({"min_conversations": 1, **options})


def seen(result: pd.DataFrame) -> dict[str, int]:
    """Rows that an epoch sees of each intent."""
    kept = result[result["reject"].isna() & (result["split"] == "train")]
    return {str(name): int(count) for name, count in kept.groupby(kept["intent"].fillna(""))["repeats"].sum().items()}


def test_without_options_nothing_changes() -> None:
    rows = conversations(desk({"a": 4, "b": 1, "": 2}) + desk({"a": 2}, "test"))
    before = rows.copy(deep=True)
    expected = before.assign(reject=pd.Series([None] * 9, dtype="str"))
    pd.testing.assert_frame_equal(balance(rows, BalanceConfig(), CONTEXT), expected)
    pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_ratio": 3}, {"a": 12, "b": 9, "c": 4, "": 30}),
        ({"max_ratio": 3, "unlabelled": "class"}, {"a": 12, "b": 9, "c": 4, "": 12}),
        ({"max_ratio": 1}, {"a": 4, "b": 4, "c": 4, "": 30}),
        ({"max_ratio": 1, "min_conversations": 10}, {"a": 10, "b": 9, "c": 4, "": 30}),
        ({"max_conversations": 6}, {"a": 6, "b": 6, "c": 4, "": 30}),
        ({"max_conversations": 6, "unlabelled": "class"}, {"a": 6, "b": 6, "c": 4, "": 6}),
        ({"oversample": {"to": 0.5, "max_repeats": 3}}, {"a": 20, "b": 10, "c": 10, "": 30}),
        ({"oversample": {"to": 1.0, "max_repeats": 2}}, {"a": 20, "b": 18, "c": 8, "": 30}),
        # a is cut to twice what c counts once it is repeated, and b repeated no further than that
        ({"oversample": {"to": 1.0, "max_repeats": 2}, "max_ratio": 2}, {"a": 16, "b": 16, "c": 8, "": 30}),
        ({"oversample": {"to": 1.0, "max_repeats": 9}, "max_conversations": 5}, {"a": 5, "b": 5, "c": 5, "": 30}),
    ],
)
def test_what_an_epoch_sees(options: dict[str, Any], expected: dict[str, int]) -> None:
    rows = conversations(desk({"a": 20, "b": 9, "c": 4, "": 30}))
    assert seen(balance(rows, config(**options), CONTEXT)) == expected


def test_the_whole_result() -> None:
    rows = conversations(
        [
            *desk({"a": 3, "b": 1}),
            *desk({"a": 2}, "validation"),
            *desk({"": 1}),
            {**desk({"a": 1}, "test")[0], "split": None, "conversation_id": "none"},
        ]
    )
    before = rows.copy(deep=True)
    options = config(max_ratio=1, oversample={"to": 1.0, "max_repeats": 2}, weights="inverse")
    result = balance(rows, options, CONTEXT)
    (cut,) = result.index[result["reject"].notna()]
    assert cut in (0, 1, 2)
    expected = before.assign(reject=pd.Series(["over_cap" if row == cut else None for row in range(8)], dtype="str"))
    expected.loc[3, "repeats"] = 2
    pd.testing.assert_frame_equal(result, expected)
    pd.testing.assert_frame_equal(rows, before)


def test_repeats_add_up_over_the_rows_of_an_intent() -> None:
    rows = conversations(desk({"a": 10, "b": 4}))
    result = balance(rows, config(oversample={"to": 0.7, "max_repeats": 5}), CONTEXT)
    assert sorted(result["repeats"][result["intent"] == "b"]) == [1, 2, 2, 2]
    assert set(result["repeats"][result["intent"] == "a"]) == {1}


def test_copies_go_before_logged_conversations() -> None:
    logged = desk({"a": 6})
    rows = [*desk({"b": 4}), *logged, *(copy for row in logged for copy in copies(row, 2))]

    def kept(cap: int) -> Counter[str]:
        result = balance(conversations(rows), config(max_conversations=cap), CONTEXT)
        return Counter(result["origin"][result["reject"].isna() & (result["intent"] == "a")])

    assert kept(5) == {"log": 5}
    assert kept(6) == {"log": 6}
    assert kept(8) == {"log": 6, "noise": 2}


@pytest.mark.parametrize("kind", ["none", "inverse", "sqrt_inverse"])
def test_weights(kind: str) -> None:
    rows = conversations(desk({"a": 16, "b": 4, "": 3}) + desk({"b": 2}, "test"))
    result = balance(rows, config(weights=kind), CONTEXT)
    # inverse: n / (k * n_c); square root: proportional to 1/4 and 1/2, which over 16 and 4 rows have a mean of 0.3
    expected = {"none": (1, 1), "inverse": (0.625, 2.5), "sqrt_inverse": (0.833333, 1.666667)}[kind]
    weights = [*[expected[0]] * 16, *[expected[1]] * 4, 1, 1, 1, 1, 1]
    pd.testing.assert_series_equal(result["weight"], pd.Series(weights, dtype="float32", name="weight"))


def test_unlabelled_rows_can_be_weighed_as_a_class() -> None:
    rows = conversations(desk({"a": 6, "": 2}))
    result = balance(rows, config(weights="inverse", unlabelled="class"), CONTEXT)
    assert sorted(set(result["weight"].round(4))) == [pytest.approx(0.6667), 2.0]
    assert set(result["repeats"]) == {1}


def test_no_intent_or_no_row_at_all_is_nothing_to_balance() -> None:
    options = config(max_ratio=1, oversample={}, weights="inverse", unlabelled="class", max_conversations=2)
    assert balance(conversations([]), options, CONTEXT).empty
    assert seen(balance(conversations(desk({"": 3})), options, CONTEXT)) == {"": 2}


SIZES = st.dictionaries(st.sampled_from(["a", "b", "c", "d", ""]), st.integers(1, 12), min_size=1)
OPTIONS = st.builds(
    config,
    max_ratio=st.sampled_from([None, 1, 1.5, 4]),
    max_conversations=st.sampled_from([None, 1, 5]),
    min_conversations=st.sampled_from([1, 4]),
    oversample=st.sampled_from([None, {"to": 0.5, "max_repeats": 2}, {"to": 1.0, "max_repeats": 4}]),
    weights=st.sampled_from(["none", "inverse", "sqrt_inverse"]),
    unlabelled=st.sampled_from(["leave", "class"]),
)


@settings(deadline=None, max_examples=100)
@given(SIZES, OPTIONS, st.randoms(use_true_random=False))
def test_promises(sizes: dict[str, int], options: BalanceConfig, random: Any) -> None:
    listed = desk(sizes) + desk({"a": 2, "": 1}, "validation") + desk({"b": 1}, "test")
    listed += [copy for row in listed[:3] for copy in copies(row, 1)] if listed[2]["split"] == "train" else []
    rows = conversations(listed)
    result = balance(rows, options, CONTEXT)
    evaluation = rows["split"] != "train"
    pd.testing.assert_frame_equal(result[evaluation].drop(columns="reject"), rows[evaluation])  # P3
    assert result["reject"][evaluation].isna().all()
    order = list(range(len(rows)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(balance(rows.iloc[order], options, CONTEXT).sort_index(), result)  # P4
    kept = result[result["reject"].isna() & ~evaluation]
    counts = kept.groupby(kept["intent"].fillna(UNLABELLED))["repeats"].sum()
    assert counts.index.tolist() == sorted({str(row["intent"] or "") for row in listed if row["split"] == "train"})
    labelled = counts[counts.index != UNLABELLED]
    if options.max_ratio is not None and len(labelled):
        assert labelled.max() <= max(options.max_ratio * labelled.min(), options.min_conversations)
    if options.max_conversations is not None and options.oversample is None and len(labelled):
        assert labelled.max() <= options.max_conversations
    assert kept["repeats"].between(1, options.oversample.max_repeats if options.oversample else 1).all()
    assert set(kept["repeats"][kept["intent"].isna()]) <= {1}
    weighed = kept if options.unlabelled == "class" else kept[kept["intent"].notna()]
    if len(weighed):
        assert (weighed["weight"] * weighed["repeats"]).sum() / weighed["repeats"].sum() == pytest.approx(1, abs=1e-5)
    copied = kept[kept["row_id"] != kept["conversation_id"]]
    assert set(copied["parent_id"]) <= set(kept["row_id"])  # no copy outlives its conversation


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 30), st.integers(1, 20))
def test_a_new_row_moves_at_most_one_other(size: int, cap: int) -> None:
    rows = conversations(desk({"a": size + 1}))
    options = config(max_conversations=cap)
    kept = [set(part["row_id"][balance(part, options, CONTEXT)["reject"].isna()]) for part in (rows[:size], rows)]
    assert len(kept[0] - kept[1]) <= 1


def test_the_choice_depends_on_seed_and_step() -> None:
    rows = conversations(desk({"a": 40}))
    chosen = [
        tuple(balance(rows, config(max_conversations=10), context)["reject"].isna())
        for context in (CONTEXT, Context(step="balance", seed=6), Context(step="again", seed=5))
    ]
    assert len(set(chosen)) == 3


def test_formulae() -> None:
    assert wanted_rows({"a": 100, "b": 20, UNLABELLED: 500}, BalanceConfig()) == {"a": 100, "b": 20, UNLABELLED: 500}
    lifted = config(oversample={"to": 0.29, "max_repeats": 10})
    assert wanted_rows({"a": 100, "b": 20}, lifted) == {"a": 100, "b": 29}
    assert class_weights({"a": 9, "b": 1}, "inverse") == {"a": 0.555556, "b": 5.0}


@pytest.mark.parametrize("bad", [{"max_ratio": 0.5}, {"oversample": {"to": 0}}, {"weights": "equal"}, {"cap": 3}])
def test_impossible_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BalanceConfig.model_validate(bad)


def test_the_stage() -> None:
    assert (STAGE.dataset, STAGE.provides) == ("balanced", {"repeats", "weight"})
    rows = conversations(desk({"a": 3}))[list(STAGE.columns)]
    assert len(balance(rows, config(max_conversations=1), CONTEXT)) == 3
