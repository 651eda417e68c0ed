"""The models of a pipeline, from the tables as last published."""

from typing import Any

from prefect import flow

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import DataStage
from flows.opened import finish, opened
from flows.results import Withheld
from flows.steps import run_steps


@flow(flow_run_name="finetune {pipeline}", persist_result=False, result_serializer=Withheld())
def finetune(pipeline: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Train, evaluate and promote on the tables as last published; returns the run's document."""
    with opened(pipeline, overrides) as (run, steps):
        models = [step for step in steps if not isinstance(step.stage, DataStage)]
        if not models:
            raise ConfigError("steps: no model is trained; add `base` and `finetune`", pipeline)
        run_steps(run, models)
        return finish(run)
