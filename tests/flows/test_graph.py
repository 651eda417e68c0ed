"""Branches and joins on real stages: two sources, two candidates, an artifact that is shared, an extra evaluation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError, DataError
from deskloop.engine.plan import plan
from deskloop.pipeline.load import load_pipeline
from deskloop.report.run_document import summarize
from deskloop.run.session import check_refit, open_run
from tasks import stages
from tests.flows.conftest import MODEL
from tests.flows.desk import STEPS, Desk, actions, example_lines, table, versions

pytestmark = pytest.mark.filterwarnings("default")
COUNT = 110


def forked(folder: Path, models: bool = True) -> Desk:
    """A log in two parts, each ingested and scrubbed by steps of its own; the second one is for evaluation alone."""
    desk = Desk(folder, example_lines(COUNT))
    (folder / "more").mkdir()
    (folder / "more" / "day-1.jsonl").write_bytes(b"\n".join(example_lines(50, COUNT)) + b"\n")
    source = {**STEPS[0]["ingest"]["sources"][0], "source": "desk"}
    more = {**source, "path": "more/*.jsonl", "source": "more"}
    steps: list[Any] = [
        {"ingest": {"sources": [source]}},
        "scrub",
        {"stage": "ingest", "name": "more", "with": {"sources": [more]}},
        {"stage": "scrub", "name": "scrub_more"},
        {"stage": "normalize", "inputs": ["scrub", "scrub_more"], "with": {"min_turns": 2}},
        {"dedupe": {"validation": 0.15, "test": 0.15, "heldout": ["more"]}},
        "split",
        {"encode": {"vocabulary": 600, "max_length": 256}},
    ]
    if models:
        training = MODEL["finetune"]
        steps += [
            "base",
            {"stage": "finetune", "name": "slow", "with": {**training, "max_steps": 2, "learning_rate": 1e-5}},
            {"stage": "finetune", "name": "fast", "with": {**training, "max_steps": 6}},
            {"evaluate": MODEL["evaluate"]},
            {"stage": "select", "name": "newest", "inputs": "test", "with": {"sources": ["more"]}},
            {
                "stage": "encode", "name": "encode_newest", "inputs": {"rows": "newest", "artifact": "encode"},
                "with": {"vocabulary": 600, "max_length": 256},
            },
            {
                "stage": "evaluate", "name": "evaluate_newest", "with": MODEL["evaluate"],
                "inputs": {"test": "encode_newest", "train": "encode"},
            },
            {"promote": MODEL["promote"]},
        ]  # fmt: skip
    desk.steps = steps
    return desk


def planned(desk: Desk, *overrides: str) -> dict[str, str]:
    return {entry["step"]: entry["action"] for entry in plan(load_pipeline(desk.file, stages(), overrides))}


@pytest.mark.long
def test_two_candidates_on_one_dataset_and_an_evaluation_of_its_own(tmp_path: Path, prefect: Path) -> None:
    from flows.retrain import retrain

    desk = forked(tmp_path)
    desk.save()
    first = retrain(str(desk.file))
    steps = first["steps"]
    assert steps["normalize"]["parents"] == ["scrubbed@1", "scrub_more@1"]
    assert steps["encode_newest"]["parents"] == ["newest@1"]
    assert 0 < steps["newest"]["rows_out"] < steps["newest"]["rows_in"]
    assert first["decision"]["action"] == "promoted"
    assert first["model"]["catalog"] == "fast@1"
    assert (first["model"]["name"], first["model"]["alias"]) == ("desk", "champion")
    assert [gate["gate"] for gate in first["decision"]["gates"] if "base" in gate["gate"]] == [
        "better than base on evaluate", "better than base on evaluate_newest",
    ]  # fmt: skip
    assert set(first["metrics"]) == {"base", "candidate", "slow", "unigram", "bigram"}

    again = retrain(str(desk.file))
    assert [name for name, step in again["steps"].items() if not step["reused"]] == ["promote"]
    changed = planned(desk, "slow.max_steps=3")
    ran = {name for name, action in changed.items() if action != "reuse"}
    assert ran == {"slow", "evaluate", "evaluate_newest", "promote"}
    assert changed["slow"] == "compute"


def test_heldout_conversations_are_tested_on_and_never_trained_on(tmp_path: Path) -> None:
    run = forked(tmp_path, models=False).prepare()
    sources = {name: set(table(run, name)["source"].to_pylist()) for name in ("train", "validation", "test")}
    assert sources["train"] == sources["validation"] == {"desk"}
    assert "more" in sources["test"]
    assert versions(run)["split"].details if "split" in versions(run) else versions(run)["train"].details["proof"]
    assert run.engine.catalog.get("more").zone == "raw"


def test_the_document_of_a_run_counts_every_step_of_a_stage(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    desk.steps = desk.steps[:4]
    document = summarize(desk.prepare())
    assert "entities" not in document
    by_step = document["by_step"]["scrub"]
    assert {step: sum(tally["languages"].values()) for step, tally in by_step.items()} == {
        step: document["steps"][step]["rows_out"] for step in ("scrub", "scrub_more")
    }


def test_a_damaged_table_with_a_shared_artifact_is_rebuilt_with_it(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    again = {"stage": "encode", "name": "again", "inputs": {"rows": "test", "artifact": "encode"}}
    desk.steps = [*desk.steps, {**again, "with": {"vocabulary": 600, "max_length": 128}}]
    run = desk.prepare()
    before = next(version for version in run.entries["again"].versions if version.rows)
    part = next((tmp_path / "store" / "clean" / before.dataset).glob("*.parquet"))
    part.write_bytes(b"x" * part.stat().st_size)
    assert before.artifact == run.entries["encode"].versions[0].artifact
    with open_run(load_pipeline(desk.file, stages()), print) as again:
        assert again.engine.table(before, ["row_id"]).num_rows == before.rows
        rebuilt = {version.dataset: version for version in again.engine.made["again"].versions}[before.dataset]
    assert (rebuilt.name, rebuilt.artifact, rebuilt.digest) == (before.name, before.artifact, before.digest)
    fitted = versions(run)["normalized"]  # by a step that fits its own artifact
    part = next((tmp_path / "store" / "clean" / "normalized").glob("*.parquet"))
    part.write_bytes(b"x" * part.stat().st_size)
    with open_run(load_pipeline(desk.file, stages()), print) as again:
        assert again.engine.table(fitted, ["row_id"]).num_rows == fitted.rows


def test_a_version_is_reused_only_with_all_datasets_of_its_step(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    run = desk.prepare()
    lost = versions(run)["test_encoded"]
    run.engine.catalog.supersede([replace(lost, gone=True)])
    again = desk.prepare()
    assert actions(again)["split"] == "reuse"
    assert actions(again)["encode"] != "reuse"
    assert versions(again)["test_encoded"].digest == lost.digest


def test_refitting_a_step_that_reads_an_artifact_is_refused(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    again = {"stage": "encode", "name": "again", "inputs": {"rows": "test", "artifact": "encode"}}
    desk.steps = [*desk.steps, {**again, "with": {"vocabulary": 600, "max_length": 128}}]
    desk.save()
    with pytest.raises(ConfigError, match="--refit again: has nothing to fit; normalize, encode do"):
        check_refit(load_pipeline(desk.file, stages()), ["again"])


def test_rows_of_two_sources_with_one_id_are_refused(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    (tmp_path / "more" / "day-1.jsonl").write_bytes((tmp_path / "log" / "day-1.jsonl").read_bytes())
    with pytest.raises(DataError, match=r"'normalize': scrubbed and scrub_more have \d+ row ids in common \("):
        desk.prepare()


def test_an_unreadable_record_of_one_source_stays_when_another_is_read(tmp_path: Path) -> None:
    desk = forked(tmp_path, models=False)
    desk.steps = desk.steps[:4]
    for name in ("log", "more"):
        file = tmp_path / name / "day-1.jsonl"
        file.write_bytes(file.read_bytes() + b'{"broken": \n')
    from deskloop.store.store import Store
    from deskloop.store.zones import allow_raw

    def held() -> int:
        store = Store(tmp_path / "store")
        with allow_raw("test"):
            return sum(b"broken" in raw for raw in _raw(store))

    desk.prepare()
    assert held() == 2
    (tmp_path / "more" / "day-1.jsonl").write_bytes(b"\n".join(example_lines(50, COUNT)) + b"\n")
    desk.prepare()
    assert held() == 1


def _raw(store: Any) -> list[bytes]:
    rows = store.read("raw", "quarantine", store.delta_version("raw", "quarantine"), ["raw"])
    return [cell or b"" for cell in rows["raw"].to_pylist()]
