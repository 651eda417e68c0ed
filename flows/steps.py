"""A Prefect task for each step of an open run."""

from collections.abc import Sequence

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from deskloop.pipeline.pipeline import Step
from deskloop.run.session import Run, run_step
from flows.results import Withheld


def step_task(run: Run, step: Step) -> Task[[], list[str]]:
    """The task that brings one step up to date; it returns references such as `scrubbed@3`."""

    @task(
        name=step.name,
        tags=[step.stage.name],
        cache_policy=NO_CACHE,
        persist_result=False,
        result_serializer=Withheld(),
        timeout_seconds=step.stage.timeout,
    )
    def bring_up() -> list[str]:
        return run_step(run, step)

    return bring_up


def run_steps(run: Run, steps: Sequence[Step]) -> None:
    """Bring steps up to date, one after the other."""
    for step in steps:
        step_task(run, step)()
