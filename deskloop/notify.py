"""What a run tells the outside: an event in Prefect, on which an automation sends a message to whoever is on duty.

A failed or crashed run needs nothing from here, Prefect notices it by itself. An event leaves the machine with the
message, so it holds ids, names and figures only (P1).
"""

from collections.abc import Sequence

GATE_BLOCKED = "deskloop.gate.blocked"


def gate_blocked(run_id: str, pipeline: str, gates: Sequence[str], report: str) -> None:
    """Say that a candidate was not promoted; the run itself went well.

    Args:
        run_id: the run whose candidate was held back.
        pipeline: its pipeline's name.
        gates: one line for each gate that did not pass: its name, its value and its threshold.
        report: the page that shows why.
    """
    from prefect.events import emit_event

    emit_event(
        event=GATE_BLOCKED,
        resource={
            "prefect.resource.id": f"deskloop.run.{run_id}",
            "prefect.resource.name": run_id,
            "deskloop.pipeline": pipeline,
        },
        payload={"gates": list(gates), "report": report},
    )
