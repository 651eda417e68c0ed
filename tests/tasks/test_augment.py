import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskloop.contract.errors import ConfigError, DataError
from deskloop.contract.placeholders import find
from deskloop.contract.schema import CONVERSATION, conversations, to_frame, to_table
from deskloop.contract.stage import Context
from deskloop.store.memo import Memo, text_hash
from tasks.augment import STAGE, AugmentConfig, augment, check, equipment
from tasks.augment.copies import TRIES, Augmenter, augmented
from tasks.augment.generators import Generator
from tasks.augment.generators.config import NoiseConfig, SynonymsConfig
from tasks.augment.quota import ARTIFACT, copies, fit, rewritable
from tasks.augment.similarity import lexical
from tasks.scrub.config import ScrubConfig
from tests.flows.desk import Desk, actions, digests, example_lines, versions

# The generators here write words that are none, which the tagger may take for names.
CONTEXT = Context("augment", seed=5, configs={"scrub": [ScrubConfig(detector="patterns")]})
CONFIG = AugmentConfig.model_validate({"generators": [{"kind": "noise", "name": name} for name in ("one", "two")]})
LETTERS = str.maketrans("0123456789", "aeioulmnrs")


class Spoken:
    """Puts one of so many words before a text, as the seed says; `fails` tells which texts it cannot do."""

    def __init__(
        self, identity: str, keyed: bool = True, neural: bool = False, fails: Sequence[str] = (), words: int = 10**9
    ) -> None:
        self.identity, self.keyed, self.neural, self.fails, self.words = identity, keyed, neural, fails, words
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        self.calls.append(list(texts))
        return [
            None
            if any(one in text for one in self.fails)
            else f"{str(seed % self.words).translate(LETTERS)} {text} {self.identity}"
            for text, seed in zip(texts, seeds, strict=True)
        ]


def talk(name: str, intent: str | None = "refund", split: str = "train", **more: Any) -> dict[str, Any]:
    turns = [
        {"role": "customer", "text": f"Where is my refund for order {name.upper()}-204, <PERSON_1> asks?"},
        {"role": "agent", "text": "It is on its way, <PERSON_1>."},
        {"role": "customer", "text": "ok"},
    ]
    row = {"conversation_id": name, "intent": intent, "split": split, "family": f"f-{name}", "language": "en"}
    return {**row, "turns": turns, "entities": find(turns), "customer_keys": ["k"], "metadata": {"a": "b"}, **more}


def run(
    rows: pd.DataFrame,
    plan: dict[str, float],
    first: Generator | None = None,
    second: Generator | None = None,
    memo: Memo | None = None,
) -> pd.DataFrame:
    """`augmented` with two generators of the test's own."""
    given = [Augmenter(config, generator) for config, generator in zip(CONFIG.generators, (first, second), strict=True)]
    return augmented(rows, CONFIG, CONTEXT, given, plan, lexical, memo or Memo(""))


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["reject"].isna()].sort_values("row_id", ignore_index=True)


def test_a_copy_is_its_parent_with_other_words_of_the_customer() -> None:
    rows = conversations([talk("a", rating=4.0, batch=2), talk("b", split="test"), talk("c", intent="rest")])
    rows["repeats"], rows["weight"] = rows["repeats"] * 3, rows["weight"] / 2
    before = rows.copy(deep=True)
    result = run(rows, {"refund": 1.0}, Spoken("quite"))
    pd.testing.assert_frame_equal(rows, before)
    word = result["turns"][3][0]["text"].partition(" ")[0]
    assert word.islower()
    turns = [dict(turn) for turn in rows["turns"][0]]
    turns[0]["text"] = f"{word} Where is my refund for order A-204, <PERSON_1> asks? quite"
    copy = talk(
        "a", rating=4.0, batch=2, row_id="a/one-1", parent_id="a", origin="noise", turns=turns, entities=find(turns)
    )
    expected = pd.concat([before, conversations([copy])], ignore_index=True)
    pd.testing.assert_frame_equal(result.drop(columns="reject"), expected)
    assert result["reject"].isna().all()
    assert result["entities"][3] != []
    assert result.dtypes.drop("reject").equals(rows.dtypes)


def test_validation_and_test_are_the_same_with_and_without() -> None:  # P3
    names = ("train", "train", "validation", "test")
    rows = conversations([talk(f"c{number}", split=name) for number, name in enumerate(names * 4)])
    filled = run(rows, {"refund": 2.0}, Spoken("quite"), Spoken("very"))
    assert len(filled) == len(rows) + 16
    for name in ("validation", "test"):
        own = filled[filled["split"] == name]
        pd.testing.assert_frame_equal(own.drop(columns="reject"), rows[rows["split"] == name])
        assert own["reject"].isna().all()
    assert set(filled["split"][len(rows) :]) == {"train"}


ROWS = conversations(
    [talk(f"c{number}", intent=f"intent-{number % 3}", language=("en", "de")[number % 7 == 6]) for number in range(14)]
)
PLAN = {"intent-0": 0.5, "intent-1": 2.25, "intent-2": 3.0}
GENERATORS = ("quite", True), ("very", False)


def full() -> pd.DataFrame:
    return run(ROWS, PLAN, *(Spoken(name, keyed, fails=["C4", "C8"]) for name, keyed in GENERATORS))


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(len(ROWS))), cuts=st.sets(st.integers(1, len(ROWS) - 1), max_size=3))
def test_rows_do_not_depend_on_order_or_batches(order: list[int], cuts: set[int]) -> None:  # P4, P5
    shuffled = ROWS.iloc[order].reset_index(drop=True)
    parts = np.split(np.arange(len(ROWS)), sorted(cuts))
    found = [
        run(shuffled.iloc[part], PLAN, *(Spoken(name, keyed, fails=["C4", "C8"]) for name, keyed in GENERATORS))
        for part in parts
    ]
    together = pd.concat(found).sort_values("row_id", ignore_index=True)
    pd.testing.assert_frame_equal(together, full().sort_values("row_id", ignore_index=True))


def test_what_the_property_above_looks_at() -> None:
    reasons = full()["reject"].value_counts(dropna=False).to_dict()
    assert reasons.pop("nothing_generated") > 2
    assert sum(reasons.values()) > len(ROWS) + 15
    assert not full()["row_id"].duplicated().any()


def test_the_plan_lifts_rare_intents_towards_a_share_of_the_largest() -> None:
    rows = [talk(f"big{number}", "big") for number in range(20)]
    rows += [talk(f"mid{number}", "mid") for number in range(8)]
    rows += [talk(f"rare{number}", "rare") for number in range(2)]
    rows += [talk(f"none{number}", None) for number in range(4)]
    rows += [talk(f"eval{number}", "rare", split="test") for number in range(9)]
    mute = {"turns": [{"role": "customer", "text": "ok NV-2081"}, {"role": "agent", "text": "It is on its way now."}]}
    rows += [talk("mute", "mid", **mute), talk("fremd", "mid", language="de")]
    rows += [talk("big0", "mid", row_id="big0/noise-1", parent_id="big0", origin="noise")]
    frame = conversations(rows[::-1])

    def plan(**options: Any) -> dict[str, float]:
        files = fit(frame, AugmentConfig.model_validate({"target": 0.75, **options}), CONTEXT)
        assert list(files) == [ARTIFACT]
        return json.loads(files[ARTIFACT])

    assert plan() == {"mid": 0.5, "rare": 3.0}  # (15 - 11) / 8 and at most max_copies
    assert plan(max_copies=10) == {"mid": 0.5, "rare": 6.5}
    assert plan(intents=["rare"]) == {"rare": 3.0}
    assert plan(unlabelled=True) == {"": 2.75, "mid": 0.5, "rare": 3.0}
    assert plan(intents=["rare"], unlabelled=True) == {"": 2.75, "rare": 3.0}
    assert plan(target=0.1) == {}
    assert list(plan(unlabelled=True)) == ["", "mid", "rare"]
    assert fit(frame.head(0), AugmentConfig(), CONTEXT) == {ARTIFACT: b"{}"}
    with pytest.raises(DataError, match="none of them occurs among the 3 intents of 37 training conversations"):
        plan(intents=["refnd"])


def test_a_rate_is_met_on_average_and_fixed_for_a_row() -> None:
    counts = [copies(f"c{number}", 1.25, CONTEXT) for number in range(2000)]
    assert set(counts) == {1, 2}
    assert sum(counts) == pytest.approx(2500, rel=0.03)
    assert counts == [copies(f"c{number}", 1.25, CONTEXT) for number in range(2000)]
    assert {copies(f"c{number}", 2.0, CONTEXT) for number in range(50)} == {2}


def test_generators_take_turns_and_one_without_a_seed_comes_once() -> None:
    rows = conversations([talk(f"c{number}") for number in range(40)])
    result = kept(run(rows, {"refund": 3.0}, Spoken("quite"), Spoken("very", keyed=False)))
    labels = result["row_id"].str.extract(r"/(one|two)-\d")[0]
    assert labels.value_counts().to_dict() == {"one": 80, "two": 40}
    firsts = labels[result["row_id"].str.endswith("-1")].value_counts()
    assert firsts.min() > 10
    assert run(rows.head(1), {"refund": 3.0}, None, Spoken("very", keyed=False))["row_id"].tolist() == [
        "c0",
        "c0/two-1",
    ]


def test_a_generator_that_is_missing_leaves_its_copies_to_the_others() -> None:
    rows = conversations([talk(f"c{number}") for number in range(9)])
    result = run(rows, {"refund": 2.0}, None, Spoken("very"))
    assert len(kept(result)) == 27
    assert not result["row_id"].str.contains("/one").any()
    alone = run(rows, {"refund": 2.0})
    pd.testing.assert_frame_equal(alone.drop(columns="reject"), rows)
    assert alone["reject"].isna().all()


def test_another_one_tries_where_a_copy_is_unfit() -> None:
    rows = conversations([talk(f"c{number}") for number in range(9)])
    result = run(rows, {"refund": 1.0}, Spoken("quite"), Spoken("very", fails=["order"]))
    copied = result[9:]
    assert len(kept(copied)) == 9
    assert kept(copied)["row_id"].str.contains("/one-").all()
    dropped = copied[copied["reject"].notna()]
    assert set(dropped["reject"]) == {"nothing_generated"}
    assert dropped["row_id"].str.contains("/two-1").all()
    assert 0 < len(dropped) < 9
    hopeless = run(rows, {"refund": 2.0}, Spoken("quite", fails=["order"]), Spoken("very", fails=["order"]))
    assert hopeless["reject"].value_counts().to_dict() == {"nothing_generated": 9 * 2 * TRIES}
    assert len(hopeless) == 9 + 9 * 2 * TRIES


def test_copies_of_a_conversation_differ() -> None:
    rows = conversations([talk(f"c{number}") for number in range(20)])
    result = run(rows, {"refund": 6.0}, Spoken("quite", words=5))
    assert result["reject"].value_counts().to_dict().keys() == {"not_new"}
    for _, group in kept(result).groupby("conversation_id"):
        said = [turns[0]["text"] for turns in group["turns"]]
        assert len(set(said)) == len(said)


@pytest.mark.parametrize(
    ("failing", "expected"), [(0, None), (1, None), (2, None), (3, "nothing_generated"), (4, "nothing_generated")]
)
def test_half_of_the_turns_must_be_rewritten(failing: int, expected: str | None) -> None:
    texts = [f"{'bad' if number < failing else 'good'} question about it {'abcd'[number]}" for number in range(4)]
    turns = [{"role": role, "text": text} for text in texts for role in ("customer", "agent")]
    result = run(conversations([talk("a", turns=turns)]), {"refund": 1.0}, Spoken("quite", fails=["bad"]))
    assert [None if pd.isna(reason) else reason for reason in result["reject"][:2]] == [None, expected]
    for number, (old, new) in enumerate(zip(result["turns"][0], result["turns"][1], strict=True)):
        same = old["role"] == "agent" or number // 2 < failing
        assert (new == old) is same


@pytest.mark.parametrize(
    ("role", "text", "expected"),
    [
        ("customer", "where is it", True),
        ("customer", "Où est-il donc ?", True),
        ("customer", "yes please", False),
        ("customer", "NV-2081 for <PERSON_1>, ok", False),
        ("customer", "a b c d", False),
        ("customer", "", False),
        ("customer", None, False),
        ("agent", "where is it now", False),
        ("system", "this one is closed", False),
    ],
)
def test_turns_that_are_rewritten(role: str, text: str | None, expected: bool) -> None:
    assert rewritable({"role": role, "text": text}) is expected


def test_equal_texts_are_asked_once_and_neural_outputs_are_kept(tmp_path: Path) -> None:
    same = [{"role": "customer", "text": "Where is my refund please?"}, {"role": "agent", "text": "On its way."}]
    rows = conversations([talk(f"c{number}", turns=same) for number in range(5)])
    path = str(tmp_path / "memo.sqlite")
    first, second = (Spoken("quite", keyed=False, neural=True) for _ in range(2))
    with Memo(path) as memo:
        result = run(rows, {"refund": 1.0}, first, memo=memo)
        assert first.calls == [[same[0]["text"]]]
        pd.testing.assert_frame_equal(run(rows, {"refund": 1.0}, second, memo=memo), result)
        assert second.calls == []
        assert memo.forget([text_hash(same[0]["text"])]) == 1
        ruled = Spoken("quite", keyed=False)
        run(rows, {"refund": 1.0}, ruled, memo=memo)
        assert len(ruled.calls) == 1
        assert memo.recall("quite", [(same[0]["text"], 0)]) == {}


def test_the_stage_itself_with_real_generators(tmp_path: Path) -> None:
    config = AugmentConfig.model_validate(
        {"generators": [{"kind": "noise"}, {"kind": "synonyms", "wordnet": str(tmp_path)}], "target": 1.0}
    )
    rows = conversations([talk(f"c{number}", "rare" if number < 6 else "big") for number in range(18)])
    context = replace(CONTEXT, seed=1, artifact=fit(rows, config, CONTEXT))
    assert equipment(config, context) == {"synonyms: WordNet": None}
    result = augment(rows, config, context)
    copied = kept(result[18:])
    assert Counter(copied["intent"]) == {"rare": 6}
    assert set(copied["origin"]) == {"noise"}
    again = augment(rows.iloc[::-1], config, context)
    pd.testing.assert_frame_equal(kept(again), kept(result))
    table = to_table(kept(result), CONVERSATION)
    assert to_frame(table)["parent_id"].notna().sum() == 6


def test_what_cannot_be_had_is_told_at_once() -> None:
    config = AugmentConfig.model_validate(
        {
            "generators": [{"kind": "paraphrase", "model": "no such model"}, {"kind": "noise"}],
            "similarity": "no such folder either",
        }
    )
    with pytest.raises(ConfigError) as caught:
        check(config, CONTEXT)
    assert len(caught.value.problems) == 2
    assert "no such model" in caught.value.problems[0]
    assert "no such folder either" in caught.value.problems[1]
    check(AugmentConfig.model_validate({"generators": [{"kind": "noise"}]}), CONTEXT)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"generators": [{"kind": "noise"}, {"kind": "noise"}]}, "two generators are named noise"),
        ({"generators": []}, "at least 1 item"),
        ({"length": [2, 3]}, "expected \\[least, most\\]"),
        ({"min_similarity": 0.99}, "min_similarity 0.99 is not below max_similarity 0.98"),
        ({"target": 200}, "less than or equal to 1"),
        ({"scan": False}, "Extra inputs"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        AugmentConfig.model_validate(options)


def test_two_of_a_kind_have_names() -> None:
    config = AugmentConfig(generators=(NoiseConfig(kind="noise"), SynonymsConfig(kind="synonyms")))
    assert AugmentConfig.model_validate(config.model_dump(mode="json")) == config
    assert [generator.label for generator in CONFIG.generators] == ["one", "two"]
    assert STAGE.run is augment


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_a_second_night_extends_to_what_a_rebuild_gives(tmp_path: Path) -> None:  # P5
    lines = example_lines(66)
    desk = Desk(tmp_path, lines[:60])
    desk.steps = [*desk.steps[:4], {"augment": {"target": 1.0, "generators": [{"kind": "noise"}]}}]
    first = desk.prepare()
    assert actions(desk.prepare())["augment"] == "reuse"
    desk.write(lines[60:], "day-2.jsonl")
    second = desk.prepare()
    assert actions(second)["augment"] == "extend"
    assert digests(second)["augmented"] != digests(first)["augmented"]
    assert versions(second)["augmented"].added > versions(first)["augmented"].added > 20
    assert digests(desk.prepare(rebuild=True))["augmented"] == digests(second)["augmented"]


def test_a_pseudonym_is_rewritten_by_nobody() -> None:  # P8
    turns = [
        {"role": "customer", "text": "Where is my refund for order A-204, Ada Finn asks?"},
        {"role": "agent", "text": "It is on its way, Ada."},
    ]
    entities = [
        {"turn": 0, "start": 36, "end": 44, "type": "PERSON"},
        {"turn": 1, "start": 18, "end": 21, "type": "PERSON"},
    ]
    asked: list[str] = []

    class Listening(Spoken):
        def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
            asked.extend(texts)
            return super().__call__(texts, seeds)

    result = run(conversations([talk("a", turns=turns, entities=entities)]), {"refund": 1.0}, Listening("quite"))
    assert asked == ["Where is my refund for order A-204, <PERSON_1> asks?"]
    copied = result.iloc[1]
    assert copied["reject"] is None or pd.isna(copied["reject"])
    assert [copied["turns"][one["turn"]]["text"][one["start"] : one["end"]] for one in copied["entities"]] == [
        "Ada Finn", "Ada",
    ]  # fmt: skip
