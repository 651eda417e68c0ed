"""A Prefect task for each step of an open run: its own name, tags, retries, time-out, log lines and artifacts.

    with opened(RunParameters(pipeline="pipeline.yaml")) as (run, steps):
        for step in steps:
            step_task(run, step)()

Only names, counts and ids reach Prefect (P1).
"""

from typing import Any

from prefect import State, Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from deskloop.contract.errors import MachineError
from deskloop.engine.workspace import Made
from deskloop.pipeline.pipeline import Step
from deskloop.run.session import Run, guarded_step
from flows.artifacts import describe_step
from flows.results import Withheld

TAGS = ["deskloop"]  # one set for all: Prefect takes two seconds to look up the concurrency limit of each set of tags
RETRIES, BACKOFF = 3, 5  # attempts after the first, and seconds before the first of them
STATES = {"kept": "Waiting", "blocked": "Blocked"}  # of a promotion


def step_task(run: Run, step: Step) -> Task[[], State[None]]:
    """Return the task that brings one step up to date; its state names the outcome.

    Completed; Cached if a published version was reused; Blocked or Waiting if a candidate was not promoted. A step is
    retried only if another attempt can help, as when a network file system is away.
    """

    @task(
        name=step.name,
        task_run_name=step.name,
        tags=TAGS,
        cache_policy=NO_CACHE,
        persist_result=False,
        result_serializer=Withheld(),
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(BACKOFF),
        retry_condition_fn=is_retried,
        timeout_seconds=step.stage.timeout,
    )
    def bring_up() -> State[None]:
        with guarded_step(run, step.name):
            made = run.engine.run(step)
        run.record(step.name, made)
        describe_step(run, step, made)
        return state_of(made)

    return bring_up


def is_retried(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Check whether a failed step is retried."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, MachineError) and error.passing


def state_of(made: Made) -> State[None]:
    """Return the state that a step ends in."""
    first = made.versions[0]
    if first.kind == "promotion":
        action = str(first.details["action"])
        return Completed(name=STATES.get(action, "Completed"), message=str(first.details["why"]))
    names = ", ".join(version.name for version in made.versions)
    if made.reused:
        return Completed(name="Cached", message=f"{names}: {made.decision.why}")
    did = f"extended by {first.touched:,} rows" if made.extended else "computed"
    return Completed(message=f"{names}: {did}, {made.decision.why}")
