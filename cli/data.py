"""`deskloop data`: published versions, their rows and differences, and the commands that maintain a store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.backup import backup_command, restore_command
from cli.desk import Desk, opened
from cli.erase import erase_command
from cli.groups import Suggesting
from cli.keys import keys_command
from cli.options import config_option, inspecting, sample_option, show
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    import pyarrow as pa

    from deskloop.store.catalog import Version


@click.group("data", cls=Suggesting)
def data_command() -> None:
    """Versions: log, show, diff, trace; erasure; backup and restore; retention; keys."""


for command in (erase_command, keys_command, backup_command, restore_command):
    data_command.add_command(command)


def _desk(pipeline: str, sample: int | None) -> Desk:
    from deskloop.store.erasures import pending

    desk = opened(pipeline, sample)
    root = desk.store.root
    if pending(root / "ledger"):
        raise ConfigError(f"an erasure in {root} is not finished; finish it: deskloop data erase", "the store")
    return desk


def _rows(desk: Desk, version: "Version", columns: Sequence[str] | None = None) -> "pa.Table":
    """Rows of a version.

    Raises:
        ConfigError: the version is in the raw zone.
    """
    if version.zone == "raw":
        raise ConfigError(
            f"{version.name} is in the raw zone and holds personal data; `deskloop data trace ROW_ID --raw` shows one "
            "of its rows and records who looked",
            "the command",
        )
    return desk.store.read(version.zone, version.dataset, version.delta_version, columns)


@data_command.command("log", short_help="List published versions.")
@click.argument("dataset", required=False)
@inspecting
def log_command(dataset: str | None, pipeline: str, sample: int | None, as_json: bool) -> None:
    """List published versions, the newest last; of one DATASET or of all."""
    from tasks.scrub.report import recall

    catalog = _desk(pipeline, sample).catalog
    versions = [version for version in catalog.in_order() if dataset in (None, version.dataset)]
    if dataset is not None and not versions:
        versions = [catalog.get(dataset)]
    keys = (
        "dataset", "version", "published_at", "rows", "rejected", "mode", "why", "digest", "run_id", "erased_at", "gone"
    )  # fmt: skip
    rows = [
        {key: getattr(version, key) for key in keys}
        | {"parents": [parent.name for parent in version.parents], "recall": recall(version)}
        for version in versions
    ]
    if not rows and not as_json:
        echo("nothing is published yet", err=True)
    show(rows, as_json, map(_line, versions, rows))


def _line(version: "Version", row: Mapping[str, Any]) -> str:
    when = f"{datetime.fromisoformat(version.published_at):%Y-%m-%d %H:%M}"
    size = f"{version.rows:>9,} rows  {version.digest[:8]}"
    if version.gone:
        size = f"{'expired' if version.details.get('expired') else 'erased':>14}{'':<10}"
    parents = ", ".join(row["parents"]) or "sources"
    measured = f"  recall {_share(row['recall'])}" if row["recall"] else ""
    return f"{version.name:<24} {when}  {size}  {version.why}  <- {parents}{measured}"


def _share(measured: Mapping[str, Any]) -> str:
    """Recall with its 95% interval, of values planted into a sample: `0.94 (0.93 to 0.95)`."""
    share = measured["found"] / measured["planted"] if measured["planted"] else 1.0
    return f"{share:.2f} ({measured['low']:.2f} to {measured['high']:.2f})"


@data_command.command("show", short_help="Print rows of a version.")
@click.argument("version", metavar="DATASET[@VERSION]")
@config_option
@sample_option
@click.option("-n", "--rows", "limit", type=click.IntRange(min=1), default=5, show_default=True, help="How many rows.")
def show_command(version: str, pipeline: str, sample: int | None, limit: int) -> None:
    """Print rows of a version as JSON Lines, ordered by row_id."""
    desk = _desk(pipeline, sample)
    chosen = desk.catalog.get(version)
    if chosen.kind != "dataset":
        click.echo(json.dumps(chosen.details))
        return
    for row in _rows(desk, chosen).sort_by("row_id").slice(0, limit).to_pylist():
        echo(json.dumps(row, default=str, ensure_ascii=False))


@data_command.command("diff", short_help="Compare two versions by row.")
@click.argument("old", metavar="DATASET@OLD")
@click.argument("new", metavar="DATASET@NEW")
@inspecting
def diff_command(old: str, new: str, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Compare two versions by row: how many are the same, changed, added and gone."""
    desk = _desk(pipeline, sample)
    sides = []
    for name in (old, new):
        version = desk.catalog.get(name)
        if version.kind != "dataset":
            raise ConfigError(f"{version.name} is a {version.kind}, not a dataset", "the command")
        table = _rows(desk, version, ["row_id", "_hash"])
        sides.append(dict(zip(table["row_id"].to_pylist(), table["_hash"].to_pylist(), strict=True)))
    before, after = sides
    both = before.keys() & after.keys()
    changed = sorted(row_id for row_id in both if before[row_id] != after[row_id])
    lists = {
        "changed": changed,
        "added": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
    }
    same = len(both) - len(changed)
    lines = [
        f"{name:<8} {len(ids):>9,}  {' '.join(ids[:5])}{' ...' if len(ids) > 5 else ''}" for name, ids in lists.items()
    ]
    show({"same": same, **lists}, as_json, [f"same     {same:>9,}", *lines])


@data_command.command("trace", short_help="Follow a row back through every dataset.")
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


@data_command.command("gc", short_help="Delete raw rows older than `raw_days`.")
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


@data_command.command("verify", short_help="Compare everything in the store with its checksums.")
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
