"""Scrubbing and preparation need no extra; a step that needs a missing one is refused with the install command."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.contract.extras import EXTRAS, missing_extra, require_extra
from deskloop.engine.firewall import explain
from tests.flows.desk import Desk, example_lines

ROOT = Path(__file__).parents[3]
COMMAND = ["-m", "deskloop"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has every package of ours but those of the extras, metadata included."""
    folder = tmp_path_factory.mktemp("site-packages")
    absent = tuple(package for packages in EXTRAS.values() for package in packages)
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(absent):
            (folder / entry.name).symlink_to(entry)
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}


def run(bare: dict[str, str], *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", *arguments]  # -S: without the site-packages of the virtual environment
    return subprocess.run(command, env=bare, input=text, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_scrub_needs_no_extra(bare: dict[str, str]) -> None:
    result = run(bare, *COMMAND, "scrub", "-q", text='{"id": "1", "text": "mail ann@example.com"}\n')
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["text"] == "mail <EMAIL_ADDRESS_1>"


@pytest.mark.long
def test_preparation_needs_no_extra(bare: dict[str, str], tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", example_lines(60))
    desk.steps.insert(-2, {"augment": {"generators": [{"kind": "noise"}], "target": 0.5}})
    desk.save()
    script = (
        "import sys; from tests.flows.desk import *; loaded = load_pipeline(Path(sys.argv[1]), stages())\n"
        "with open_run(loaded, print) as run:\n    for step in loaded.steps: run_step(run, step)\n"
        "import importlib.util; assert importlib.util.find_spec('torch') is None\n"
        "assert versions(run)['train_encoded'].rows > 0"
    )
    result = run(bare, "-c", script, str(desk.file))
    assert result.returncode == 0, result.stderr


def test_training_without_its_extra_is_refused_before_anything_runs(bare: dict[str, str], tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", example_lines(5))
    desk.extra = {"finetune": {"epochs": 1}}
    desk.save()
    result = run(bare, *COMMAND, "run", "-c", str(desk.file))
    assert result.returncode == 2, result.stderr
    for step in ("base", "finetune", "evaluate"):
        assert f"step '{step}': torch is not installed" in result.stderr
    assert "pip install 'deskloop[train]'" in result.stderr
    assert not (tmp_path / "desk" / "store").exists()


def test_a_source_on_s3_without_its_extra_is_refused(bare: dict[str, str], tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", example_lines(5))
    desk.steps[0]["ingest"]["sources"][0]["path"] = "s3://bucket/log/*.jsonl"
    desk.save()
    result = run(bare, *COMMAND, "prepare", "-c", str(desk.file))
    assert result.returncode == 2, result.stderr
    assert "s3fs is not installed. Install it with: pip install 'deskloop[s3]'" in result.stderr


def test_a_failed_import_names_its_extra() -> None:
    advice = "torch is not installed. Install it with: pip install 'deskloop[train]'"
    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert missing_extra(error) == explain(error) == advice
    assert missing_extra(ModuleNotFoundError("No module named 'toml'", name="toml")) is None
    assert missing_extra(ValueError("torch")) is None


def test_installed_extras_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("train", "step 'base'")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"step 'base' has 1 problem:\n  - torch is not installed"):
        require_extra("train", "step 'base'")
