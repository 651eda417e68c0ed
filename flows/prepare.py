"""The steps of a pipeline that make tables, then the data-quality report."""

from typing import Any

from prefect import flow

from flows.opened import finish, opened
from flows.results import Withheld
from flows.steps import run_steps


@flow(flow_run_name="prepare {pipeline}", persist_result=False, result_serializer=Withheld())
def prepare(
    pipeline: str,
    overrides: list[str] | None = None,
    begin: str | None = None,
    until: str | None = None,
    sample: int | None = None,
    refit: list[str] | None = None,
    rebuild: bool = False,
) -> dict[str, Any]:
    """Prepare the data of a pipeline file; returns the run's document."""
    with opened(pipeline, overrides, sample, refit, rebuild, begin, until, data_only=True) as (run, steps):
        run_steps(run, steps)
        return finish(run)
