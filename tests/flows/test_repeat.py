"""P6: a run can be repeated; P3 beside it: evaluation data is what was logged."""

import shutil
from pathlib import Path

from tests.flows.conftest import PREPARED
from tests.flows.desk import Desk, actions, digests, example_lines, table, versions


def test_the_same_log_and_key_give_the_same_digests_in_another_place(prepared: Desk, tmp_path: Path) -> None:
    shutil.copytree(prepared.folder / "store" / "keys", tmp_path / "two" / "store" / "keys")
    second = Desk(tmp_path / "two", example_lines(PREPARED)).prepare()
    assert set(actions(second).values()) == {"compute"}
    assert digests(second) == digests(prepared.prepare())


def test_lineage_names_everything_that_a_repetition_needs(prepared: Desk) -> None:
    run = prepared.prepare()
    for name, version in versions(run).items():
        assert version.recipe, name
        assert version.fingerprint, name
        assert version.config is not None, name
        assert version.libraries["pandas"], name
        assert version.parents or version.inputs, name
    assert [parent.name for parent in versions(run)["scrubbed"].parents] == ["ingested@1"]


def test_evaluation_rows_are_logged_conversations(prepared: Desk) -> None:
    run = prepared.prepare()
    logged = set(table(run, "ingested")["row_id"].to_pylist())
    for split in ("validation", "test"):
        rows = table(run, split)
        assert set(rows["origin"].to_pylist()) == {"log"}
        assert set(rows["repeats"].to_pylist()) == {1}
        assert set(rows["row_id"].to_pylist()) <= logged
