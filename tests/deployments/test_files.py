"""The deployments and automations by themselves; tests/deployments/test_server.py runs them."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest

from deployments.automations import automations
from deskloop.run.notify import GATE_BLOCKED, gate_blocked
from deskloop.run.prefect_server import TEMPORARY

pytestmark = pytest.mark.filterwarnings("default")
ROOT = Path(__file__).parents[2]
BLOCK = UUID("12345678-1234-5678-1234-567812345678")
PIPELINE = ROOT / "examples" / "support" / "pipeline.yaml"
FLOW_RUN = {"prefect.resource.id": f"prefect.flow-run.{uuid4()}", "prefect.resource.name": "a run"}


def named(name: str) -> Any:
    """An automation of the file, as the server holds it."""
    from prefect.server.events.schemas.automations import AutomationCreate

    (one,) = [automation for automation in automations(BLOCK) if name in automation.name]
    return AutomationCreate.model_validate(one.model_dump(mode="json"))


def received(event: str, resource: Mapping[str, str], *tags: str, **content: Any) -> Any:
    from prefect.server.events.schemas.events import ReceivedEvent

    related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in tags]
    return ReceivedEvent(
        id=uuid4(), occurred=datetime.now(UTC), event=event, resource=resource, related=related, **content
    )


def deployed() -> list[Any]:
    from deployments.schedule import deployments, nightly

    return deployments(PIPELINE, "support", nightly("30 2 * * *", "Europe/Berlin"), "deskloop")


def test_the_three_deployments() -> None:
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy as Strategy
    from prefect.flows import load_flow_from_entrypoint

    assert [(one.full_name, one.entrypoint, bool(one.schedules), one.concurrency_options.collision_strategy)
            for one in deployed()] == [
        ("retrain/support-nightly", "deskloop.deployed.retrain", True, Strategy.CANCEL_NEW),
        ("retrain/support-by-hand", "deskloop.deployed.retrain", False, Strategy.ENQUEUE),
        ("prepare/support-data", "deskloop.deployed.prepare", False, Strategy.ENQUEUE),
    ]  # fmt: skip
    for deployment in deployed():
        assert deployment.parameters == {"pipeline": str(PIPELINE)}
        assert deployment.tags == ["deskloop"]  # the automations look for it
        assert deployment.concurrency_limit == 1
        # Without a folder to work in, Prefect would copy the one of the worker, and a store in it, for each run.
        assert deployment.job_variables["working_dir"] == str(PIPELINE.parent)
        flow = load_flow_from_entrypoint(deployment.entrypoint)
        assert flow.name == deployment.flow_name
        assert flow.validate_parameters(deployment.parameters)["pipeline"] == str(PIPELINE)


def test_every_deployment_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "schedule.md").read_text()
    for deployment in deployed():
        assert f"`{deployment.full_name}`" in page


def test_the_nightly_run_is_once_a_night_in_a_timezone() -> None:
    from prefect.server.schemas.schedules import CronSchedule

    (entry,) = deployed()[0].schedules
    schedule = CronSchedule(**entry.schedule.model_dump())
    winter = datetime(2026, 1, 1, tzinfo=UTC)
    first, second = asyncio.run(schedule.get_dates(2, start=winter))
    assert (second - first).total_seconds() == 86_400
    assert (first.astimezone(UTC).hour, first.minute) == (1, 30)
    assert schedule.timezone == "Europe/Berlin"


def test_the_automations_send_to_the_chosen_block() -> None:
    ids = [
        action.block_document_id
        for automation in automations(BLOCK)
        for action in automation.actions
        if action.type == "send-notification"
    ]
    assert ids == [BLOCK] * 3
    (silent,) = automations(None)  # without a receiver, nothing is left to be sent
    assert [action.type for action in silent.actions] == ["change-flow-run-state"]


def test_no_message_quotes_an_error() -> None:
    """Our own errors hold no text, but one that comes from elsewhere may: the way to it is sent, not its words."""
    for automation in automations(BLOCK):
        for action in automation.actions:
            words = str(action.model_dump().get("body", "")) + str(action.model_dump().get("subject", ""))
            assert "state.message" not in words
            assert "state_message" not in words
            assert "state-message" not in words


@pytest.mark.parametrize("state", ["Failed", "Crashed"])
def test_a_run_that_failed_is_told(state: str) -> None:
    trigger = named("failed").trigger
    assert trigger.covers(received(f"prefect.flow-run.{state}", FLOW_RUN, "deskloop"))
    assert not trigger.covers(received("prefect.flow-run.Completed", FLOW_RUN, "deskloop"))
    assert not trigger.covers(received(f"prefect.flow-run.{state}", FLOW_RUN, "someone-else"))


class Events(BaseHTTPRequestHandler):
    """As much of Prefect's server as takes events; the status of its answers can be set."""

    sent: ClassVar[list[Any]] = []
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.end_headers()

    def do_GET(self) -> None:  # the version that a client asks for first
        body = json.dumps(version("prefect")).encode()
        self.send_response(404 if "csrf" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def events() -> Iterator[type[Events]]:
    """The address in Prefect's settings is that of a server that takes events."""
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    Events.sent.clear()
    Events.status = 204
    with HTTPServer(("127.0.0.1", 0), Events) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield Events
        server.shutdown()
        thread.join()


def test_a_blocked_gate_is_told_in_names_and_figures(events: type[Events]) -> None:
    from prefect.server.utilities.user_templates import render_user_template_sync

    gates = ["better_than_base: 0.01 of 0.02", "length: 9 of 8"]
    assert gate_blocked("20260101T000000-abc", "desk", gates, "/r/index.html")
    ((path, (sent,)),) = events.sent
    assert path == "/api/events"
    event = received(sent["event"], sent["resource"], payload=sent["payload"])
    assert event.event == GATE_BLOCKED

    automation = named("gate")
    assert automation.trigger.covers(event)
    assert not named("failed").trigger.covers(event)
    (action,) = automation.actions
    assert (
        render_user_template_sync(action.subject, {"event": event})
        == "deskloop: the candidate of desk was not promoted"
    )
    assert render_user_template_sync(action.body, {"event": event}).splitlines() == [
        "Run 20260101T000000-abc completed, but these gates failed:",
        "better_than_base: 0.01 of 0.02",
        "length: 9 of 8",
        "Report: /r/index.html",
    ]


def test_a_message_that_no_server_took_is_not_taken_for_sent(events: type[Events]) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    events.status = 500
    assert not gate_blocked("run", "desk", ["a gate"], "/r/index.html")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert not gate_blocked("run", "desk", ["a gate"], "/r/index.html")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert not gate_blocked("run", "desk", ["a gate"], "/r/index.html")


def test_a_server_that_ends_with_the_command_is_not_told(events: type[Events], monkeypatch: pytest.MonkeyPatch) -> None:
    """`deskloop run` in a terminal would otherwise use up the one message that the schedule has to send."""
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv(TEMPORARY, str(PREFECT_API_URL.value()))
    assert not gate_blocked("run", "desk", ["a gate"], "/r/index.html")
    assert events.sent == []


def test_a_silent_run_is_ended_and_one_that_does_not_begin_is_told() -> None:
    for name, after, expected in (("silent", "heartbeat", "Completed"), ("start", "Late", "Running")):
        trigger = named(name).trigger
        assert trigger.posture == "Proactive"
        assert f"prefect.flow-run.{after}" in trigger.after
        assert f"prefect.flow-run.{expected}" in trigger.expect
        assert trigger.covers(received(f"prefect.flow-run.{expected}", FLOW_RUN, "deskloop"))
