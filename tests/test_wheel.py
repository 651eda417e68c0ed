"""A wheel of deskloop has all that the checkout has, and `deskloop deploy` works from it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deskloop.run.packages import PACKAGES
from deskloop.run.prefect_server import TEMPORARY
from tests.flows.desk import Desk

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]
ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index"]


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        if name.split("/")[0] in ("deskloop", *PACKAGES) or "/" not in name:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name)
    wheel = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "-w", str(folder), str(folder / "source")]
    subprocess.run(wheel, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return path


def test_it_has_every_file_of_the_packages(wheel: Path) -> None:
    expected = {name for name in tracked() if name.split("/")[0] in ("deskloop", *PACKAGES)}
    missing = expected - set(zipfile.ZipFile(wheel).namelist())
    assert missing == {"deployments/install-augmenters.sh"}  # which the Makefile of a checkout runs


def test_deploy_works_from_it(wheel: Path, prefect: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run([*PIP, "install", *OFFLINE, "--target", str(site), str(wheel)], check=True, timeout=300)
    desk = Desk(tmp_path / "desk", [b"{}"])
    desk.save()
    environment = {name: value for name, value in os.environ.items() if name != TEMPORARY} | {"PYTHONPATH": str(site)}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=desk.folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    load = "from prefect.flows import load_flow_from_entrypoint as load; print(load('deskloop.deployed.retrain').name)"
    assert python("-c", f"import deployments; print(deployments.__file__); {load}").splitlines() == [
        str(site / "deployments" / "__init__.py"),
        "retrain",
    ]
    output = python("-m", "deskloop", "deploy", "--notify-url", "http://127.0.0.1:9/hook")
    for deployment in ("retrain/desk-nightly", "retrain/desk-by-hand", "prepare/desk-data"):
        assert f"deployment  {deployment}  created" in output
    assert output.count("automation  deskloop: ") == 4
