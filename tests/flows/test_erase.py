"""`deskloop data erase` with everything real: Prefect, a model, MLflow, a sample's store."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deskloop.engine.plan import plan
from deskloop.models import Registry
from deskloop.pipeline.load import load_pipeline
from deskloop.store.catalog import Catalog
from tasks import stages
from tests.cli.test_cli import Call, deskloop
from tests.deskloop.erase.test_erase import values_of, whom
from tests.flows.conftest import PREPARED
from tests.flows.desk import Desk, example_lines
from tests.sweep import sweep

pytestmark = pytest.mark.filterwarnings("default")
__all__ = ["deskloop"]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a store, locks and MLflow's database aside, which looking at touches."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in files if path.name not in (".lock", "mlflow.db")}


def planned(desk: Desk) -> dict[str, str]:
    pipeline = load_pipeline(desk.file, stages())
    return {entry["step"]: entry["action"] for entry in plan(pipeline)}


def test_a_customer_erased_by_the_command(trained_desk: Desk, prefect: Path, deskloop: Call) -> None:
    from flows.prepare import prepare

    desk = trained_desk
    prepare(str(desk.file), sample=40)
    store, sample = desk.folder / "store", desk.folder / "store-sample-40"
    work = store / "models" / ".work" / "left"
    work.mkdir(parents=True)
    (work / "optimizer.pt").write_bytes(b"state")
    customer, own = whom(example_lines(PREPARED))
    values = values_of(own)
    command = ("data", "erase", "-c", desk.file, "--customer", customer)

    before = snapshot(desk.folder)
    looked = deskloop(*command, "--dry-run", "--json")
    assert looked.code == 0
    told = json.loads(looked.out)
    assert told["status"] == "found"
    assert told["rows"]["ingested"] == len({one["conversation_id"] for one in own})
    assert told["files"] >= len(told["rows"])
    assert [one["model"] for one in told["models"]] == ["desk@1"]
    assert "train_encoded@1" in told["versions"]["kept"]
    assert told["samples"]["store-sample-40"]["ingested"] > 0
    assert snapshot(desk.folder) == before
    assert "desk@1 was trained on" in deskloop(*command, "--dry-run").out
    refused = deskloop(*command, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert "--json asks no questions" in refused.err

    done = deskloop(*command, "--yes", "--json", "--reason", "gdpr-17")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["status"] == "erased"
    assert document["rows"] == told["rows"]
    assert document["models"][0] | {"rows": 0} == {"model": "desk@1", "rows": 0, "version": 1, "aliases": ["champion"]}
    assert document["sources"] == {"day-1.jsonl": len(own)}
    for folder in (store, sample, prefect):
        assert sweep(folder, values) == []
    assert not work.exists()
    champion = Registry(store).champion("desk")
    assert champion is not None
    assert champion.erased["rows"] == document["models"][0]["rows"]
    assert champion.folder.is_dir()
    listed = json.loads(deskloop("models", "list", "-c", desk.file, "--json").out)
    assert [one["erased_rows"] for one in listed] == [champion.erased["rows"]]
    assert "rows that have since been erased" in deskloop("models", "list", "-c", desk.file).out
    kept = Catalog(store / "catalog").get("train_encoded@1")
    assert kept.erased_at == document["erased_at"]
    log = deskloop("data", "log", "-c", desk.file, "ingested").out
    assert "a person was erased" in log

    steps = planned(desk)
    assert {steps[step.name] for step in load_pipeline(desk.file, stages()).data_steps} == {"reuse"}
    assert (steps["base"], steps["finetune"]) == ("reuse", "compute")
    again = json.loads(deskloop(*command, "--json").out)
    assert again["status"] == "already_erased"


def test_what_is_refused(tmp_path: Path, deskloop: Call) -> None:
    desk = Desk(tmp_path / "desk", example_lines(20))
    desk.steps = desk.steps[:2]
    desk.save()
    command = ("data", "erase", "-c", desk.file)
    cases: dict[str, tuple[Any, ...]] = {
        "there is no store": ("--customer", "C-1", "--dry-run"),
    }
    for message, more in cases.items():
        refused = deskloop(*command, *more)
        assert (refused.code, refused.out) == (2, "")
        assert message in refused.err
    desk.prepare()
    cases = {
        "name whom to erase": (),
        "the store has no row of theirs": ("--customer", "C-nobody", "--yes"),
        "one is empty, or stands for no person": ("--customer", "guest"),
        "--reason: a word": ("--customer", "C-1", "--reason", "Ann Lee asked"),
    }
    for message, more in cases.items():
        refused = deskloop(*command, *more)
        assert (refused.code, refused.out) == (2, ""), message
        assert message in refused.err
        assert "nobody'" not in refused.err
    shutil.rmtree(tmp_path / "desk" / "log")
