"""The steps of a pipeline that make tables, then the data-quality report."""

from typing import Any

from prefect import flow

from deskloop.contract.stage import DataStage
from flows.opened import finish, opened
from flows.parameters import RunParameters, by_name, run_name
from flows.results import Withheld
from flows.steps import step_task


@flow(flow_run_name=run_name, persist_result=False, result_serializer=Withheld())
@by_name
def prepare(parameters: RunParameters) -> dict[str, Any]:
    """Bring the tables of a pipeline file up to date; returns the run's document."""
    with opened(parameters, lambda step: isinstance(step.stage, DataStage)) as (run, steps):
        for step in steps:
            step_task(run, step)()
        return finish(run)
