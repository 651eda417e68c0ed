"""`deskloop data`: what versions there are, their rows, and how two of them differ."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from deskloop.errors import ConfigError


@click.group("data")
def data_command() -> None:
    """Versions: log, show, diff."""


def _catalog(pipeline: str) -> tuple[Any, Any]:
    from deskloop.catalog import Catalog
    from deskloop.config import load_pipeline
    from deskloop.store import Store
    from tasks import sections, stages

    store = Store(load_pipeline(Path(pipeline), stages(), sections()).store)
    return store, Catalog(store.root / "catalog")


_config = click.option(
    "-c", "--config", "pipeline", default="pipeline.yaml", metavar="FILE", show_default=True, help="The pipeline file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


@data_command.command("log", short_help="List published versions.")
@click.argument("dataset", required=False)
@_config
@_json
def log_command(dataset: str | None, pipeline: str, as_json: bool) -> None:
    """List published versions, the newest last; of one DATASET or of all."""
    _, catalog = _catalog(pipeline)
    chosen = [one for one in catalog.versions if dataset in (None, one.dataset)]
    if dataset is not None and not chosen:
        chosen = [catalog.get(dataset)]
    chosen.sort(key=lambda one: one.published_at)
    keys = ("dataset", "version", "published_at", "rows", "rejected", "mode", "why", "digest", "run_id")
    rows = [{key: getattr(one, key) for key in keys} | {"parents": [p.name for p in one.parents]} for one in chosen]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("nothing is published yet", err=True)
    for row in rows:
        when = f"{datetime.fromisoformat(row['published_at']):%Y-%m-%d %H:%M}"
        parents = ", ".join(row["parents"])
        name = f"{row['dataset']}@{row['version']}"
        click.echo(
            f"{name:<24} {when}  {row['rows']:>9,} rows  {row['digest'][:8]}  {row['why']}  <- {parents or 'sources'}"
        )


@data_command.command("show", short_help="Print rows of a version.")
@click.argument("version", metavar="DATASET[@VERSION]")
@_config
@click.option("-n", "--rows", "limit", type=click.IntRange(min=1), default=5, show_default=True, help="How many rows.")
@click.option("--raw", is_flag=True, help="Allow a dataset of the raw zone, which holds personal data.")
def show_command(version: str, pipeline: str, limit: int, raw: bool) -> None:
    """Print rows of a version as JSON Lines, ordered by row_id."""
    store, catalog = _catalog(pipeline)
    found = catalog.get(version)
    if found.kind != "dataset":
        click.echo(json.dumps(found.details))
        return
    if found.zone == "raw" and not raw:
        raise ConfigError(
            f"{found.name} is in the raw zone and holds personal data; add --raw to see it", "the command"
        )
    table = store.read(found.zone, found.dataset, found.delta_version).sort_by("row_id").slice(0, limit)
    for row in table.to_pylist():
        click.echo(json.dumps(row, default=str, ensure_ascii=False))


@data_command.command("diff", short_help="Compare two versions by row.")
@click.argument("old", metavar="DATASET@OLD")
@click.argument("new", metavar="DATASET@NEW")
@_config
@_json
def diff_command(old: str, new: str, pipeline: str, as_json: bool) -> None:
    """Compare two versions by row: how many are the same, changed, added and gone."""
    store, catalog = _catalog(pipeline)
    sides = []
    for name in (old, new):
        found = catalog.get(name)
        if found.kind != "dataset":
            raise ConfigError(f"{found.name} is a {found.kind}, not a dataset", "the command")
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
    click.echo(f"same     {len(both) - len(changed):>9,}")
    for name, ids in lists.items():
        click.echo(f"{name:<8} {len(ids):>9,}  {' '.join(ids[:5])}{' ...' if len(ids) > 5 else ''}")
