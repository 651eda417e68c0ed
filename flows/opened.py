"""What every flow begins and ends with: the pipeline file read, the store locked, a report even of a failed run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.runtime import flow_run

from deskloop.contract.errors import DataError, DeskloopError
from deskloop.contract.progress import say
from deskloop.engine.firewall import guarded
from deskloop.engine.retention import expire
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.preflight import preflight
from deskloop.report.write import conclude
from deskloop.run.session import Run, guarded_step, open_run
from tasks import sections, stages

MODEL_STEPS = ("finetune", "evaluate", "promote")


@contextmanager
def opened(
    pipeline: str,
    overrides: list[str] | None = None,
    sample: int | None = None,
    refit: list[str] | None = None,
    rebuild: bool = False,
    begin: str | None = None,
    until: str | None = None,
    training: bool = False,
) -> Iterator[Run]:
    """An open run on a pipeline file; when a step fails, the report says so before the error goes on.

    Args:
        begin, until: first and last step, the model part's included.
        training: the run has a model part.
    """
    with guarded("run"):
        loaded = load_pipeline(Path(pipeline), stages(), sections(), overrides or [], sample)
        for name in filter(None, (begin, until)):
            if not (training and name in MODEL_STEPS):
                loaded.step(name)
        preflight(loaded, begin, until, training)
        with open_run(loaded, say, refit or [], rebuild) as run:
            run.engine.flow_run_id = str(flow_run.get_id() or "")
            try:
                with guarded("report", store=run.store.root):
                    yield run
            except DeskloopError as error:
                _report_failure(run, error)
                raise
            _expire(run)


def _report_failure(run: Run, error: DeskloopError) -> None:
    """Write the page of a run that failed; where that fails too, as on a full disk, only the first error counts."""
    try:
        with guarded("report", store=run.store.root):
            error.document = conclude(run, str(error))
    except DeskloopError:
        say("  the report of the failed run could not be written")
        return
    say(f"  the report of the failed run: {error.document['report']}")


def _expire(run: Run) -> None:
    """Keep raw rows no longer than the pipeline file says; what a run of some steps left to be scrubbed waits."""
    try:
        with guarded_step(run, "retention"):
            counts = expire(run.pipeline, run.store, run_id=run.id)
    except DataError as error:
        say(f"  retention waits: {error}")
        return
    if any(counts.values()):
        say(f"  {'retention':<12} {sum(counts.values()):,} raw rows are past raw_days and were deleted")
