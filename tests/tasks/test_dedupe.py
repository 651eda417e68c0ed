from itertools import combinations
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.schema import SPLITS, conversations
from deskloop.contract.stage import Context
from tasks.dedupe import STAGE, DedupeConfig, dedupe, remember
from tasks.dedupe.families import family_name

# Short texts over two-word shingles, so that near-duplicates are common; no family is too large to be evaluated.
CONFIG = DedupeConfig(threshold=0.5, drop_threshold=0.8, shingle=2, validation=0.3, test=0.3)
LONG = "my parcel with the two red chairs has still not come and the shop does not answer any of my mails since monday"


def talk(name: str, text: str, batch: int = 1, keys: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    turns = [{"role": "customer", "text": text}, {"role": "agent", "text": "ok"}]
    return {"conversation_id": name, "batch": batch, "turns": turns, "customer_keys": list(keys), **more}


def run(rows: pd.DataFrame, config: DedupeConfig = CONFIG, families: pd.DataFrame | None = None) -> pd.DataFrame:
    return dedupe(rows, config, Context(step="dedupe", seed=3, families=families))


def ledger(*rows: tuple[str, str, str, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["conversation_id", "family", "split", "excluded"])


def decided(result: pd.DataFrame) -> dict[str, tuple[str, str, str | None]]:
    """conversation_id -> family, split, reject."""
    columns = result[["conversation_id", "family", "split", "reject"]]
    return {
        row[0]: (row[1], row[2], row[3] if isinstance(row[3], str) else None) for row in columns.itertuples(index=False)
    }


def test_duplicates_are_rejected_and_stay_in_the_family() -> None:
    rows = conversations(
        [
            talk("near", "oh " + LONG, batch=2),
            talk("far", LONG.replace("red", "blue").replace("monday", "last week"), batch=2),
            talk("first", LONG),
            talk("same", LONG.upper().replace(" ", "  "), batch=2),
            talk("other", "something else entirely was asked here by another one"),
            talk("twin", LONG.replace("parcel", "<PERSON_1>"), batch=3),
            talk("triplet", LONG.replace("parcel", "<PERSON_2>"), batch=4),
        ]
    )
    before = rows.copy(deep=True)
    result = run(rows, DedupeConfig())
    rejects = {name: (family, reject) for name, (family, _, reject) in decided(result).items()}
    assert rejects == {
        "near": (family_name("first"), "near_duplicate"),
        "far": (family_name("far"), None),
        "first": (family_name("first"), None),
        "same": (family_name("first"), "exact_duplicate"),
        "other": (family_name("other"), None),
        "twin": (family_name("first"), None),  # similar enough for the family, not for being rejected
        "triplet": (family_name("first"), None),
    }
    given = before.columns.difference(["family", "split"])
    pd.testing.assert_frame_equal(result[given], before[given])
    assert not result["excluded"].any()
    pd.testing.assert_frame_equal(rows, before)


def test_no_drop_threshold_keeps_near_duplicates() -> None:
    rows = conversations([talk("a", LONG), talk("b", LONG + "!", batch=2), talk("c", LONG, batch=3)])
    assert run(rows)["reject"].tolist()[1:] == ["near_duplicate", "exact_duplicate"]
    kept = run(rows, DedupeConfig(drop_threshold=None))
    assert kept["reject"].isna().tolist() == [True, True, False]
    assert kept["family"].tolist() == [family_name("a")] * 3


def test_roles_and_placeholder_numbers_tell_apart() -> None:
    rows = conversations(
        [talk("a", "i am <PERSON_1>"), talk("b", "i am <PERSON_2>", batch=2), talk("c", "i am <PERSON_1>", batch=3)]
    )
    rows.at[2, "turns"] = [{**turn, "role": "agent"} for turn in rows.at[2, "turns"]]
    assert run(rows, DedupeConfig(drop_threshold=None))["reject"].isna().all()


def test_customers_make_families_when_asked() -> None:
    rows = conversations(
        [
            talk("a", "one two three", keys=("k1",)),
            talk("b", "four five six", batch=2, keys=("k1", "k2")),
            talk("c", "seven eight nine", batch=3, keys=("k2",)),
        ]
    )
    assert run(rows)["family"].tolist() == [family_name("a")] * 3
    assert run(rows, DedupeConfig(customer=False))["family"].tolist() == [
        family_name("a"),
        family_name("b"),
        family_name("c"),
    ]


def test_a_key_of_too_many_conversations_is_no_customer() -> None:
    texts = ["one two three", "four five six", "seven eight nine"]
    rows = conversations(
        [talk(f"c{number}", text, number, ("kiosk", f"k{number}")) for number, text in enumerate(texts)]
    )
    result = run(rows, DedupeConfig(max_customer_conversations=2))
    assert result["customer_keys"].tolist() == [["k0"], ["k1"], ["k2"]]
    assert result["family"].tolist() == [
        family_name("c0"),
        family_name("c0"),
        family_name("c2"),
    ]  # two were one family before the third came
    assert (
        run(rows, DedupeConfig(max_customer_conversations=3))["customer_keys"].tolist()
        == rows["customer_keys"].tolist()
    )


def joined() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A test and a train family, and a bridge between them; one row beside each."""
    rows = conversations(
        [
            talk("t1", "alpha beta", keys=("t",)),
            talk("t2", "beta gamma", keys=("t",)),
            talk("l1", "delta epsilon", keys=("l",)),
            talk("l2", "zeta eta", keys=("l",)),
            talk("u", "theta iota", keys=("u",)),
            talk("bridge", "kappa lambda", batch=2, keys=("t", "l")),
            talk("beside-test", "my nu", batch=2, keys=("t",)),
            talk("beside-train", "xi omikron", batch=2, keys=("l",)),
            talk("beside-bridge", "kappa lambda", batch=2, keys=("b",)),
            talk("behind-bridge", "sigma tau", batch=2, keys=("b",)),
            talk("later", "pi rho", batch=3, keys=("l",)),
        ]
    )
    known = ledger(
        ("t1", family_name("t1"), "test", False),
        ("t2", family_name("t1"), "test", False),
        ("l1", family_name("l1"), "train", False),
        ("l2", family_name("l1"), "train", False),
        ("u", family_name("u"), "validation", False),
    )
    return rows, known


def test_a_row_that_joins_two_splits_takes_the_training_side_out() -> None:
    rows, known = joined()
    result = run(rows, families=known)
    assert decided(result) == {
        "t1": (family_name("t1"), "test", None),
        "t2": (family_name("t1"), "test", None),
        "l1": (family_name("l1"), "train", "joins_splits"),
        "l2": (family_name("l1"), "train", "joins_splits"),
        "u": (family_name("u"), "validation", None),
        "bridge": (family_name("l1"), "train", "joins_splits"),
        "beside-test": (family_name("t1"), "test", None),
        "beside-train": (family_name("l1"), "train", "joins_splits"),
        "beside-bridge": (family_name("l1"), "train", "joins_splits"),
        "behind-bridge": (family_name("l1"), "train", "joins_splits"),
        "later": (family_name("later"), "train", None),  # rejected conversations no longer connect others
    }
    assert result["excluded"].tolist() == [reject == "joins_splits" for reject in result["reject"]]
    again = run(rows, families=remember(result))
    pd.testing.assert_frame_equal(again, result)


def test_a_changed_row_that_joins_two_splits_is_resolved_alike() -> None:
    rows, known = joined()
    rows = rows.iloc[:5].copy()
    rows.at[4, "customer_keys"] = ["u", "l"]
    result = decided(run(rows, families=known))
    assert result["u"] == (family_name("u"), "validation", None)
    assert result["l1"] == (family_name("l1"), "train", "joins_splits")
    rows.at[4, "customer_keys"] = ["u", "t"]
    result = decided(run(rows, families=known))
    assert result["u"] == (family_name("u"), "validation", "joins_splits")
    assert result["t1"] == (family_name("t1"), "test", None)
    assert result["l1"] == (family_name("l1"), "train", None)


def test_copies_of_a_conversation_share_its_decisions() -> None:
    rows = conversations(
        [
            talk("a", LONG),
            talk("b", LONG, batch=2),
            talk("b", "something else", batch=2),
            talk("a", "else", row_id="a/noise-1"),
        ]
    )
    rows.loc[2, "row_id"] = "b/noise-1"
    result = run(rows)
    assert result["reject"].fillna("").tolist() == ["", "exact_duplicate", "exact_duplicate", ""]
    assert result["family"].tolist() == [family_name("a")] * 4
    assert remember(result)["conversation_id"].tolist() == ["a", "b"]


def test_strata_use_only_intents_known_before_the_split() -> None:
    rows = [
        talk(f"c{n}", f"text{n} of{n}", intent="rare" if n == 0 else "refund", intent_source="log") for n in range(40)
    ]
    by_log = run(conversations(rows))
    by_model = run(conversations([{**row, "intent_source": "model"} for row in rows]))
    blank = run(conversations([{**row, "intent": None} for row in rows]))
    assert by_log["split"].iloc[0] == "train"
    assert by_model["split"].tolist() == blank["split"].tolist() != by_log["split"].tolist()


def test_no_rows() -> None:
    result = run(conversations([]))
    assert len(result) == len(remember(result)) == 0
    assert {"family", "split", "excluded", "reject"} <= set(result.columns)


@pytest.mark.parametrize("bad", [{"drop_threshold": 0.6}, {"test": 0}, {"threshold": 1.1}, {"permutations": 8}])
def test_impossible_configs_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DedupeConfig.model_validate(bad)


def test_the_stage_says_what_it_needs() -> None:
    assert STAGE.columns is not None
    rows = conversations([talk("a", LONG)])
    assert decided(run(rows[list(STAGE.columns)])) == decided(run(rows))


NEAR = ["a b c d e f", "a b c d e g", "a b c d h g", "q r s t u v", "q r s t u w", "x y z x z y", "!", ""]


def random_talks(seed: int) -> pd.DataFrame:
    """Up to 40 conversations in three batches, sparsely connected, so that there are families in every split."""
    random = Random(seed)
    letters = "abcdefghijklmnop"
    return conversations(
        talk(
            f"c{number:02}",
            random.choice(NEAR) if random.random() < 0.3 else " ".join(random.choices(letters, k=6)),
            random.randint(1, 3),
            tuple(sorted({f"k{random.randint(1, 25)}" for _ in range(random.choice([0, 0, 1, 1, 1, 2]))})),
            intent=random.choice(["refund", None, None]),
            intent_source="log",
        )
        for number in range(random.randint(1, 40))
    )


TALKS = st.integers(0, 2**32).map(random_talks)
CONFIGS = st.sampled_from(
    [CONFIG, CONFIG.model_copy(update={"customer": False}), CONFIG.model_copy(update={"max_customer_conversations": 2})]
)


def shingles(turns: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    words = " ".join(turn["text"] for turn in turns).split()
    return {tuple(words[start : start + 2]) for start in range(max(1, len(words) - 1))}


def crossing(result: pd.DataFrame, config: DedupeConfig) -> list[tuple[str, str]]:
    """Kept conversations of different splits that share a customer or are near-duplicates, by brute force (P2)."""
    kept = result[result["reject"].isna()].to_dict("records")
    found = []
    for one, other in combinations(kept, 2):
        left, right = shingles(one["turns"]), shingles(other["turns"])
        near = len(left & right) / len(left | right) >= config.threshold
        customer = config.customer and set(one["customer_keys"]) & set(other["customer_keys"])
        if one["split"] != other["split"] and (near or customer or one["family"] == other["family"]):
            found.append((one["conversation_id"], other["conversation_id"]))
    return found


@settings(deadline=None, max_examples=80)
@given(TALKS, CONFIGS)
def test_nothing_connected_crosses_a_split(rows: pd.DataFrame, config: DedupeConfig) -> None:
    result = run(rows, config)
    assert crossing(result, config) == []
    assert result["split"].isin(SPLITS).all()
    assert (result["excluded"] == (result["reject"] == "joins_splits")).all()
    assert result["conversation_id"].tolist() == rows["conversation_id"].tolist()


@settings(deadline=None, max_examples=50)
@given(TALKS, CONFIGS, st.randoms(use_true_random=False))
def test_batch_by_batch_equals_all_at_once(rows: pd.DataFrame, config: DedupeConfig, random: Any) -> None:
    whole = run(rows, config)
    families = None
    for batch in sorted(rows["batch"].unique()):
        result = run(rows[rows["batch"] <= batch], config, families)
        families = remember(result)
    pd.testing.assert_frame_equal(result, whole)
    pd.testing.assert_frame_equal(run(rows, config, families), whole)
    order = random.sample(range(len(rows)), len(rows))
    pd.testing.assert_frame_equal(run(rows.iloc[order], config).loc[rows.index], whole)


@settings(deadline=None, max_examples=60)
@given(TALKS, TALKS, CONFIGS)
def test_a_split_never_changes_whatever_changes_around_it(
    before: pd.DataFrame, after: pd.DataFrame, config: DedupeConfig
) -> None:
    first = run(before, config)
    second = run(after, config, remember(first))
    then = first.set_index("conversation_id")
    now = second.set_index("conversation_id")
    common = then.index.intersection(now.index)
    pd.testing.assert_frame_equal(now.loc[common, ["family", "split"]], then.loc[common, ["family", "split"]])
    assert now.loc[common, "excluded"][then.loc[common, "excluded"]].all()
    assert not now.loc[common, "excluded"][(then.loc[common, "split"] == "test") & ~then.loc[common, "excluded"]].any()
    assert crossing(second, config) == []
    pd.testing.assert_frame_equal(run(after, config, remember(second)), second)
