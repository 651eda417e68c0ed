"""What every flow begins and ends with: the pipeline file read, the store locked, a report even of a failed run."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from prefect.runtime import flow_run

from deskloop.contract.errors import DataError, DeskloopError
from deskloop.contract.progress import say
from deskloop.contract.stage import DataStage, PromotionStage
from deskloop.engine.firewall import guarded
from deskloop.engine.retention import expire
from deskloop.models import Registry
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Step
from deskloop.pipeline.preflight import preflight
from deskloop.report.write import conclude
from deskloop.run.notify import gate_blocked
from deskloop.run.session import Run, guarded_step, open_run
from flows.artifacts import link_report
from tasks import stages


@contextmanager
def opened(
    pipeline: str,
    overrides: list[str] | None = None,
    sample: int | None = None,
    refit: list[str] | None = None,
    rebuild: bool = False,
    begin: str | None = None,
    until: str | None = None,
    data_only: bool = False,
) -> Iterator[tuple[Run, list[Step]]]:
    """An open run on a pipeline file, and the steps to run; a failed step is reported before its error goes on.

    Args:
        begin, until: first and last step to run.
        data_only: leave out steps whose output is no table.
    """
    with guarded("run"):
        loaded = load_pipeline(Path(pipeline), stages(), overrides or [], sample)
        steps = loaded.selected(begin, until)
        if data_only:
            steps = [step for step in steps if isinstance(step.stage, DataStage)]
        preflight(loaded, steps)
        if any(isinstance(step.stage, PromotionStage) for step in steps):
            Registry(loaded.store).check_name(loaded.settings.name)
        with open_run(loaded, tell, refit or [], rebuild, gate_blocked) as run:
            run.engine.flow_run_id = str(flow_run.get_id() or "")
            try:
                with guarded("report", store=run.store.root):
                    yield run, steps
            except DeskloopError as error:
                _report_failure(run, error)
                raise
            _expire(run)


def tell(line: str) -> None:
    """One line for the user: on stderr, and in the log of the flow run or task run that is under way."""
    say(line)
    with contextlib.suppress(MissingContextError):
        get_run_logger().info(line.strip())


def finish(run: Run) -> dict[str, Any]:
    """Write the report of a run and link to it; returns the run's document."""
    document = conclude(run)
    link_report(run, document)
    return document


def _report_failure(run: Run, error: DeskloopError) -> None:
    """Write the page of a run that failed; where that fails too, as on a full disk, only the first error counts."""
    try:
        with guarded("report", store=run.store.root):
            error.document = conclude(run, str(error))
    except DeskloopError:
        tell("  the report of the failed run could not be written")
        return
    tell(f"  the report of the failed run: {error.document['report']}")
    link_report(run, error.document)


def _expire(run: Run) -> None:
    """Keep raw rows no longer than the pipeline file says; what a run of some steps left to be scrubbed waits."""
    try:
        with guarded_step(run, "retention"):
            counts = expire(run.pipeline, run.store, run_id=run.id)
    except DataError as error:
        tell(f"  retention waits: {error}")
        return
    if any(counts.values()):
        tell(f"  {'retention':<12} {sum(counts.values()):,} raw rows are past raw_days and were deleted")
