"""Progress of the step under way: a counter on the terminal, and a progress artifact of its task run in Prefect."""

import time
from collections.abc import Callable
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from deskloop.contract.progress import describe, show
from flows.artifacts import artifact_key

QUICK = 1.0  # seconds within which a step may finish without an artifact
PAUSE = 2.0  # seconds between two updates


class StepProgress:
    """Receives the progress of one run's steps; see `deskloop.engine.workspace.Progress`."""

    def __init__(self, pipeline: str, tell: Callable[[str], None]) -> None:
        self._pipeline, self._tell = pipeline, tell
        self._step, self._begun, self._updated = "", 0.0, 0.0
        self._artifact: UUID | None = None
        self._failed = False

    def __call__(self, step: str, done: int, total: int, unit: str) -> None:
        """Report that `done` of `total` (0: unknown) are finished; a server that does not take it stops no run."""
        show(step, done, total, unit)
        now = time.monotonic()
        if step != self._step:
            self._step, self._begun, self._updated, self._artifact = step, now, 0.0, None
        if self._failed or not total or not self._is_due(now, done == total):
            return
        try:
            self._send(round(100 * done / total, 1), f"{step}: {describe(done, total, unit)}")
            self._updated = time.monotonic()
        except Exception as error:
            self._failed = True
            self._tell(f"  {step:<12} Prefect's server did not accept its progress ({type(error).__name__})")

    def _is_due(self, now: float, finished: bool) -> bool:
        if self._artifact is None:
            return not finished and now - self._begun >= QUICK
        return finished or now - self._updated >= PAUSE

    def _send(self, percent: float, description: str) -> None:
        if self._artifact is None:
            key = artifact_key(self._pipeline, self._step, "progress")
            self._artifact = create_progress_artifact(percent, key, description)
        else:
            update_progress_artifact(self._artifact, percent, description)
