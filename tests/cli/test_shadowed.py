"""Packages of the user's own named `flows`, `tasks`, `cli` or `expectations`, before ours on the Python path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOAD = "from prefect.flows import load_flow_from_entrypoint as load; print(load('deskloop.deployed.retrain').name)"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder that Python finds modules in before deskloop's, as it does for `python -m`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "name", ["flows/__init__.py", "tasks.py", "cli.py", "expectations/__init__.py", "deployments.py"]
)
def test_the_command_names_what_shadows_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    done = run(tmp_path, "-m", "deskloop", "run")
    assert (done.returncode, done.stdout) == (2, "")
    package = name.split("/")[0].removesuffix(".py")
    assert done.stderr == (
        "deskloop: the Python path has 1 problem:\n"
        f"  - {tmp_path / name} shadows deskloop's own `{package}` in {ROOT}: rename it, "
        f"run deskloop from another folder, or take {tmp_path} out of PYTHONPATH\n"
    )


def test_a_folder_without_modules_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    done = run(tmp_path, "-m", "deskloop", "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_deployed_flow_names_what_shadows_it(tmp_path: Path) -> None:
    assert run(tmp_path, "-c", LOAD).stdout == "retrain\n"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    done = run(tmp_path, "-c", LOAD)
    assert done.returncode == 1
    assert f"{tmp_path}/flows/__init__.py shadows deskloop's own `flows`" in done.stderr.splitlines()[-1]


def test_the_script_is_the_module_that_checks() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"deskloop": "deskloop.__main__:main"}
