import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import DataError
from deskloop.contract.schema import conversations
from deskloop.contract.stage import Context
from tasks.annotate import STAGE, AnnotateConfig, annotate, fit, metrics

CONTEXT = Context(step="annotate", seed=4)
WORDS = {
    "refund": ("refund", "money back", "reimburse me", "my payment returned"),
    "delivery": ("parcel late", "delivery delayed", "courier lost it", "shipment missing"),
    "login": ("password wrong", "account locked", "cannot log in", "reset code"),
}
FILLER = ("please help", "hello there", "since monday", "i am waiting", "thank you", "for my kettle", "again", "today")


def talk(name: str, text: str | None, **more: Any) -> dict[str, Any]:
    turns = [{"role": "customer", "text": text}, {"role": "agent", "text": "refund parcel password"}]
    row = {"conversation_id": name, "turns": turns, "family": f"f-{name}", "split": "train", **more}
    if row.get("intent") and "intent_source" not in row:
        row |= {"intent_source": "log", "intent_confidence": 1.0}
    return row


def desk(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    """Labelled, separable training conversations, each with two phrases of its intent."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(count):
        intent = list(WORDS)[number % 3]
        said = [*rng.choice(WORDS[intent], 2, replace=False), *rng.choice(FILLER, 3, replace=False)]
        rows.append(talk(f"c{number:03}", f"{' '.join(said)} <ORDER_ID_{number}>", intent=intent, **more))
    return rows


def unknown(name: str, text: str, **more: Any) -> dict[str, Any]:
    return talk(name, text, intent=None, **more)


def trained(rows: list[dict[str, Any]], config: AnnotateConfig | None = None) -> Context:
    config = config or AnnotateConfig()
    return Context(step="annotate", seed=4, artifact=fit(conversations(rows), config, CONTEXT))


def labels(frame: pd.DataFrame) -> list[tuple[Any, Any, Any]]:
    cells = frame[["intent", "intent_source", "intent_confidence"]].astype(object)
    return [tuple(row) for row in cells.where(cells.notna(), None).itertuples(index=False, name=None)]


def test_the_order_of_labels() -> None:
    rules = [
        {"intent": "cancellation", "any": ["cancel"]},
        {"intent": "delivery", "any": ["parcel", "cancel"]},
    ]
    config = AnnotateConfig.model_validate({"rules": rules, "labels": {"old": "new", "other": None}})
    context = trained(desk(), config)
    rows = conversations(
        [
            talk("log", "cancel my parcel", intent="refund"),
            talk("human", "cancel my parcel", intent="old", intent_source="human", intent_confidence=1.0),
            talk("renamed", "hello", intent="old"),
            talk("ignored", "cancel it", intent="other"),
            unknown("first", "Cancel the parcel"),
            unknown("model", "my account locked and password wrong"),
            unknown("nothing", "zzz"),
        ]
    )
    before = rows.copy(deep=True)
    result = annotate(rows, config, context)
    assert labels(result)[:5] == [
        ("refund", "log", 1.0),
        ("old", "human", 1.0),
        ("new", "log", 1.0),
        ("cancellation", "rule", 1.0),
        ("cancellation", "rule", 1.0),
    ]
    assert labels(result)[6] == (None, None, None)
    intent, source, confidence = labels(result)[5]
    assert (intent, source) == ("login", "model")
    assert 0.5 < confidence <= 1
    own = ["intent", "intent_source", "intent_confidence"]
    pd.testing.assert_frame_equal(result.drop(columns=own), before.drop(columns=own))
    assert result[own].dtypes.tolist() == before[own].dtypes.tolist()
    pd.testing.assert_frame_equal(rows, before)


def test_rules_may_come_before_the_log_but_not_before_people() -> None:
    config = AnnotateConfig.model_validate(
        {"rules": [{"intent": "cancellation", "any": ["cancel"]}], "rules_override": True, "classifier": False}
    )
    rows = conversations(
        [
            talk("a", "cancel", intent="refund"),
            talk("b", "hello", intent="refund"),
            talk("c", "cancel", intent="refund", intent_source="human", intent_confidence=1.0),
        ]
    )
    assert labels(annotate(rows, config, trained([], config))) == [
        ("cancellation", "rule", 1.0),
        ("refund", "log", 1.0),
        ("refund", "human", 1.0),
    ]


def test_the_classifier_labels_what_is_left_and_says_how_good_it_is() -> None:
    context = trained(desk())
    told = metrics(context.artifact)
    assert told["reason"] is None
    assert (told["labelled"], told["intents"], told["intents_seen"]) == (60, 3, 3)
    assert told["accuracy"] > 0.95
    assert told["macro_f1"] > 0.95
    assert told["precision"] >= 0.9
    assert told["coverage"] > 0.9
    assert told["ece"] < told["ece_before"]
    assert told["threshold"] == 0.5
    rows = conversations([unknown("a", "i want my money back"), unknown("b", "shipment missing"), unknown("c", "xy")])
    assert [intent for intent, _, _ in labels(annotate(rows, AnnotateConfig(), context))] == [
        "refund",
        "delivery",
        None,
    ]


def test_only_labelled_training_rows_of_the_log_teach() -> None:
    """P2, P3: not a byte of the artifact depends on evaluation rows, guesses, copies, or what agents say."""
    taught = trained(desk()).artifact
    silent = [
        talk("t1", "astrolabe refund", intent="login", split="test"),
        talk("v1", "astrolabe parcel late", intent="login", split="validation"),
        talk("m1", "parcel late", intent="login", intent_source="model", intent_confidence=0.9),
        talk("n1", "parcel late", intent="login", origin="noise"),
        unknown("u1", "parcel late"),
    ]
    assert trained(desk() + silent).artifact == taught
    other = [{**row, "turns": [row["turns"][0], {"role": "agent", "text": "astrolabe"}]} for row in desk()]
    assert trained(other).artifact == taught
    assert trained([*desk(), talk("x", "parcel late", intent="login")]).artifact != taught
    human = talk("x", "parcel late", intent="login", intent_source="human", intent_confidence=1.0)
    assert trained([*desk(), human]).artifact != taught


def test_the_same_rows_in_any_order_give_the_same_bytes() -> None:  # P4
    rng = np.random.default_rng(2)
    rows = [{**row, "intent": "login"} if rng.random() < 0.2 else row for row in desk(61)]  # so that folds matter
    shuffled = [rows[number] for number in rng.permutation(len(rows))]
    assert trained(shuffled).artifact == trained(rows).artifact


def test_more_rows_than_it_reads_are_chosen_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.annotate.MOST_ROWS", 30)
    few = trained(desk())
    assert metrics(few.artifact)["labelled"] == 30
    assert trained(desk()[::-1]).artifact == few.artifact


def test_the_artifact_is_plain_arrays_and_json() -> None:
    files = trained(desk()).artifact
    assert sorted(files) == ["metrics.json", "vocabulary.json", "weights.npz"]
    with np.load(io.BytesIO(files["weights.npz"]), allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype("float32")}
    vocabulary = json.loads(files["vocabulary.json"])
    assert vocabulary["classes"] == ["delivery", "login", "refund"]
    assert "order_id" in vocabulary["words"]


def test_the_words_of_few_families_are_not_in_it() -> None:
    """A name that scrub missed belongs to one customer, however often it occurs."""
    rows = [*desk(), *(talk(f"x{n}", "parcel late zebulon", intent="delivery", family="one") for n in range(9))]
    vocabulary = json.loads(trained(rows).artifact["vocabulary.json"])
    assert not [feature for features in vocabulary.values() for feature in features if "zeb" in feature]
    spread = [*desk(), *(talk(f"x{n}", "parcel late zebulon", intent="delivery") for n in range(3))]
    assert "zebulon" in json.loads(trained(spread).artifact["vocabulary.json"])["words"]


def test_families_are_kept_together_in_cross_validation() -> None:
    """Copies within a family are no evidence: out of fold, randomly drawn labels are unpredictable."""
    rng = np.random.default_rng(1)
    pool = [f"{first}{second}" for first in ("ar", "be", "co", "du") for second in ("mil", "nox", "pet", "qua")]
    rows = []
    for family in range(24):
        text = " ".join(rng.choice(pool, 7, replace=False))
        rows += [talk(f"{family}-{n}", text, intent="ab"[family % 2], family=f"f{family}") for n in range(6)]
    assert metrics(trained(rows).artifact)["accuracy"] < 0.8
    apart = [{**row, "family": f"own-{number}"} for number, row in enumerate(rows)]
    assert metrics(trained(apart).artifact)["accuracy"] > 0.95


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "fewer than two intents"),
        (desk(3), "fewer than two intents"),
        ([row for row in desk() if row["intent"] == "refund"], "fewer than two intents"),
        ([{**row, "split": "test"} for row in desk()], "fewer than two intents"),
        ([{**row, "family": "one"} for row in desk()], "fewer than 6 labelled training families"),
        ([talk(f"c{n}", "", intent=str(n % 2)) for n in range(20)], "no word is shared"),
        ([talk(f"c{n}", "same", intent=str(n % 2)) for n in range(20)], "no confidence at which 90%"),
        ([{**row, "family": row["intent"] + str(n % 2)} for n, row in enumerate(desk())], None),
    ],
)
def test_with_too_little_data_it_labels_nothing(rows: list[dict[str, Any]], reason: str | None) -> None:
    context = trained(rows)
    told = metrics(context.artifact)
    assert (told["reason"] or "").startswith(reason or "")
    labelled = labels(annotate(conversations([unknown("a", "i want my money back refund")]), AnnotateConfig(), context))
    assert (labelled == [(None, None, None)]) == (reason is not None)


def test_intents_too_rare_for_training_count_as_errors() -> None:
    rows = [*desk(), *(talk(f"r{n}", "refund reimburse me please", intent="rare") for n in range(4))]
    told = metrics(trained(rows).artifact)
    assert (told["intents"], told["intents_seen"], told["labelled"]) == (3, 4, 64)
    assert told["accuracy"] == pytest.approx(60 / 64, abs=1e-4)


@pytest.mark.parametrize(("least", "expected"), [(0.0, ["model", "model", None]), (0.9, ["model", None, None])])
def test_a_fixed_confidence_takes_the_place_of_the_precision(least: float, expected: list[str | None]) -> None:
    config = AnnotateConfig(min_confidence=least)
    context = trained(desk(), config)
    assert metrics(context.artifact)["threshold"] == least
    rows = [unknown("a", "money back refund reimburse me"), unknown("b", "hello there"), unknown("c", "xyz")]
    assert [source for _, source, _ in labels(annotate(conversations(rows), config, context))] == expected


def test_without_splits_the_classifier_is_refused() -> None:
    rows = conversations([{**row, "split": None} for row in desk(6)])
    with pytest.raises(DataError, match="move annotate after dedupe, or set classifier: false"):
        fit(rows, AnnotateConfig(), CONTEXT)
    off = fit(rows, AnnotateConfig(classifier=False), CONTEXT)
    assert metrics(off) == {"reason": "switched off", "unused_labels": []}
    assert metrics(fit(conversations([]), AnnotateConfig(), CONTEXT))["labelled"] == 0


def test_labels_that_the_log_does_not_have_are_reported() -> None:
    config = AnnotateConfig.model_validate({"labels": {"refund": "money", "refnud": "money"}})
    context = trained(desk(), config)
    assert metrics(context.artifact)["unused_labels"] == ["refnud"]
    assert json.loads(context.artifact["vocabulary.json"])["classes"] == ["delivery", "login", "money"]


@pytest.fixture(scope="module")
def context() -> Context:
    return trained(desk())


TEXTS = st.lists(st.sampled_from([*FILLER, *WORDS["refund"], *WORDS["login"], "zzz"]), max_size=6).map(" ".join)


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(TEXTS | st.text(max_size=20), min_size=1, max_size=8))
def test_any_batch_gives_the_same_bits(context: Context, texts: list[str]) -> None:  # P4
    rows = conversations(unknown(f"r{number}", text) for number, text in enumerate(texts))
    whole = annotate(rows, AnnotateConfig(), context)
    parts = [annotate(rows.iloc[[number]], AnnotateConfig(), context) for number in reversed(range(len(rows)))]
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole, check_exact=True)
    confidence = whole["intent_confidence"].dropna().astype(float)
    assert confidence.between(0.5, 1).all()
    assert np.allclose(confidence, confidence.round(4), atol=1e-7)


def test_the_stage() -> None:
    assert (STAGE.dataset, STAGE.fit) == ("annotated", fit)
    assert STAGE.provides == {"intent", "annotated"}
