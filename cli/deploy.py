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
@click.option("--notify-url", metavar="URL", help="Webhook that gets a POST of a message; kept from call to call.")
@click.option("--notify-block", metavar="TYPE/NAME", help="A notification block on the server, in place of a URL.")
def deploy_command(
    pipeline: str, cron: str, timezone: str, pool: str, notify_url: str | None, notify_block: str | None
) -> None:
    """Register the nightly run, a run by hand, the data part alone, and messages on a Prefect server.

    The server is the one that PREFECT_API_URL or a Prefect profile names. A second call updates what the first made.
    """
    from cli.flow import settle_environment
    from deskloop.pipeline.load import load_pipeline
    from deskloop.run.packages import check_folder
    from tasks import stages

    file = Path(pipeline).resolve()
    load_pipeline(file, stages())
    check_folder(file.parent)
    if notify_url and notify_block:
        raise ConfigError("--notify-url and --notify-block exclude each other", "the command")
    settle_environment()

    from deskloop.run.prefect_server import check, lasting

    if not lasting():
        problem = "no Prefect server is configured; start one (`prefect server start`) and set PREFECT_API_URL"
        raise ConfigError(problem, "the command")
    check()

    from prefect.client.orchestration import get_client

    from flows import automations, deployments

    nightly = deployments.nightly(cron, timezone)
    with get_client(sync_client=True) as client:
        block = automations.receiver(client, notify_url, notify_block)
        echo(deployments.prepare_pool(client, pool))
        for line in deployments.register(client, deployments.deployments(file, nightly, pool)):
            echo(line)
        for line in automations.register(client, automations.automations(block)):
            echo(line)
    if block is None:
        echo("no messages are sent: pass --notify-url to be notified when a run fails or a candidate is not promoted")
    echo("\nStart a worker, then a run that does not wait for the night:")
    echo(f"  prefect worker start --pool {shlex.quote(pool)}")
    echo("  prefect deployment run retrain/by-hand --watch")
