"""`deskloop data`: what versions there are, their rows, how two of them differ, and a person removed from all."""

import json
from datetime import datetime
from typing import Any

import click

from cli.backup import backup_command, restore_command
from cli.erase import erase_command
from cli.groups import Suggesting
from cli.keys import keys_command
from cli.options import load, sample_option
from cli.raw import gc_command, trace_command
from cli.verify import verify_command
from deskloop.contract.errors import ConfigError
from deskloop.contract.terminal import echo


@click.group("data", cls=Suggesting)
def data_command() -> None:
    """Versions: log, show, diff, trace; a person erased; backup and restore; retention; keys."""


data_command.add_command(erase_command)
data_command.add_command(keys_command)
data_command.add_command(trace_command)
data_command.add_command(gc_command)
data_command.add_command(verify_command)
data_command.add_command(backup_command)
data_command.add_command(restore_command)


def _catalog(pipeline: str, sample: int | None) -> tuple[Any, Any]:
    from deskloop.store.catalog import Catalog
    from deskloop.store.erasures import pending
    from deskloop.store.store import Store

    store = Store(load(pipeline, sample).store)
    if pending(store.root / "ledger"):
        raise ConfigError(f"an erasure in {store.root} is not finished; finish it: deskloop data erase", "the store")
    return store, Catalog(store.root / "catalog")


def _refuse_raw(version: Any) -> None:
    if version.zone == "raw":
        raise ConfigError(
            f"{version.name} is in the raw zone and holds personal data; one of its rows is shown, and the look at it "
            f"noted, by `deskloop data trace ROW_ID --raw`",
            "the command",
        )


_config = click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


@data_command.command("log", short_help="List published versions.")
@click.argument("dataset", required=False)
@_config
@sample_option
@_json
def log_command(dataset: str | None, pipeline: str, sample: int | None, as_json: bool) -> None:
    """List published versions, the newest last; of one DATASET or of all."""
    from tasks.scrub.report import recall

    _, catalog = _catalog(pipeline, sample)
    chosen = [one for one in catalog.in_order() if dataset in (None, one.dataset)]
    if dataset is not None and not chosen:
        chosen = [catalog.get(dataset)]
    keys = (
        "dataset", "version", "published_at", "rows", "rejected", "mode", "why", "digest", "run_id", "erased_at", "gone"
    )  # fmt: skip
    rows = [
        {key: getattr(one, key) for key in keys} | {"parents": [p.name for p in one.parents], "recall": recall(one)}
        for one in chosen
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        echo("nothing is published yet", err=True)
    for one, row in zip(chosen, rows, strict=True):
        when = f"{datetime.fromisoformat(row['published_at']):%Y-%m-%d %H:%M}"
        parents = ", ".join(row["parents"])
        name = f"{row['dataset']}@{row['version']}"
        told = f"{one.rows:>9,} rows  {one.digest[:8]}"
        if one.gone:
            told = f"{'expired' if one.details.get('expired') else 'erased':>14}{'':<10}"
        found = f"  recall {_share(row['recall'])}" if row["recall"] else ""
        echo(f"{name:<24} {when}  {told}  {row['why']}  <- {parents or 'sources'}{found}")


def _share(found: dict[str, Any]) -> str:
    """Recall with its 95% interval, of values planted into a sample: `0.94 (0.93 to 0.95)`."""
    part = found["found"] / found["planted"] if found["planted"] else 1.0
    return f"{part:.2f} ({found['low']:.2f} to {found['high']:.2f})"


@data_command.command("show", short_help="Print rows of a version.")
@click.argument("version", metavar="DATASET[@VERSION]")
@_config
@sample_option
@click.option("-n", "--rows", "limit", type=click.IntRange(min=1), default=5, show_default=True, help="How many rows.")
def show_command(version: str, pipeline: str, sample: int | None, limit: int) -> None:
    """Print rows of a version as JSON Lines, ordered by row_id."""
    store, catalog = _catalog(pipeline, sample)
    found = catalog.get(version)
    if found.kind != "dataset":
        click.echo(json.dumps(found.details))
        return
    _refuse_raw(found)
    table = store.read(found.zone, found.dataset, found.delta_version).sort_by("row_id").slice(0, limit)
    for row in table.to_pylist():
        echo(json.dumps(row, default=str, ensure_ascii=False))


@data_command.command("diff", short_help="Compare two versions by row.")
@click.argument("old", metavar="DATASET@OLD")
@click.argument("new", metavar="DATASET@NEW")
@_config
@sample_option
@_json
def diff_command(old: str, new: str, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Compare two versions by row: how many are the same, changed, added and gone."""
    store, catalog = _catalog(pipeline, sample)
    sides = []
    for name in (old, new):
        found = catalog.get(name)
        if found.kind != "dataset":
            raise ConfigError(f"{found.name} is a {found.kind}, not a dataset", "the command")
        _refuse_raw(found)
        table = store.read(found.zone, found.dataset, found.delta_version, ["row_id", "_hash"])
        sides.append(dict(zip(table["row_id"].to_pylist(), table["_hash"].to_pylist(), strict=True)))
    before, after = sides
    both = before.keys() & after.keys()
    changed = sorted(row_id for row_id in both if before[row_id] != after[row_id])
    lists = {
        "changed": changed,
        "added": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
    }
    if as_json:
        click.echo(json.dumps({"same": len(both) - len(changed), **lists}))
        return
    echo(f"same     {len(both) - len(changed):>9,}")
    for name, ids in lists.items():
        echo(f"{name:<8} {len(ids):>9,}  {' '.join(ids[:5])}{' ...' if len(ids) > 5 else ''}")
