"""Steps under a real Prefect server: a flow of one's own, what Prefect shows of each step, and what is tried again."""

import errno
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError, MachineError
from tests.flows.desk import Desk, example_lines

pytestmark = pytest.mark.filterwarnings("default")
ROOT = Path(__file__).parents[2]
SERVER = "http"


@pytest.fixture
def own_flow(tmp_path: Path) -> ModuleType:
    """The example of docs/flows.md as a module."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "flows.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "own.py").write_text(block)
    spec = importlib.util.spec_from_file_location("own", tmp_path / "own.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs_of(flow_run_id: str) -> list[tuple[str, str, str, set[str]]]:
    """(task, state, its type, tags) of a flow run's tasks in their order."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import TaskRunSort

    with get_client(sync_client=True) as client:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        found = client.read_task_runs(flow_run_filter=chosen, sort=TaskRunSort.EXPECTED_START_TIME_ASC)
    return [(one.name.split("-")[0], one.state.name, one.state.type.value, set(one.tags)) for one in found]


def artifacts() -> dict[str, str]:
    """Key -> content of the latest artifact."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        response = client.request("POST", "/artifacts/latest/filter", json={"limit": 200})
    return {one["key"]: str(one["data"]) for one in response.json() if one["key"]}


def last_run(store: Path) -> str:
    from deskloop.store.catalog import Catalog

    return Catalog(store / "catalog").in_order()[-1].flow_run_id


def test_a_flow_of_ones_own_with_a_task_between_two_steps(tmp_path: Path, prefect: Path, own_flow: ModuleType) -> None:
    desk = Desk(tmp_path / "desk", example_lines(60))
    desk.save()
    document = own_flow.careful(str(desk.file))
    assert document["status"] == "completed"
    first = runs_of(last_run(desk.folder / "store"))
    assert [name for name, *_ in first] == ["ingest", "scrub", "normalize", "check_labels", "dedupe", "split", "encode"]
    assert {(state, kind) for _, state, kind, _ in first} == {("Completed", "COMPLETED")}
    assert first[1][3] == {"deskloop"}
    shown = artifacts()
    assert {f"desk-{name}" for name in ("ingest", "scrub", "normalize", "dedupe", "split", "encode", "report")} <= set(
        shown
    )
    assert "| `scrubbed@1` |" in shown["desk-scrub"]
    assert "Expectations: " in shown["desk-scrub"]
    assert Path(document["report"]).resolve().as_uri() in shown["desk-report"]

    @__import__("prefect").flow
    def again() -> str:
        from prefect.runtime import flow_run

        own_flow.careful.fn(str(desk.file))
        return str(flow_run.get_id())

    second = {name: state for name, state, *_ in runs_of(again())}
    assert second == dict.fromkeys(["ingest", "scrub", "normalize", "dedupe", "split", "encode"], "Cached") | {
        "check_labels": "Completed"
    }


def interrupted(monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int) -> list[str]:
    """Make the engine fail so often before it works; returns the steps it was called for."""
    from deskloop.engine.engine import Engine

    called: list[str] = []
    whole = Engine.run

    def run(self: Engine, step: Any) -> Any:
        called.append(step.name)
        if step.name == "scrub" and called.count("scrub") <= times:
            raise error
        return whole(self, step)

    monkeypatch.setattr(Engine, "run", run)
    monkeypatch.setattr("flows.steps.BACKOFF", 0)
    return called


def test_a_store_that_is_briefly_away_is_tried_again(
    tmp_path: Path, prefect: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.prepare import prepare

    desk = Desk(tmp_path, example_lines(40))
    desk.save()
    called = interrupted(monkeypatch, OSError(errno.ESTALE, "Stale file handle"), 2)
    document = prepare(str(desk.file), until="normalize")
    assert document["status"] == "completed"
    assert called == ["ingest", "scrub", "scrub", "scrub", "normalize"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ConfigError("no such option"), ConfigError),
        (OSError(errno.ENOSPC, "No space left on device"), MachineError),
        (OSError(errno.ESTALE, "Stale file handle"), MachineError),
    ],
)
def test_what_another_attempt_does_not_help_fails_at_once(
    error: Exception, raised: type[Exception], tmp_path: Path, prefect: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.prepare import prepare
    from flows.steps import RETRIES

    desk = Desk(tmp_path, example_lines(40))
    desk.save()
    called = interrupted(monkeypatch, error, 99)
    with pytest.raises(raised):
        prepare(str(desk.file), until="scrub")
    attempts = 1 + RETRIES if getattr(error, "errno", None) == errno.ESTALE else 1
    assert called == ["ingest", *["scrub"] * attempts]
