"""The event that a candidate was not promoted, on which an automation of Prefect sends a message.

Prefect itself detects runs that failed or crashed. An event leaves the machine with the message, so it holds ids, names
and figures only (P1).
"""

from collections.abc import Sequence

GATE_BLOCKED = "deskloop.gate.blocked"


def gate_blocked(run_id: str, pipeline: str, gates: Sequence[str], report: str) -> bool:
    """Send the event that a candidate was not promoted in a run that completed.

    The event goes to the server in one request and not through Prefect's queue, which is emptied in the background
    and drops what it cannot deliver: a message is recorded as sent only if it was.

    Args:
        run_id: the run whose candidate was blocked.
        pipeline: its pipeline's name.
        gates: one line for each gate that did not pass: its name, its value and its threshold.
        report: the page that shows why.
    Returns:
        True if a server that outlives this process accepted it. A temporary one has no automations.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.events import Event

    from deskloop.run.prefect_server import lasting

    if not lasting():
        return False
    event = Event(
        event=GATE_BLOCKED,
        resource={
            "prefect.resource.id": f"deskloop.run.{run_id}",
            "prefect.resource.name": run_id,
            "deskloop.pipeline": pipeline,
        },
        payload={"gates": list(gates), "report": report},
    )
    try:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
    except HTTPError:
        return False
    return True
