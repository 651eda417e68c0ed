"""`deskloop data verify`: compare everything in the store with its checksums."""

import click

from cli.opened import opened
from cli.options import inspecting, show
from deskloop.contract.errors import ConfigError


@click.command("verify", short_help="Compare everything in the store with its checksums.")
@inspecting
@click.pass_context
def verify_command(context: click.Context, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Compare everything in the store with its checksums.

    Covers tables, catalog, ledger, blobs, memo, models and keys. Says what to do about each damaged part; exit code 1
    if there is one. Reads the whole store and recomputes the hash of every row, so it takes a while on a large one.
    """
    from deskloop.audit.verify import verify

    store = opened(pipeline, sample).store
    if not store.root.is_dir():
        raise ConfigError(f"there is no store at {store.root}: nothing has been run yet", "the store")
    with store.alone():
        result = verify(store)
    lines = ["checked: " + ", ".join(f"{count:,} {kind}" for kind, count in result.checked.items())]
    lines += [f"{finding.place} is damaged: {finding.problem}\n    {finding.remedy}." for finding in result.findings]
    show(result.as_dict(), as_json, lines if result.findings else [*lines, "nothing is damaged"])
    if result.findings:
        context.exit(1)
