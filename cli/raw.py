"""`deskloop data trace` and `deskloop data gc`: what may look into the raw zone, and what empties it."""

import json
from dataclasses import asdict
from typing import Any

import click

from cli.options import load, sample_option
from deskloop.contract.terminal import echo

_config = click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def _loaded(pipeline: str, sample: int | None) -> tuple[Any, Any]:
    from deskloop.store.store import Store

    loaded = load(pipeline, sample)
    return loaded, Store(loaded.store)


@click.command("trace", short_help="Follow a row back through every dataset.")
@click.argument("row_id")
@_config
@sample_option
@click.option("--raw", is_flag=True, help="Show the raw row too: personal data; who looked is noted in the ledger.")
@_json
def trace_command(row_id: str, pipeline: str, sample: int | None, raw: bool, as_json: bool) -> None:
    """Follow a row back to its source: every dataset it went through, what each step did, and the scrubbed text."""
    from deskloop.audit.trace import trace

    loaded, store = _loaded(pipeline, sample)
    stops = trace(loaded, store, row_id, raw)
    if as_json:
        echo(json.dumps([asdict(stop) for stop in stops], default=str, ensure_ascii=False))
        return
    text: Any = None
    for stop in stops:
        echo(f"{stop.version:<24} {stop.step:<12} {stop.row_id:<24} {stop.happened}")
        shown = {name: value for name, value in stop.row.items() if name != "turns"}
        if shown:
            echo("    " + "  ".join(f"{name}={value}" for name, value in shown.items()))
        if "turns" in stop.row and stop.row["turns"] != text:
            text = stop.row["turns"]
            for turn in text:
                echo(f"    {turn['role']}: {turn['text']}")


@click.command("gc", short_help="Delete raw rows older than `raw_days`.")
@_config
@sample_option
@click.option("--dry-run", is_flag=True, help="Count what would go; delete nothing.")
@_json
def gc_command(pipeline: str, sample: int | None, dry_run: bool, as_json: bool) -> None:
    """Delete raw rows that are older than `raw_days`, in every version; what was made from them stays."""
    from deskloop.engine.retention import expire

    loaded, store = _loaded(pipeline, sample)
    with store.locked():
        counts = expire(loaded, store, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(counts))
        return
    if loaded.settings.raw_days is None:
        echo("raw rows are kept: the pipeline file sets no `raw_days`")
        return
    for dataset, count in counts.items():
        echo(f"{dataset:<24} {count:>9,} rows {'would go' if dry_run else 'deleted'}")
