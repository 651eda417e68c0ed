"""Annotate, select and balance in a real pipeline: what they change in training, and that evaluation does not move."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from deskloop.contract.errors import DataError
from tasks.annotate import metrics
from tests.flows.desk import Desk, actions, digests, example_lines, table, versions

RULES = [{"intent": "order_tracking", "any": ["where is my order"]}]
ANNOTATE = {"rules": RULES, "labels": {"complaint": None}, "min_precision": 0.6}
BALANCE = {"max_ratio": 2, "min_conversations": 2, "oversample": {"to": 0.5}, "weights": "sqrt_inverse"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("labelled"), example_lines(260))
    early = {"stage": "annotate", "name": "rules", "with": {"rules": RULES, "classifier": False}}
    desk.steps.insert(3, early)
    desk.steps[5:5] = [{"annotate": ANNOTATE}, {"select": {"languages": ["en", "und"]}}, {"balance": BALANCE}]
    return desk


def counted(rows: pa.Table, column: str) -> dict[Any, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(rows[column]).to_pylist()}


@pytest.mark.long
def test_a_pipeline_labels_selects_and_balances(desk: Desk) -> None:
    run = desk.prepare()
    annotated, selected, balanced, train = (table(run, name) for name in ("annotated", "selected", "balanced", "train"))
    sources = counted(annotated, "intent_source")
    assert sources["model"] > 0
    assert sources["log"] > sources["model"]
    own = run.engine.ledger.files(versions(run)["annotated"].artifact)
    assert metrics(own)["labelled"] <= counted(annotated, "split")["train"]
    assert set(selected["language"].to_pylist()) <= {"en", "und"}
    assert len(balanced) < len(selected)
    sizes = {}
    for intent, repeats in zip(train["intent"].to_pylist(), train["repeats"].to_pylist(), strict=True):
        sizes[intent] = sizes.get(intent, 0) + repeats
    sizes.pop(None, None)
    assert max(sizes.values()) <= 2 * min(sizes.values())
    encoded = table(run, "train_encoded")
    assert set(encoded["weight"].to_pylist()) == set(train["weight"].to_pylist()) != {1.0}
    assert max(encoded["repeats"].to_pylist()) > 1
    for step in ("annotate", "select", "balance"):
        (version,) = run.entries[step].versions
        assert [one for one in version.expectations if one["severity"] == "critical" and not one["passed"]] == []
    assert set(actions(desk.prepare()).values()) == {"reuse"}


@pytest.mark.long
def test_evaluation_is_the_same_with_and_without_balance(desk: Desk) -> None:  # P3
    before = digests(desk.prepare())
    desk.steps = json.loads(json.dumps(desk.steps))
    desk.steps = [step for step in desk.steps if "balance" not in step]
    after = digests(desk.prepare())
    assert {name: after[name] for name in ("validation", "test")} == {
        name: before[name] for name in ("validation", "test")
    }
    assert after["train"] != before["train"]


def test_a_classifier_before_the_splits_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, example_lines(20))
    desk.steps[3:] = ["annotate"]
    with pytest.raises(DataError, match="move annotate after dedupe, or set classifier: false"):
        desk.prepare()
