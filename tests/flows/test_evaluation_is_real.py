"""P3: what is judged on is logged, and the same bytes whatever training is filled up with."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import PREPARED
from tests.flows.desk import Desk, digests, example_lines, table

FILLED: list[Any] = [
    {"annotate": {"classifier": False}},
    {"augment": {"target": 1.0, "generators": [{"kind": "noise", "share": 0.1}]}},
    {"balance": {"max_ratio": 2, "min_conversations": 5, "oversample": {"to": 0.5}, "weights": "inverse"}},
]


@pytest.mark.filterwarnings("default")
def test_augmentation_and_balancing_leave_evaluation_as_it_is(prepared: Desk, tmp_path: Path) -> None:
    plain = prepared.copied_to(tmp_path / "plain")
    bare = plain.prepare()
    filled = Desk(tmp_path / "filled", example_lines(PREPARED))
    filled.steps[4:4] = FILLED
    shutil.copytree(plain.folder / "store" / "keys", filled.folder / "store" / "keys")
    full = filled.prepare()

    train = table(full, "train")
    copies = [origin for origin in train["origin"].to_pylist() if origin != "log"]
    assert len(copies) > 20
    assert max(train["repeats"].to_pylist()) > 1
    assert len(set(train["weight"].to_pylist())) > 1
    assert full.entries["balance"].versions[0].reasons.get("over_cap", 0) > 0
    assert digests(full)["train"] != digests(bare)["train"]
    for name in ("validation", "test"):
        assert digests(full)[name] == digests(bare)[name]
        assert table(full, name).drop_columns(["batch"]).equals(table(bare, name).drop_columns(["batch"]))
        assert set(table(full, name)["origin"].to_pylist()) == {"log"}

    plain.steps[4:4] = FILLED  # and switched on later, in a store that has a tokenizer already
    later = plain.prepare()
    for name in ("validation", "test", "validation_encoded", "test_encoded"):
        assert digests(later)[name] == digests(bare)[name]
