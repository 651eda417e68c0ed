"""Run the flows end to end under a real Prefect: on a small log, twice, and with a failure."""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from deskloop.contract.errors import DeskloopError, MachineError
from tests.flows.conftest import MODEL, PREPARED, first_run
from tests.flows.desk import Desk, example_lines
from tests.flows.test_own_flow import artifacts

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def desk(tmp_path: Path, prefect: Path) -> Desk:
    made = Desk(tmp_path, example_lines(60))
    made.save()
    return made


def test_retrain_twice(trained: Desk, prefect: Path) -> None:
    from flows.retrain import retrain

    desk, first = trained, first_run(trained)
    assert first["status"] == "completed"
    assert list(first["steps"]) == [
        "ingest", "scrub", "normalize", "dedupe", "split", "encode", "base", "finetune", "evaluate",
        "promote",
    ]  # fmt: skip
    assert not any(step["reused"] for step in first["steps"].values())
    assert set(first["metrics"]) == {"base", "candidate", "unigram", "bigram"}
    assert first["metrics"]["candidate"]["bits_per_byte"] < first["metrics"]["base"]["bits_per_byte"]
    second = retrain(str(desk.file))
    folder = Path(second["model"]["folder"])
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}

    page = Path(second["report"]).read_text()
    assert "data_docs/index.html" in page
    assert (Path(second["report"]).parent / "data_docs" / "index.html").exists()
    assert first["proof"]["families_crossing"] == 0
    assert first["problems"] == second["problems"] == []
    assert [name for name, step in second["steps"].items() if not step["reused"]] == ["promote"]
    assert {name: step["datasets"] for name, step in second["steps"].items() if name != "promote"} == {
        name: step["datasets"] for name, step in first["steps"].items() if name != "promote"
    }
    assert second["metrics"] == first["metrics"]

    words = {word for line in example_lines(40) for word in re.findall(rb"[\w.]+@[\w.]+", line)}
    assert len(words) > 20
    for path in prefect.rglob("*.db*"):
        content = path.read_bytes()
        assert not [word for word in words if word in content], path.name


@pytest.mark.long
def test_the_same_weights_from_the_same_key(trained: Desk, tmp_path: Path) -> None:
    """P6, to the weights."""
    from flows.retrain import retrain

    first = first_run(trained)
    other = Desk(tmp_path / "other", example_lines(PREPARED))
    other.extra = MODEL
    other.save()
    shutil.copytree(trained.folder / "store" / "keys", other.folder / "store" / "keys")
    second = retrain(str(other.file))
    digests = [{name: step["datasets"][0]["digest"] for name, step in run["steps"].items()} for run in (first, second)]
    assert digests[0] == digests[1]


def test_a_failed_step_leaves_a_report_and_no_text(desk: Desk, prefect: Path) -> None:
    from flows.prepare import prepare

    with pytest.raises(DeskloopError, match="critical expectation") as caught:
        prepare(str(desk.file), overrides=["normalize.min_turns=40"])
    assert caught.value.exit_code == 1
    pages = list((desk.folder / "store" / "reports").glob("*/run.json"))
    document = json.loads(pages[0].read_text())
    assert document["status"] == "failed"
    assert document["failed_step"] == "normalize"
    database = sqlite3.connect(next(prefect.rglob("prefect.db")))
    messages = [row[0] or "" for row in database.execute("select state_name || coalesce(state_type, '') from flow_run")]
    assert any("Failed" in message for message in messages)
    assert artifacts()["desk-normalize"].startswith("## normalize: failed\n\nstep 'normalize' left data that fails a")
    kept = [path.read_bytes() for path in (prefect / "storage").glob("*")]
    assert not [content for content in kept if len(content) > 1000 or b"pickle" in content]


def test_steps_can_be_chosen(desk: Desk) -> None:
    from flows.prepare import prepare

    until = prepare(str(desk.file), until="normalize")
    assert list(until["steps"]) == ["ingest", "scrub", "normalize"]
    begin = prepare(str(desk.file), begin="normalize")
    assert list(begin["steps"]) == ["normalize", "dedupe", "split", "encode"]


def test_a_full_disk_is_what_a_run_says(tmp_path: Path, prefect: Path) -> None:
    from flows.prepare import prepare

    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    try:
        desk = Desk(folder / "desk", example_lines(40))
        with (folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while shutil.disk_usage(folder).free > 40_000:
                filler.write(bytes(8_192))
        desk.save()
        with pytest.raises(MachineError, match="no space is left on the device that holds") as caught:
            prepare(str(desk.file))
        assert f"{folder}/desk/store" in str(caught.value)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
