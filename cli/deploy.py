"""`deskloop deploy`: the deployments and automations of a pipeline on a running Prefect server."""

import shlex
from pathlib import Path

import click

from cli.options import config_option
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo


@click.command("deploy")
@config_option
@click.option("--cron", default="30 2 * * *", show_default=True, help="When the nightly run is due.")
@click.option("--timezone", default="UTC", show_default=True, metavar="NAME", help="Time zone of --cron.")
@click.option("--pool", default="deskloop", show_default=True, metavar="NAME", help="A process work pool.")
@click.option("--notify-url", metavar="URL", help="Webhook for the messages of all pipelines; kept from call to call.")
@click.option("--notify-block", metavar="TYPE/NAME", help="A notification block on the server, in place of a URL.")
@click.option("--replace", is_flag=True, help="Deploy in place of another file whose pipeline has the same name.")
def deploy_command(
    pipeline: str, cron: str, timezone: str, pool: str, notify_url: str | None, notify_block: str | None, replace: bool
) -> None:
    """Register the nightly run, a run by hand, the data part alone, and messages on a Prefect server.

    The server is the one that PREFECT_API_URL or a Prefect profile names. The pipeline's name begins the names of its
    deployments, so several pipelines can share a server. A second call updates what the first created.
    """
    from cli.flow import settle_environment
    from deskloop.pipeline.load import load_pipeline
    from deskloop.run.packages import check_folder
    from tasks import stages

    file = Path(pipeline).resolve()
    name = load_pipeline(file, stages()).settings.name
    check_folder(file.parent)
    if notify_url and notify_block:
        raise ConfigError("--notify-url and --notify-block exclude each other", "the command")
    settle_environment()
    _check_server()

    from prefect.client.orchestration import get_client

    from deployments import automations, schedule

    wanted = schedule.deployments(file, name, schedule.nightly(cron, timezone), pool)
    with get_client(sync_client=True) as client:
        current = schedule.registered(client, wanted, replace)
        echo(schedule.prepare_pool(client, pool))
        block = automations.receiver(client, notify_url, notify_block)
        for line in schedule.register(wanted, current):
            echo(line)
        for line in automations.register(client, automations.automations(block)):
            echo(line)
    if block is None:
        echo("no messages are sent: pass --notify-url to be notified when a run fails or a candidate is not promoted")
    echo("\nStart a worker, then a run by hand:")
    echo(f"  prefect worker start --pool {shlex.quote(pool)}")
    echo(f"  prefect deployment run retrain/{name}-by-hand --watch")


def _check_server() -> None:
    """Refuse to deploy to a server that ends with this command, or does not answer."""
    from deskloop.run.prefect_server import check, lasting

    if not lasting():
        problem = "no Prefect server is configured; start one (`prefect server start`) and set PREFECT_API_URL"
        raise ConfigError(problem, "the command")
    check()
