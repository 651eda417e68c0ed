"""The models of a pipeline, from the tables as last published."""

from typing import Any

from prefect import flow

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import DataStage
from flows.opened import finish, opened
from flows.parameters import ModelParameters, by_name, run_name
from flows.results import Withheld
from flows.steps import step_task


@flow(flow_run_name=run_name, persist_result=False, result_serializer=Withheld())
@by_name
def finetune(parameters: ModelParameters) -> dict[str, Any]:
    """Train, evaluate and promote on the tables as last published; returns the run's document."""
    with opened(parameters, lambda step: not isinstance(step.stage, DataStage)) as (run, steps):
        if not steps:
            raise ConfigError("steps: no model is trained; add `base` and `finetune`", parameters.pipeline)
        for step in steps:
            step_task(run, step)()
        return finish(run)
