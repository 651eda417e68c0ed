"""The whole way, as it runs every night: data, model, evaluation, promotion, report."""

from typing import Any

from prefect import flow

from deskloop.report.write import conclude
from flows.finetune import check_encoded, finetune_steps
from flows.opened import MODEL_STEPS, opened
from flows.prepare import prepare_steps
from flows.results import Withheld


@flow(flow_run_name="retrain {pipeline}", persist_result=False, result_serializer=Withheld())
def retrain(
    pipeline: str,
    overrides: list[str] | None = None,
    begin: str | None = None,
    until: str | None = None,
    sample: int | None = None,
    refit: list[str] | None = None,
    rebuild: bool = False,
) -> dict[str, Any]:
    """Bring everything of a pipeline file up to date; returns the run's document."""
    data_only = until is not None and until not in MODEL_STEPS
    with opened(pipeline, overrides, sample, refit, rebuild, begin, until, training=not data_only) as run:
        if not data_only:
            check_encoded(run.pipeline)
        if begin in MODEL_STEPS:
            references = [run.engine.catalog.get(name).name for name in run.pipeline.steps[-1].datasets.values()]
        else:
            references = prepare_steps(run.id, begin, until if data_only else None)
        if not data_only:
            finetune_steps(run.id, references, until)
        return conclude(run)
