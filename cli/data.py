"""`deskloop data`: published versions, their rows and differences, and the commands that maintain a store."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.backup import backup_command, restore_command
from cli.erase import erase_command
from cli.groups import Suggesting
from cli.keys import keys_command
from cli.opened import Desk, opened
from cli.options import config_option, inspecting, sample_option, show
from cli.raw import gc_command, trace_command
from cli.verify import verify_command
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    import pyarrow as pa

    from deskloop.store.catalog import Version


@click.group("data", cls=Suggesting)
def data_command() -> None:
    """Versions: log, show, diff, trace; erasure; backup and restore; retention; keys."""


for command in (
    erase_command,
    keys_command,
    trace_command,
    gc_command,
    verify_command,
    backup_command,
    restore_command,
):
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
