"""The data part: every step of a pipeline, one after the other, then the quality report."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from deskloop.report.write import conclude
from deskloop.run.session import current, run_step
from flows.opened import opened
from flows.results import Withheld


@task(task_run_name="{step}", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def step_task(run_id: str, step: str, parents: list[str]) -> list[str]:
    """Bring one step up to date; takes and returns references such as `scrubbed@3`."""
    run = current(run_id)
    return run_step(run, run.pipeline.step(step), parents)


def prepare_steps(run_id: str, begin: str | None = None, until: str | None = None) -> list[str]:
    """Run the steps of an open run; returns references to the datasets of the last one.

    Args:
        begin: first step to look at; the ones before it stand as last published.
        until: last step to run.
    """
    run = current(run_id)
    references: list[str] = []
    for step in run.pipeline.steps:
        if begin not in (None, step.name):
            references = [run.engine.catalog.get(name).name for name in step.datasets.values()]
            continue
        begin = None
        references = step_task(run_id, step.name, references)
        if step.name == until:
            break
    return references


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
    with opened(pipeline, overrides, sample, refit, rebuild, begin, until) as run:
        prepare_steps(run.id, begin, until)
        return conclude(run)
