"""What a run tells the outside: an event in Prefect, on which an automation sends a message to whoever is on duty.

A failed or crashed run needs nothing from here, Prefect notices it by itself. An event leaves the machine with the
message, so it holds ids, names and figures only (P1).
"""

from collections.abc import Sequence

GATE_BLOCKED = "deskloop.gate.blocked"


def gate_blocked(run_id: str, pipeline: str, gates: Sequence[str], report: str) -> bool:
    """Send the event that a candidate was not promoted; the run itself went well.

    The event goes to the server in one request and not through Prefect's queue, which is emptied in the background
    and drops what it cannot deliver: whoever notes that a message went out must know that it did.

    Args:
        run_id: the run whose candidate was held back.
        pipeline: its pipeline's name.
        gates: one line for each gate that did not pass: its name, its value and its threshold.
        report: the page that shows why.
    Returns:
        Whether a server took it that outlives this process. Without one (`PREFECT_API_URL`), nobody would be told.
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
