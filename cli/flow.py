"""Run a Prefect flow from the command line: a server for it, signals that end it in order, and nothing left behind."""

import os
import signal
from importlib import import_module
from typing import Any

from deskloop.run.interrupt import ended_by
from deskloop.run.prefect_server import connected


def run_flow(name: str, **arguments: Any) -> dict[str, Any]:
    """Run the flow `flows.<name>.<name>`; returns its document.

    Raises:
        MachineError: there is no Prefect server to run it under.
    """
    settle_environment()
    with ended_by(signal.SIGINT), connected() as wait_for_server:
        flow = getattr(import_module(f"flows.{name}"), name)
        wait_for_server()
        document: dict[str, Any] = flow(**arguments)
    return document


def settle_environment() -> None:
    """Keep Prefect's log off the terminal, as deskloop reports progress itself, and turn telemetry off.

    Torch's threads wait without spinning, which slows a shared machine down.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
