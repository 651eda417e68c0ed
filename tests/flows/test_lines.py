"""Lines for the user: once on the terminal, whether or not Prefect shows its log there, and once on the server."""

import logging
import sys
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run

from cli import run
from flows.opened import tell

pytestmark = pytest.mark.filterwarnings("default")
LINE = "  scrub        12 in 11 out"


@flow
def reporting() -> str:
    """Report one line; returns the run's id."""
    tell(LINE)
    return str(flow_run.get_id())


def lines_on_server(run_id: str) -> list[str]:
    APILogWorker.drain_all(timeout=10)
    with get_client(sync_client=True) as client:
        logs = client.request("POST", "/logs/filter", json={"logs": {"flow_run_id": {"any_": [run_id]}}}).json()
    return [log["message"] for log in logs if "scrub" in log["message"]]


@pytest.mark.parametrize("level", [logging.CRITICAL, logging.INFO])
def test_a_line_appears_once(level: int, prefect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(level)  # CRITICAL as `deskloop run` sets it; INFO as in a worker
    console.setFormatter(logging.Formatter("log: %(message)s"))
    logger = logging.getLogger("prefect")
    logger.addHandler(console)
    try:
        run_id = reporting()
    finally:
        logger.removeHandler(console)
    printed = [line for line in capsys.readouterr().err.splitlines() if "scrub" in line]
    assert printed == [LINE if level == logging.CRITICAL else f"log: {LINE.strip()}"]
    assert lines_on_server(run_id) == [LINE.strip()]


def test_a_line_outside_of_a_run_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    tell(LINE)
    assert capsys.readouterr().err == f"{LINE}\n"


def test_the_summary_prints_the_bits_per_byte_that_were_measured(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"base": {"bits_per_byte": 1.5}, "candidate": {"psi": 0.2}}
    run._summarize({"metrics": metrics, "model": None, "report": "index.html"})
    out, err = capsys.readouterr()
    assert out == "report: index.html\n"
    assert [line.split()[:2] for line in err.splitlines()] == [["base", "1.500"]]


def test_a_line_below_the_level_of_the_log_is_printed(prefect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = logging.StreamHandler(sys.stderr)
    logger, level = logging.getLogger("prefect.flow_runs"), logging.getLogger("prefect.flow_runs").level
    logger.addHandler(console)
    logger.setLevel(logging.WARNING)
    try:
        reporting()
    finally:
        logger.removeHandler(console)
        logger.setLevel(level)
    assert capsys.readouterr().err == f"{LINE}\n"
