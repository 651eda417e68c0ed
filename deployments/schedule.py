"""The deployments of a pipeline on a Prefect server: the nightly run, a run by hand, and the data part alone.

Their names begin with the pipeline's, so that several pipelines share a server: `retrain/support-nightly`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, VersionInfo
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker
from pydantic import ValidationError

from deskloop import __version__
from deskloop.contract.errors import ConfigError
from flows.prepare import prepare
from flows.retrain import retrain
from flows.steps import TAGS

# Torch's threads wait without spinning, which would slow down a shared machine.
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "DO_NOT_TRACK": "1"}


def nightly(cron: str, timezone: str) -> Schedule:
    """Return the schedule of the nightly run.

    Raises:
        ConfigError: the cron expression or the time zone is invalid.
    """
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        problems = [f"--{entry['loc'][0]}: {entry['msg'].removeprefix('Value error, ')}" for entry in error.errors()]
        raise ConfigError(problems, "the command") from None
    return Cron(cron, timezone=timezone, slug="nightly")


def deployments(pipeline: Path, name: str, nightly: Schedule, pool: str) -> list[RunnerDeployment]:
    """Return the deployments of a pipeline file.

    They run the deskloop that is installed where the worker runs; Prefect downloads no code.

    Args:
        name: the pipeline's name, which begins the names of the deployments.
    """
    # A nightly run that is due while the last one still runs is skipped; runs by hand wait for each other.
    skip = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    wait = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    texts = (
        "Data, models, evaluation, promotion, report, every night. What has not changed is reused.",
        "The entire pipeline on request, with parameters of your own.",
        "The data part alone, with the data-quality report.",
    )
    built = []
    for flow, suffix, limit, text in zip(
        (retrain, retrain, prepare), ("nightly", "by-hand", "data"), (skip, wait, wait), texts, strict=True
    ):
        deployment = flow.to_deployment(
            f"{name}-{suffix}",
            schedules=[nightly] if suffix == "nightly" else None,
            concurrency_limit=limit,
            parameters={"pipeline": str(pipeline)},
            description=text,
            tags=TAGS,
            version=__version__,
            work_pool_name=pool,
            job_variables={"working_dir": str(pipeline.parent), "env": ENVIRONMENT},
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.entrypoint = f"deskloop.deployed.{flow.fn.__name__}"
        built.append(deployment)
    return built


def registered(
    client: SyncPrefectClient, wanted: Sequence[RunnerDeployment], replace: bool = False
) -> dict[str, DeploymentResponse]:
    """Return those of the wanted deployments that are on the server, by their full names.

    Args:
        replace: accept deployments that run another pipeline file.
    Raises:
        ConfigError: another pipeline file has deployments of these names.
    """
    current, others = {}, {}
    for deployment in wanted:
        with suppress(ObjectNotFound):
            current[deployment.full_name] = client.read_deployment_by_name(deployment.full_name)
            file = current[deployment.full_name].parameters.get("pipeline")
            if file != deployment.parameters["pipeline"]:
                others[deployment.full_name] = file
    if others and not replace:
        problems = [f"{name} on this server runs {file or 'no file of deskloop'}" for name, file in others.items()]
        advice = "give this pipeline another `name:`, or pass --replace to deploy it in place of the other"
        raise ConfigError([*problems, advice], "the name of the pipeline")
    return current


def register(wanted: Sequence[RunnerDeployment], current: Mapping[str, DeploymentResponse]) -> list[str]:
    """Create the deployments, or update those that are `current`; returns one line for each."""
    lines = []
    for deployment in wanted:
        name = deployment.full_name
        change = _merge(deployment, current[name]) if name in current else "created"
        deployment.apply(version_info=VersionInfo(type="prefect:simple", version=__version__))
        lines.append(f"deployment  {name}  {change}")
    return lines


def _merge(deployment: RunnerDeployment, current: DeploymentResponse) -> str:
    """Keep a paused schedule paused; returns what changes."""
    changes = ["updated"]
    if current.parameters.get("pipeline") != deployment.parameters["pipeline"]:
        changes.append(f"its pipeline was {current.parameters.get('pipeline')}")
    paused = {schedule.slug for schedule in current.schedules if not schedule.active}
    for schedule in deployment.schedules or []:
        if schedule.slug in paused:
            schedule.active = False
            changes.append("its schedule stays paused")
    return ", ".join(changes)


def prepare_pool(client: SyncPrefectClient, name: str) -> str:
    """Create a process work pool for one run at a time unless a pool of that name exists; returns a line about it.

    Raises:
        ConfigError: the pool is of another type.
    """
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template, concurrency_limit=1)
        )
        return f"work pool   {name}  created, one run at a time"
    if pool.type != ProcessWorker.type:
        raise ConfigError(f"--pool {name}: its type is {pool.type}, but the deployments need a process pool")
    return f"work pool   {name}  exists, concurrency limit {pool.concurrency_limit or 'none'}"
