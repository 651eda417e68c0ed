"""`deskloop data trace` and `deskloop data gc`: commands that read or empty the raw zone."""

import json
from dataclasses import asdict
from typing import Any

import click

from cli.opened import opened
from cli.options import inspecting, show
from deskloop.contract.terminal import echo


@click.command("trace", short_help="Follow a row back through every dataset.")
@click.argument("row_id")
@inspecting
@click.option("--raw", is_flag=True, help="Show the raw row too: personal data; who looked is recorded in the ledger.")
def trace_command(row_id: str, pipeline: str, sample: int | None, raw: bool, as_json: bool) -> None:
    """Follow a row back to its source: every dataset it passed, what each step did, and the scrubbed text."""
    from deskloop.audit.trace import trace

    desk = opened(pipeline, sample)
    stops = trace(desk.pipeline, desk.store, row_id, raw)
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
@inspecting
@click.option("--dry-run", is_flag=True, help="Count the rows; delete nothing.")
def gc_command(pipeline: str, sample: int | None, dry_run: bool, as_json: bool) -> None:
    """Delete raw rows that are older than `raw_days`, in every version; rows made from them stay."""
    from deskloop.engine.retention import expire

    desk = opened(pipeline, sample)
    with desk.store.locked():
        counts = expire(desk.pipeline, desk.store, dry_run=dry_run)
    done = "would go" if dry_run else "deleted"
    lines = [f"{dataset:<24} {count:>9,} rows {done}" for dataset, count in counts.items()]
    if desk.pipeline.settings.raw_days is None:
        lines = ["raw rows are kept: the pipeline file sets no `raw_days`"]
    show(counts, as_json, lines)
