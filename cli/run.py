"""`deskloop run`, `prepare` and `plan`."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cli.flow import run_flow
from deskloop.contract.errors import DeskloopError
from deskloop.contract.progress import be_quiet, say
from deskloop.contract.terminal import echo

DEFAULT = "pipeline.yaml"
JSON_KEYS = ("run_id", "status", "steps", "model", "metrics", "decision", "report")


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("-c", "--config", "pipeline", default=DEFAULT, metavar="FILE", show_default=True,
                     help="The pipeline file."),
        click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE",
                     help="Override an option, e.g. --set normalize.max_chars=4000; may be repeated."),
        click.option("--sample", type=click.IntRange(min=1), metavar="N",
                     help="Read only the first N records, into a store of their own."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _partial(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--from", "begin", metavar="STEP", help="Start here; the steps before it stay as last published."),
        click.option("--until", metavar="STEP", help="Stop after this step."),
        click.option("--refit", multiple=True, metavar="STEP", help="Fit a step's artifact again; may be repeated."),
        click.option("--rebuild", is_flag=True, help="Recompute all steps, from raw and the ledger."),
        click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("run")
@_shared
@_partial
def run_command(**options: Any) -> None:
    """Run every step of the pipeline file, then write the report; what has not changed is reused."""
    with _printed(options) as (arguments, document):
        document |= run_flow("retrain", **arguments)


@click.command("prepare")
@_shared
@_partial
def prepare_command(**options: Any) -> None:
    """Run the steps that make tables; ends in the data-quality report."""
    with _printed(options, data_only=True) as (arguments, document):
        document |= run_flow("prepare", **arguments)


@click.command("plan")
@_shared
def plan_command(pipeline: str, overrides: tuple[str, ...], sample: int | None, as_json: bool) -> None:
    """Show what a run would reuse, extend or compute, step by step, and why; computes nothing."""
    from deskloop.engine.plan import plan
    from deskloop.pipeline.load import load_pipeline
    from tasks import stages

    entries = plan(load_pipeline(Path(pipeline), stages(), overrides, sample))
    if as_json:
        click.echo(json.dumps(entries))
        return
    width = max(12, *(len(entry["step"]) for entry in entries))
    before = ""
    for entry in entries:
        reads = "" if entry["inputs"] in ([], [before]) else f"  (reads {', '.join(entry['inputs'])})"
        echo(f"  {entry['step']:<{width}} {entry['action']:<8} {entry['why']}{reads}")
        before = entry["step"]


def _check(options: Mapping[str, Any], data_only: bool = False) -> None:
    """Refuse a bad file or step name at once: Prefect takes seconds to start.

    Args:
        data_only: the run leaves out steps whose output is no table.

    Raises:
        ConfigError: as `load_pipeline`; or a step to start or stop at does not exist, or they are in the wrong order.
    """
    from deskloop.pipeline.load import load_pipeline
    from deskloop.pipeline.preflight import preflight
    from deskloop.run.session import check_refit
    from tasks import stages

    pipeline = load_pipeline(Path(options["pipeline"]), stages(), options["overrides"], options["sample"])
    steps = pipeline.selected(options["begin"], options["until"])
    check_refit(pipeline, options["refit"])
    preflight(pipeline, [step for step in steps if not data_only or step in pipeline.data_steps])


@contextmanager
def _printed(options: dict[str, Any], data_only: bool = False) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Check the options, and print the run's document, which the block fills in; also that of a failed run."""
    as_json = options.pop("as_json")
    be_quiet(options.pop("quiet"))
    _check(options, data_only)
    document: dict[str, Any] = {}
    try:
        yield options | {"overrides": list(options["overrides"]), "refit": list(options["refit"])}, document
    except DeskloopError as error:
        if as_json and error.document is not None:
            click.echo(json.dumps({key: error.document.get(key) for key in JSON_KEYS}))
        raise
    if as_json:
        click.echo(json.dumps({key: document.get(key) for key in JSON_KEYS}))
    else:
        _summarize(document)


def _summarize(document: dict[str, Any]) -> None:
    """Print the short summary at the end."""
    metrics = document["metrics"]
    for name in ("base", "unigram", "bigram", "candidate"):
        if (bits := metrics.get(name, {}).get("bits_per_byte")) is not None:
            say(f"  {name:<12} {bits:.3f} bits per byte of the agents' words, test split")
    if document["model"]:
        echo(f"model:  {document['model']['folder']}")
    echo(f"report: {document['report']}")
