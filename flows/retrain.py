"""The entire pipeline, as it runs every night: data, models, evaluation, promotion, report."""

from typing import Any

from prefect import flow

from flows.opened import finish, opened
from flows.results import Withheld
from flows.steps import run_steps


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
    """Bring every step of a pipeline file up to date; returns the run's document.

    Args:
        begin: first step to look at; the ones before it stand as last published.
        until: last step to run.
    """
    with opened(pipeline, overrides, sample, refit, rebuild, begin, until) as (run, steps):
        run_steps(run, steps)
        return finish(run)
