"""The beginning and end of every flow: it reads the pipeline file, locks the store, and reports even a failed run."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from prefect.runtime import flow_run

from deskloop.contract.errors import DataError, DeskloopError
from deskloop.contract.progress import say
from deskloop.contract.stage import PromotionStage
from deskloop.contract.terminal import visible
from deskloop.engine.firewall import guarded
from deskloop.engine.retention import expire
from deskloop.models import Registry
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Step
from deskloop.pipeline.preflight import preflight
from deskloop.report.write import conclude
from deskloop.run.notify import gate_blocked
from deskloop.run.session import Run, guarded_step, open_run
from flows.artifacts import describe_failure, link_report
from flows.parameters import ModelParameters, RunParameters
from flows.progress import StepProgress
from tasks import stages


@contextmanager
def opened(
    parameters: ModelParameters, selected: Callable[[Step], bool] = lambda step: True
) -> Iterator[tuple[Run, list[Step]]]:
    """Open a run on a pipeline file and yield it with the steps to run; a failed step is reported before its error.

    Args:
        selected: leaves out steps between `begin` and `until` for which it is false.
    """
    refit, rebuild = (parameters.refit, parameters.rebuild) if isinstance(parameters, RunParameters) else ([], False)
    with guarded("run"):
        loaded = load_pipeline(Path(parameters.pipeline), stages(), parameters.overrides, parameters.sample)
        steps = [step for step in loaded.selected(parameters.begin, parameters.until) if selected(step)]
        preflight(loaded, steps)
        if any(isinstance(step.stage, PromotionStage) for step in steps):
            Registry(loaded.store).check_name(loaded.settings.name)
        with open_run(loaded, tell, refit, rebuild, gate_blocked, StepProgress(loaded.settings.name, tell)) as run:
            run.engine.flow_run_id = str(flow_run.get_id() or "")
            try:
                with guarded("report", store=run.store.root):
                    yield run, steps
            except DeskloopError as error:
                _report_failure(run, error)
                raise
            _expire(run)


def tell(line: str) -> None:
    """Report a line in the log of the flow run or task run under way, and on stderr unless that log is shown there."""
    try:
        log = get_run_logger()
    except MissingContextError:
        say(line)
        return
    if not (log.isEnabledFor(logging.INFO) and _is_on_terminal(log.logger)):
        say(line)
    log.info(visible(line.strip()))


def _is_on_terminal(logger: logging.Logger | None) -> bool:
    """Check whether a logger's lines appear on stderr or stdout, as in a worker but not under `deskloop run`."""
    if logger is None:
        return False
    shown = any(
        isinstance(handler, logging.StreamHandler)
        and handler.stream in (sys.stderr, sys.stdout)
        and handler.level <= logging.INFO
        for handler in logger.handlers
    )
    return shown or (logger.propagate and _is_on_terminal(logger.parent))


def finish(run: Run) -> dict[str, Any]:
    """Write the report of a run and link to it; returns the run's document."""
    document = conclude(run)
    link_report(run, document)
    return document


def _report_failure(run: Run, error: DeskloopError) -> None:
    """Write the page of a run that failed; where that fails too, as on a full disk, only the first error counts."""
    try:
        with guarded("report", store=run.store.root):
            document = error.attach(conclude(run, str(error)))
    except DeskloopError:
        tell("  the report of the failed run could not be written")
        return
    tell(f"  the report of the failed run: {document['report']}")
    describe_failure(run, error)
    link_report(run, document)


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
