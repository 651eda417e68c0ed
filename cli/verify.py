"""`deskloop data verify`: whether everything in the store is still what was written there."""

import json

import click

from cli.options import load, sample_option
from deskloop.contract.terminal import echo


@click.command("verify", short_help="Compare everything in the store with its checksums.")
@click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
@sample_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_context
def verify_command(context: click.Context, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Compare everything in the store with what was written there.

    Covers tables, catalog, ledger, blobs, memo, models and keys. Says what to do about each damaged part; exit code 1
    if there is one. Reads the whole store and recomputes the hash of every row, so it takes a while on a large one.
    """
    from deskloop.audit.verify import verify
    from deskloop.contract.errors import ConfigError
    from deskloop.store.store import Store

    store = Store(load(pipeline, sample).store)
    if not store.root.is_dir():
        raise ConfigError(f"there is no store at {store.root}: nothing has been run yet", "the store")
    with store.alone():
        result = verify(store)
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    else:
        echo("checked: " + ", ".join(f"{count:,} {kind}" for kind, count in result.checked.items()))
        for one in result.findings:
            echo(f"{one.place} is damaged: {one.problem}\n    {one.remedy}.")
        if not result.findings:
            echo("nothing is damaged")
    if result.findings:
        context.exit(1)
