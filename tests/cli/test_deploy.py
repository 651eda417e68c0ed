"""`deskloop deploy` against a real server: what it registers, a second call or pipeline, and what it refuses."""

import json
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


def saved(folder: Path, name: str) -> Desk:
    """Write a pipeline of this name to a folder."""
    desk = Desk(folder, [b"{}"])
    desk.save()
    desk.file.write_text(json.dumps(json.loads(desk.file.read_text()) | {"name": name}))
    return desk


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A name for a pipeline that no other test on the same server deploys."""
    return tmp_path.name.lower()


@pytest.fixture
def desk(tmp_path: Path, name: str) -> Desk:
    return saved(tmp_path, name)


@pytest.fixture
def deploy(desk: Desk, prefect: Path, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """The command, with the session's server taken for a lasting one; its output."""
    monkeypatch.delenv(TEMPORARY)

    def run(*options: str, file: Path = desk.file) -> str:
        result = CliRunner().invoke(deploy_command, ["-c", str(file), *options], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    return run


def answer(path: str, content: Any = None) -> Any:
    with get_client(sync_client=True) as client:
        return client.request("GET" if content is None else "POST", path, json=content).json()


def automations() -> list[Any]:
    return [entry for entry in answer("/automations/filter", {}) if entry["name"].startswith("deskloop: ")]


def test_a_second_call_updates_what_the_first_one_made(deploy: Deploy, desk: Desk, name: str, tmp_path: Path) -> None:
    first = deploy("--pool", "own", "--timezone", "Europe/Berlin")
    assert "work pool   own  created, one run at a time" in first
    assert f"deployment  retrain/{name}-nightly  created" in first
    assert "no messages are sent: pass --notify-url" in first
    assert first.endswith(
        f"  prefect worker start --pool own\n  prefect deployment run retrain/{name}-by-hand --watch\n"
    )
    pool = answer("/work_pools/own")
    assert (pool["type"], pool["concurrency_limit"]) == ("process", 1)
    nightly = answer(f"/deployments/name/retrain/{name}-nightly")
    (schedule,) = nightly["schedules"]
    assert schedule["schedule"] | {"day_or": 1} == {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "day_or": 1}
    assert nightly["parameters"] == {"pipeline": str(desk.file)}
    assert nightly["parameter_openapi_schema"]["properties"]["sample"]["description"].startswith("Read only the first")
    with get_client(sync_client=True) as client:
        client.update_deployment_schedule(UUID(nightly["id"]), UUID(schedule["id"]), active=False)

    desk.file.rename(tmp_path / "other.yaml")
    desk.file.symlink_to(tmp_path / "other.yaml")
    options = ("--pool", "own", "--cron", "15 3 * * *", "--notify-url", "http://127.0.0.1:9/hook")
    with pytest.raises(ConfigError, match=rf"retrain/{name}-nightly on this server runs {desk.file}\n"):
        deploy(*options)
    assert answer(f"/deployments/name/retrain/{name}-nightly")["updated"] == nightly["updated"]
    second = deploy(*options, "--replace")
    assert "work pool   own  exists, concurrency limit 1" in second
    changes = f"updated, its pipeline was {desk.file}, its schedule stays paused"
    assert f"deployment  retrain/{name}-nightly  {changes}" in second
    again = answer(f"/deployments/name/retrain/{name}-nightly")
    assert again["id"] == nightly["id"]
    assert [(entry["schedule"]["cron"], entry["active"]) for entry in again["schedules"]] == [("15 3 * * *", False)]
    assert "no messages" not in second
    third = deploy("--pool", "own")  # the receiver is kept
    assert third.count("automation  deskloop: ") == 4
    assert "created" not in third
    assert len(automations()) == 4


def test_pipelines_share_a_server(deploy: Deploy, tmp_path: Path) -> None:
    files = {name: saved(tmp_path / name, name).file for name in ("sales", "support")}
    for name, file in files.items():
        assert deploy("--notify-url", "http://127.0.0.1:9/hook", file=file).count(f"/{name}-") == 4
    for name, file in files.items():
        for deployment in (f"retrain/{name}-nightly", f"retrain/{name}-by-hand", f"prepare/{name}-data"):
            found = answer(f"/deployments/name/{deployment}")
            assert found["parameters"] == {"pipeline": str(file)}
            assert found["job_variables"]["working_dir"] == str(file.parent)
            assert found["tags"] == ["deskloop"]  # which the one set of automations matches
            assert len(found["schedules"]) == (1 if deployment.endswith("nightly") else 0)
    assert len(automations()) == 4


def test_a_name_that_another_file_has_is_refused_before_anything_is_registered(
    deploy: Deploy, desk: Desk, name: str, tmp_path: Path
) -> None:
    deploy()
    with pytest.raises(ConfigError) as refused:
        deploy("--pool", "unmade", file=saved(tmp_path / "copy", name).file)
    names = (f"retrain/{name}-nightly", f"retrain/{name}-by-hand", f"prepare/{name}-data")
    assert refused.value.problems == [
        *(f"{deployment} on this server runs {desk.file}" for deployment in names),
        "give this pipeline another `name:`, or pass --replace to deploy it in place of the other",
    ]
    assert answer(f"/deployments/name/retrain/{name}-nightly")["parameters"] == {"pipeline": str(desk.file)}
    assert "unmade" not in [pool["name"] for pool in answer("/work_pools/filter", {})]


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
