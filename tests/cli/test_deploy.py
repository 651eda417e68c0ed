"""`deskloop deploy` against a real server: what it registers, a second call, and what it refuses."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client

from cli.deploy import deploy_command
from deskloop.contract.errors import ConfigError
from deskloop.run.prefect_server import TEMPORARY
from tests.flows.desk import Desk

pytestmark = pytest.mark.filterwarnings("default")
ROOT = Path(__file__).parents[2]
Deploy = Callable[..., str]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path, [b"{}"])
    made.save()
    return made


@pytest.fixture
def deploy(desk: Desk, prefect: Path, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """The command, with the session's server taken for a lasting one; its output."""
    monkeypatch.delenv(TEMPORARY)

    def run(*options: str) -> str:
        result = CliRunner().invoke(deploy_command, ["-c", str(desk.file), *options], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    return run


def answer(path: str, content: Any = None) -> Any:
    with get_client(sync_client=True) as client:
        return client.request("GET" if content is None else "POST", path, json=content).json()


def test_a_second_call_updates_what_the_first_one_made(deploy: Deploy, desk: Desk, tmp_path: Path) -> None:
    first = deploy("--pool", "own", "--timezone", "Europe/Berlin")
    assert "work pool   own  created, one run at a time" in first
    assert "deployment  retrain/nightly  created" in first
    assert "no messages are sent: pass --notify-url" in first
    assert first.endswith("  prefect worker start --pool own\n  prefect deployment run retrain/by-hand --watch\n")
    pool = answer("/work_pools/own")
    assert (pool["type"], pool["concurrency_limit"]) == ("process", 1)
    nightly = answer("/deployments/name/retrain/nightly")
    (schedule,) = nightly["schedules"]
    assert schedule["schedule"] | {"day_or": 1} == {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "day_or": 1}
    assert nightly["parameters"] == {"pipeline": str(desk.file)}
    assert nightly["parameter_openapi_schema"]["properties"]["sample"]["description"].startswith("Read only the first")
    with get_client(sync_client=True) as client:
        client.update_deployment_schedule(UUID(nightly["id"]), UUID(schedule["id"]), active=False)

    desk.file.rename(tmp_path / "other.yaml")
    desk.file.symlink_to(tmp_path / "other.yaml")
    second = deploy("--pool", "own", "--cron", "15 3 * * *", "--notify-url", "http://127.0.0.1:9/hook")
    assert "work pool   own  exists, concurrency limit 1" in second
    changes = f"updated, its pipeline was {desk.file}, its schedule stays paused"
    assert f"deployment  retrain/nightly  {changes}" in second
    again = answer("/deployments/name/retrain/nightly")
    assert again["id"] == nightly["id"]
    assert [(one["schedule"]["cron"], one["active"]) for one in again["schedules"]] == [("15 3 * * *", False)]
    assert "no messages" not in second
    third = deploy("--pool", "own")  # the receiver is kept
    assert third.count("automation  deskloop: ") == 4
    assert "created" not in third
    names = [one["name"] for one in answer("/automations/filter", {})]
    assert len([name for name in names if name.startswith("deskloop: ")]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cron", "99 * * *"), "--cron: Invalid cron string"),
        (("--timezone", "Mars/Base"), "--timezone: Invalid timezone"),
        (("--notify-block", "slack-webhook/none"), "--notify-block slack-webhook/none: there is no such block"),
        (("--notify-block", "a/b", "--notify-url", "http://x"), "exclude each other"),
    ],
)
def test_wrong_options_are_refused(options: tuple[str, ...], message: str, deploy: Deploy) -> None:
    with pytest.raises(ConfigError, match=message):
        deploy(*options)


def test_a_pool_of_another_type_is_refused(deploy: Deploy) -> None:
    answer("/work_pools/", {"name": "boxes", "type": "docker"})
    with pytest.raises(ConfigError, match="its type is docker, but the deployments need a process pool"):
        deploy("--pool", "boxes")


def test_a_folder_that_would_shadow_deskloop_is_refused(deploy: Deploy, desk: Desk) -> None:
    (desk.folder / "tasks.py").touch()
    with pytest.raises(ConfigError, match=r"tasks\.py shadows deskloop's own `tasks`"):
        deploy()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no Prefect server is configured; start one (`prefect server start`) and set PREFECT_API_URL"),
        ("http://127.0.0.1:9/api", "the Prefect server at http://127.0.0.1:9/api cannot be reached."),
    ],
)
def test_without_a_server_it_says_what_to_do(url: str, message: str, desk: Desk, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect")} | ({"PREFECT_API_URL": url} if url else {})
    command = [sys.executable, "-m", "deskloop", "deploy", "-c", str(desk.file)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == (1 if url else 2)
    assert message in done.stderr
    assert done.stdout == ""
