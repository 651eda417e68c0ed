"""Options that commands share."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from deskloop.contract.terminal import echo

Command = Callable[..., Any]

config_option = click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
sample_option = click.option("--sample", type=click.IntRange(min=1), metavar="N",
                             help="Use the store of `deskloop run --sample N`, not the pipeline's own.")  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")


def inspecting(command: Command) -> Command:
    """Add the options of a command that inspects a store: the pipeline file, a sample, JSON."""
    return config_option(sample_option(json_option(command)))


def show(document: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Print a result: the document as JSON, or lines for a person."""
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in lines:
            echo(line)
