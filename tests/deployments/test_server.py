"""Run the deployments with a real server and a process worker: a scheduled run, and the notification of a failure."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deployments.house import House, wait
from tests.flows.desk import Desk, example_lines

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]
MODEL = {
    "finetune": {"max_steps": 4, "batch_tokens": 512},
    "evaluate": {"prompts": ["Where is my order?"], "max_new_tokens": 5},
}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("desk"), example_lines(60))
    made.extra = MODEL
    made.save()
    return made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, desk: Desk) -> Iterator[House]:
    one = House(tmp_path_factory.mktemp("house") / "prefect")
    try:
        one.begin(desk.file, due_in=40)
        yield one
    finally:
        one.end()


def ended(house: House, run_id: str) -> dict[str, Any]:
    wait(f"the end of {run_id}", lambda: house.flow_run(run_id)["state_type"] in ENDED, 240)
    return house.flow_run(run_id)


def no_text(desk: Desk, content: bytes) -> bool:
    """Whether no address and no customer's first words of the log are in there."""
    lines = b"\n".join(path.read_bytes() for path in desk.folder.glob("log/*.jsonl"))
    words = set(re.findall(rb"[\w.]+@[\w.]+", lines)) | set(re.findall(rb'"text": ?"([^"\\]{30,})', lines))
    assert len(words) > 60
    return not any(word in content for word in words)


def test_a_night_begins_and_completes_by_itself(house: House, desk: Desk) -> None:
    wait("the scheduler", lambda: any(run["auto_scheduled"] for run in house.flow_runs()))
    nights = [run for run in house.flow_runs() if run["auto_scheduled"]]
    night = ended(house, nights[0]["id"])
    assert night["state_type"] == "COMPLETED", (house.home / "worker.log").read_text()[-3000:]
    assert night["created_by"]["type"] == "SCHEDULE"
    console = (house.home / "worker.log").read_text()
    assert len(re.findall(r"\bdedupe .* in .* out", console)) == 1  # once for each run of a step
    assert re.fullmatch(r"desk retrain \d{4}-\d\d-\d\d \d\d:\d\d", night["name"])
    assert night["parameters"] == {"pipeline": str(desk.file)}
    (page,) = (desk.folder / "store" / "reports").glob("*/index.html")
    assert "Where is my order?" in page.read_text()
    assert len(nights) > 1  # the next ones are on the calendar
    assert not any(f"retrain {end}" in body for body in house.receiver.bodies for end in ("failed", "crashed"))


def test_by_hand_with_parameters(house: House, desk: Desk) -> None:
    run = ended(house, house.run("prepare/desk-data", until="normalize", overrides=["normalize.max_chars=9000"]))
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"]["until"] == "normalize"
    assert len(house.left()) >= 2  # what must be gone in the end is seen while it is there


def test_two_runs_of_a_store_wait_for_each_other(house: House) -> None:
    ids = [house.run("retrain/desk-by-hand"), house.run("prepare/desk-data")]
    first, second = (ended(house, run_id) for run_id in ids)
    assert (first["state_type"], second["state_type"]) == ("COMPLETED", "COMPLETED")
    assert first["end_time"] <= second["start_time"]


def test_a_failed_run_is_told_without_its_words(house: House, desk: Desk) -> None:
    run = ended(house, house.run("prepare/desk-data", overrides=["normalize.min_turns=40"]))
    assert run["state_type"] == "FAILED"
    message = house.message(run["id"])
    assert "deskloop: prepare failed" in message
    assert f"/runs/flow-run/{run['id']}" in message
    assert no_text(desk, message.encode())


def test_a_blocked_gate_is_told(house: House, desk: Desk) -> None:
    """Four steps of training are not enough for any gate, so that the night itself has one to tell."""
    night = min(path.name for path in (desk.folder / "store" / "reports").iterdir())
    message = house.message(f"Run {night}")
    assert "deskloop: the candidate of desk was not promoted" in message
    assert "bigram" in message
    assert no_text(desk, message.encode())


def test_a_killed_run_is_told(house: House, desk: Desk) -> None:
    run_id = house.run("prepare/desk-data", rebuild=True)
    wait("the run", lambda: house.flow_run(run_id)["state_type"] == "RUNNING")
    os.kill(house.flow_process(run_id), signal.SIGKILL)
    assert ended(house, run_id)["state_type"] == "CRASHED"
    assert "deskloop: prepare crashed" in house.message(run_id)
    again = ended(house, house.run("prepare/desk-data"))  # its place is free again
    assert again["state_type"] == "COMPLETED"


def test_no_customer_text_in_prefect(house: House, desk: Desk) -> None:
    files = [path for path in house.home.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in files)
    assert not no_text(desk, example_lines(20)[-1])
    for path in files:
        assert no_text(desk, path.read_bytes()), path.name
    assert no_text(desk, "\n".join(house.receiver.bodies).encode())
