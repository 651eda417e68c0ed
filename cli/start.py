"""`deskloop init`, `scrub`, `report` and `schema`."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from cli.desk import opened
from cli.options import config_option, quiet_option, sample_option
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo, visible

if TYPE_CHECKING:
    from tasks.scrub.config import ScrubConfig


@click.command("init")
@click.argument("file")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("pipeline.yaml"), show_default=True,
              help="The pipeline file to write; never overwritten.")  # fmt: skip
def init_command(file: str, output: Path) -> None:
    """Inspect a log FILE (or a glob in quotes, or a URL) and write a commented pipeline file for it."""
    from deskloop.pipeline.local_paths import check_local
    from tasks.ingest.look import pipeline_for

    try:
        check_local(str(output))
    except ValueError as error:
        raise ConfigError(f"--output: {error}", "the command") from None
    if output.exists():
        raise ConfigError(f"{output} exists already; name another file with --output", "the command")
    content = pipeline_for(file, output.parent)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", "the command") from None
    echo(f"wrote {output}; review it, then: deskloop run -c {shlex.quote(str(output))}")


@click.command("scrub")
@click.argument("file", default="-")
@click.option("-c", "--config", "pipeline", metavar="FILE",
              help="Take the options of a pipeline file's scrub step, and its store's key.")  # fmt: skip
@click.option("--ids", type=click.Choice(["pass", "hash"]), default="pass", show_default=True,
              help="Opaque identifiers, such as customer_id: keep them, or hash them whole (needs -c).")  # fmt: skip
@quiet_option
def scrub_command(file: str, pipeline: str | None, ids: str, quiet: bool) -> None:
    """Scrub JSON Lines from FILE (or stdin) to stdout, streaming.

    \b
    in:   {"id", "text"} or {"id", "turns": [{"role", "text"}]},
          perhaps with "known": {type: [values]}
    out:  the same, scrubbed, without "known", plus
          "spans": [{"turn", "start", "end", "entity"}], offsets of the input

    An unreadable line becomes {"id", "error"}. Files compressed with gzip, bzip2 or xz are decompressed.
    Identifiers are never rewritten in part; one that is personal itself, such as an e-mail address, is always hashed
    whole: under the key of the store that -c names, otherwise under a random key that lasts for this command.
    """
    from collections import Counter

    from deskloop.contract.progress import be_quiet, say, tick
    from tasks.scrub.stream import Identifiers, scrub_stream

    if ids == "hash" and pipeline is None:
        raise ConfigError("--ids hash needs the key of a store: name a pipeline file with -c", "the command")
    config, key = _scrub_options(pipeline)
    identifiers = Identifiers(key, always=ids == "hash") if key else Identifiers()
    be_quiet(quiet)
    tally: Counter[str] = Counter()
    with _stream(file) as source:
        for line in scrub_stream(source, config, key, tally, identifiers):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            if tally["lines"] % 1000 == 0:
                tick(f"  {tally['lines']:,} lines")
    lines, errors = tally.pop("lines", 0), tally.pop("errors", 0)
    counts = ", ".join(f"{name} {count:,}" for name, count in tally.most_common())
    say(f"{lines:,} lines, {tally.total():,} values replaced{f' ({counts})' if counts else ''}")
    if errors:
        say(f'{errors:,} lines were unusable; each became an "error"')


@contextmanager
def _stream(name: str) -> Iterator[BinaryIO]:
    """Stdin, or a regular file, unpacked within limits."""
    import fsspec

    from tasks.ingest.config import IngestConfig, SourceConfig
    from tasks.ingest.read import File, open_file

    if name == "-":
        yield sys.stdin.buffer
        return
    if not os.path.exists(name):
        raise ConfigError(f"{name}: No such file or directory", "the command")
    source = SourceConfig(path=name)
    limits = IngestConfig(sources=(source,)).limits._replace(remedy="unpack it and pipe it into `deskloop scrub -`")
    file = File(os.path.abspath(name), fsspec.filesystem("file"), source, visible(name), 0, limits=limits)
    with open_file(file) as stream:
        yield cast(BinaryIO, stream)


def _scrub_options(pipeline: str | None) -> "tuple[ScrubConfig, bytes]":
    """The options of a pipeline file's first scrub step with its store's key, or the defaults without one."""
    from tasks.scrub import ScrubConfig

    if pipeline is None:
        return ScrubConfig(), b""
    desk = opened(pipeline)
    configs = desk.pipeline.configs_of("scrub")
    if not configs:
        raise ConfigError("it has no scrub step", pipeline)
    desk.store.prepare()
    return cast(ScrubConfig, configs[0]), desk.store.key()[1]


@click.command("report")
@config_option
@sample_option
def report_command(pipeline: str, sample: int | None) -> None:
    """Print the path of the latest run's report."""
    from deskloop.report.write import latest_report

    page = latest_report(opened(pipeline, sample).pipeline.store)
    if page is None:
        raise ConfigError(f"no run yet; start one with: deskloop run -c {shlex.quote(pipeline)}", "the command")
    echo(page)


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the pipeline file, for editors."""
    from deskloop.pipeline.json_schema import pipeline_schema
    from tasks import stages

    click.echo(json.dumps(pipeline_schema(stages()), indent=2))
