"""The deployments on Prefect's server: the nightly run, a run by hand, and the data part alone."""

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

# Torch's threads wait without spinning, which would slow a shared machine down.
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "DO_NOT_TRACK": "1"}


def nightly(cron: str, timezone: str) -> Schedule:
    """Return the schedule of the nightly run.

    Raises:
        ConfigError: not a cron expression, or no such time zone.
    """
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        problems = [f"--{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise ConfigError(problems, "the command") from None
    return Cron(cron, timezone=timezone, slug="nightly")


def deployments(pipeline: Path, nightly: Schedule, pool: str) -> list[RunnerDeployment]:
    """Return the deployments of a pipeline file; nothing is fetched, the installed deskloop is what runs."""
    # A night that is due while the last one still runs is skipped; runs by hand wait for each other.
    skip = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    wait = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    texts = (
        "Data, models, evaluation, promotion, report, every night. What has not changed is reused.",
        "The entire pipeline on request, with parameters of your own.",
        "The data part alone, with the data-quality report.",
    )
    made = []
    for flow, name, limit, text in zip(
        (retrain, retrain, prepare), ("nightly", "by-hand", "data"), (skip, wait, wait), texts, strict=True
    ):
        deployment = flow.to_deployment(
            name,
            schedules=[nightly] if name == "nightly" else None,
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
        made.append(deployment)
    return made


def register(client: SyncPrefectClient, wanted: list[RunnerDeployment]) -> list[str]:
    """Create or update the deployments; returns one line for each."""
    lines = []
    for deployment in wanted:
        change = "created"
        with suppress(ObjectNotFound):
            change = _merge(deployment, client.read_deployment_by_name(deployment.full_name))
        deployment.apply(version_info=VersionInfo(type="prefect:simple", version=__version__))
        lines.append(f"deployment  {deployment.full_name}  {change}")
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
    """Create a process work pool for one run at a time unless there is a pool of that name; returns a line about it.

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
