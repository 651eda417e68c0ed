"""Expensive initial states, built once per session by the first worker that needs them, and copied for each test."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.flows.desk import Desk, example_lines

PREPARED = 150  # lines of the example log
MODEL = {
    "finetune": {"max_steps": 8, "batch_tokens": 1024},
    "evaluate": {"prompts": ["Where is my order?"], "max_new_tokens": 8, "temperature": 0, "resamples": 200},
    "promote": {"better_than": ["base"], "min_families": 5},
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk whose data steps have run on the first `PREPARED` lines; one per worker, not modified."""

    def make(folder: Path) -> None:
        Desk(folder, example_lines(PREPARED)).prepare()

    return Desk(_made_once(tmp_path_factory, "prepared", make), None)


@pytest.fixture
def prepared_desk(prepared: Desk, tmp_path: Path) -> Desk:
    """A new desk for this test whose data steps have run."""
    return prepared.copied_to(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, prefect: Path) -> Desk:
    """A desk on which `retrain` has run once, with `MODEL`; `first_run` is that run's document."""

    def make(folder: Path) -> None:
        from flows.retrain import retrain

        desk = Desk(folder, example_lines(PREPARED))
        desk.extra = MODEL
        desk.save()
        (folder / "document.json").write_text(json.dumps(retrain(str(desk.file))))

    desk = Desk(_made_once(tmp_path_factory, "trained", make), None)
    desk.extra = MODEL
    return desk


@pytest.fixture
def trained_desk(trained: Desk, tmp_path: Path) -> Desk:
    """A new desk for this test on which `retrain` has run once."""
    return trained.copied_to(tmp_path)


def first_run(desk: Desk) -> dict[str, Any]:
    """Return the document of the first run of a trained desk; its paths are those of the original desk."""
    document: dict[str, Any] = json.loads((desk.folder / "document.json").read_text())
    return document


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return this worker's copy of a folder that the first worker builds."""
    base = factory.getbasetemp()
    session = base.parent if base.name.startswith("popen-") else base
    folder = session / f"shared-{name}"
    with FileLock(session / f"{name}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "made").touch()
    return Path(shutil.copytree(folder, factory.mktemp(name), dirs_exist_ok=True))
