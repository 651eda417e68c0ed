"""`deskloop init`, `scrub`, `report` and `schema`."""

import json
import shlex
import sys
from pathlib import Path
from typing import BinaryIO

import click

from deskloop.errors import ConfigError


@click.command("init")
@click.argument("file")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("pipeline.yaml"),
    show_default=True,
    help="The pipeline file to write; never overwritten.",
)
def init_command(file: str, output: Path) -> None:
    """Look at a log FILE (or a glob in quotes, or a URL) and write a commented pipeline file for it."""
    from tasks.ingest.look import pipeline_for

    if output.exists():
        raise ConfigError(f"{output} is there already; name another file with --output", "the command")
    content = pipeline_for(file, output.parent)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", "the command") from None
    click.echo(f"wrote {output}; look it over, then: deskloop run -c {shlex.quote(str(output))}")


@click.command("scrub")
@click.argument("file", type=click.File("rb", lazy=False), default="-")
def scrub_command(file: BinaryIO) -> None:
    """Scrub JSON Lines from FILE (or stdin) to stdout, streaming.

    \b
    in:   {"id", "text"} or {"id", "turns": [{"role", "text"}]},
          perhaps with "known": {type: [values]}
    out:  the same, scrubbed, without "known", plus
          "spans": [{"turn", "start", "end", "entity"}], offsets of the input
    """
    from tasks.scrub import ScrubConfig
    from tasks.scrub.stream import scrub_lines

    for line in scrub_lines(file, ScrubConfig()):
        sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


@click.command("report")
@click.option("-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True,
              help="The pipeline file.")  # fmt: skip
def report_command(pipeline: str) -> None:
    """Print where the latest run's page is."""
    from deskloop.conclude import latest_report
    from deskloop.config import load_pipeline
    from tasks import sections, stages

    page = latest_report(load_pipeline(Path(pipeline), stages(), sections()).store)
    if page is None:
        raise ConfigError(f"no run yet; start one with: deskloop run -c {shlex.quote(pipeline)}", "the command")
    click.echo(page)


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the pipeline file, for editors."""
    from deskloop.editor_schema import pipeline_schema
    from tasks import sections, stages

    click.echo(json.dumps(pipeline_schema(stages(), sections()), indent=2))
