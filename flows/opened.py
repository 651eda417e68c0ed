"""What every flow begins and ends with: the pipeline file read, the store locked, a report even of a failed run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.runtime import flow_run

from deskloop.conclude import conclude
from deskloop.config import load_pipeline
from deskloop.errors import DataError, DeskloopError
from deskloop.foreign import translated
from deskloop.preflight import preflight
from deskloop.progress import say
from deskloop.registry import Registry
from deskloop.retention import expire
from deskloop.session import Run, guarded_step, open_run
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
    loaded = load_pipeline(Path(pipeline), stages(), sections(), overrides or [], sample)
    for name in filter(None, (begin, until)):
        if not (training and name in MODEL_STEPS):
            loaded.step(name)
    preflight(loaded, begin, until, training)
    if training:
        Registry(loaded.store).check_name(loaded.settings.name)
    with open_run(loaded, say, refit or [], rebuild) as run:
        run.engine.flow_run_id = str(flow_run.get_id() or "")
        try:
            yield run
        except DeskloopError as error:
            error.document = conclude(run, str(error))
            say(f"  the report of the failed run: {error.document['report']}")
            raise
        except Exception as error:
            if os.environ.get("DESKLOOP_DEBUG"):
                raise
            # Prefect writes the message of an error into its database.
            raise translated(error, run.failed or "report", store=run.store.root) from None
        _expire(run)


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
