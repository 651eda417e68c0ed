"""`deskloop init`, `scrub`, `report` and `schema`."""

import json
import sys
from pathlib import Path
from typing import BinaryIO

import click

from deskloop.errors import ConfigError


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("pipeline.yaml"),
    show_default=True,
    help="The pipeline file to write; never overwritten.",
)
def init_command(file: Path, output: Path) -> None:
    """Look at a log FILE and write a commented pipeline file for it."""  # fmt: skip
    from tasks.ingest.look import pipeline_for

    if output.exists():
        raise ConfigError(f"{output} is there already; name another file with --output", "the command")
    output.write_text(pipeline_for(file, output.parent), encoding="utf-8")
    click.echo(f"wrote {output}; look it over, then: deskloop run -c {output}")


@click.command("scrub")
@click.argument("file", type=click.File("rb", lazy=False), default="-")
def scrub_command(file: BinaryIO) -> None:
    """Scrub JSON Lines from FILE (or stdin) to stdout, streaming.

    \b
    in:  {"id": ..., "text": ...} or {"id": ..., "turns": [{"role", "text"}]}, perhaps with "known": {type: [values]}
    out: the same, scrubbed, plus "spans": [{"turn", "start", "end", "entity"}] in offsets of the input
    """
    from tasks.scrub import ScrubConfig
    from tasks.scrub.stream import scrub_lines

    for line in scrub_lines(file, ScrubConfig()):
        sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


@click.command("report")
@click.option("-c", "--config", "pipeline", default="pipeline.yaml", show_default=True, help="The pipeline file.")
def report_command(pipeline: str) -> None:
    """Print where the latest run's page is."""
    from deskloop.conclude import latest_report
    from deskloop.config import load_pipeline
    from tasks import sections, stages

    page = latest_report(load_pipeline(Path(pipeline), stages(), sections()).store)
    if page is None:
        raise ConfigError(f"no run yet; start one with: deskloop run -c {pipeline}", "the command")
    click.echo(page)


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the pipeline file, for editors."""
    from deskloop.config import pipeline_schema
    from tasks import sections, stages

    click.echo(json.dumps(pipeline_schema(stages(), sections()), indent=2))
