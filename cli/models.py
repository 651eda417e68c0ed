"""`deskloop models`: which models there are, which one is in use, and how to change that."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from cli.groups import Suggesting
from cli.options import load, sample_option
from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import tick
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    from deskloop.models import Model, Registry
    from deskloop.pipeline.pipeline import Pipeline
    from deskloop.store.catalog import Catalog, Version


@dataclass(frozen=True)
class Desk:
    """What the commands look at: a pipeline file's store, catalog and registry, all opened when they are asked."""

    pipeline: "Pipeline"
    catalog: "Catalog"
    registry: "Registry"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.pipeline.settings.name

    def folder(self, version: "Version") -> Path:
        """Where a model of the catalog lies."""
        return self.pipeline.store / "models" / version.dataset / version.fingerprint[:16]

    def details(self, model: "Model") -> dict[str, Any]:
        """The figures of a model's evaluation; empty where there is none, or where another store's catalog has it."""
        from deskloop.models.figures import evaluated_as, figures_for

        known = {one.name: one for one in self.catalog.versions}
        own = known.get(model.catalog)
        if own is None or own.fingerprint != model.fingerprint or model.evaluation not in known:
            return {}
        figures = known[model.evaluation].details
        candidate = evaluated_as(figures, model.catalog)
        return figures_for(figures, candidate) if candidate else {}

    def bits_per_byte(self, model: "Model") -> float | None:
        """What a model was judged at, when it was the candidate."""
        found = self.details(model).get("metrics", {}).get("candidate", {}).get("bits_per_byte")
        return None if found is None else float(found)

    def find(self, version: str) -> "Model":
        """The model that is meant: `3` as `models list` numbers it, or `support@3` as the catalog does.

        Raises:
            ConfigError: there is none; names those there are.
        """
        from deskloop.pipeline.problems import nearest

        models = self.registry.models(self.name)
        for one in models:
            if version in (str(one.version), one.catalog):
                return one
        there = nearest(version, [one.catalog for one in models]) if "@" in version else ""
        known = ", ".join(str(one.version) for one in reversed(models))
        told = there or (f"; there are: {known}" if models else "; no model is registered yet")
        raise ConfigError(f"no model version {version!r}{told}", "the request")


def open_desk(file: str, sample: int | None = None) -> Desk:
    """A pipeline file with its store, or with that of a sample.

    Raises:
        ConfigError: the file was refused, or there has been no such sample.
    """
    from deskloop.models import Registry
    from deskloop.store.catalog import Catalog

    pipeline = load(file, sample)
    return Desk(pipeline, Catalog(pipeline.store / "catalog"), Registry(pipeline.store))


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("-c", "--config", "file", default="pipeline.yaml", metavar="FILE", show_default=True,
                     help="The pipeline file."),
        sample_option,
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group("models", cls=Suggesting)
def models_command() -> None:
    """The registry: list, promote, rollback."""


@models_command.command("list", short_help="List registered versions.")
@_shared
def list_command(file: str, sample: int | None, as_json: bool) -> None:
    """List registered versions, the newest first: figures, when in use, why, data, folder.

    Every model's files are read and compared with what was registered.
    """
    desk = open_desk(file, sample)
    models = desk.registry.models(desk.name)
    rows = []
    for place, one in enumerate(models, 1):
        tick(f"  reading model {place} of {len(models)}")
        rows.append(_row(desk, one) | {"damage": one.damage() or None})
    tick("")
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        only = f" --sample {sample}" if sample else ""
        echo(f"no model is registered yet; make one with: deskloop run -c {shlex.quote(file)}{only}", err=True)
    for row in rows:
        figure = f"{row['bits_per_byte']:.3f} bits per byte" if row["bits_per_byte"] is not None else "not judged"
        state = ", ".join(row["aliases"]) or ("rolled back" if row["rolled_back"] else "")
        echo(f"{row['version']:>4}  {row['catalog']:<20} {state:<12} {figure:<21} {_told(row)}")
        echo(f"      {', '.join(row['data'].values())}")
        if row["erased_rows"]:
            echo(f"      was trained on {row['erased_rows']:,} rows that have been erased since")
        echo(f"      {row['folder']}")
        for line in _reasons(row):
            echo(f"      {line}")


@models_command.command("promote", short_help="Put a version in use.")
@click.argument("version")
@click.option("--reason", default="by hand", show_default=True, metavar="TEXT", help="Why; kept with the version.")
@_shared
def promote_command(version: str, reason: str, file: str, sample: int | None, as_json: bool) -> None:
    """Put VERSION in use at once: a number of `models list`, or a name such as support@3.

    A gate that it failed, or an earlier rollback, is told and does not stop it: the decision is yours.
    """
    desk = open_desk(file, sample)
    chosen, before = desk.find(version), desk.registry.champion(desk.name)
    failed = _failed_gates(desk, chosen)
    from tasks.promote import describe

    champion = desk.registry.promote(desk.name, chosen.version, reason)
    if as_json:
        echo(_moved(desk, before, champion, failed))
        return
    if failed is None:
        echo("it was never judged", err=True)
    for gate in failed or ():
        echo(f"it had failed the gate {describe(gate)}", err=True)
    if chosen.rolled_back:
        echo(f"it was rolled back before: {chosen.rolled_back}", err=True)
    _say_moved(before, champion)


@models_command.command("rollback", short_help="Promote the version before the champion again.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the version that is rolled back.")
@_shared
def rollback_command(reason: str, file: str, sample: int | None, as_json: bool) -> None:
    """Promote the version before the champion again, at once.

    The version that was rolled back is never promoted again by a run, only by `deskloop models promote`.
    """
    desk = open_desk(file, sample)
    before, champion = desk.registry.rollback(desk.name, reason)
    if as_json:
        echo(_moved(desk, before, champion, []))
        return
    _say_moved(before, champion)


def _row(desk: Desk, model: "Model") -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "catalog": model.catalog,
        "aliases": list(model.aliases),
        "bits_per_byte": desk.bits_per_byte(model),
        "registered_at": model.registered_at.isoformat(),
        "promoted_at": model.promoted_at.isoformat() if model.promoted_at else None,
        "previous": model.previous,
        "reason": model.reason or None,
        "decision": model.decision or None,
        "rolled_back": model.rolled_back or None,
        "erased_rows": model.erased.get("rows", 0),
        "evaluation": model.evaluation or None,
        "report": model.report or None,
        "data": model.data,
        "folder": str(model.folder),
    }


def _told(row: dict[str, Any]) -> str:
    if row["promoted_at"] is None:
        return f"registered {datetime.fromisoformat(row['registered_at']):%Y-%m-%d %H:%M} UTC, never in use"
    began = "in use since" if "champion" in row["aliases"] else "was in use from"
    after = f", after {row['previous']}" if row["previous"] else ""
    return f"{began} {datetime.fromisoformat(row['promoted_at']):%Y-%m-%d %H:%M} UTC{after}"


def _reasons(row: dict[str, Any]) -> list[str]:
    """Why a version stands where it does, and what is wrong with it."""
    lines = [f"last run: {row['decision']}"] if row["decision"] else []
    if "champion" in row["aliases"] and row["reason"]:
        lines.append(f"promoted: {row['reason']}")
    if row["rolled_back"]:
        lines.append(f"rolled back: {row['rolled_back']}")
    if row["damage"]:
        lines.append(f"DAMAGED: {row['damage']}; restore it from a backup")
    return lines


def _failed_gates(desk: Desk, model: "Model") -> list[dict[str, Any]] | None:
    """The gates that a model does not pass, by the evaluation it was registered with; None: never judged."""
    from tasks.promote import PromoteConfig, judge

    found = desk.details(model)
    if "comparisons" not in found:
        return None
    configs = [cast(PromoteConfig, one) for one in desk.pipeline.configs_of("promote")]
    gates = judge({"evaluate": found}, (configs or [PromoteConfig()])[0])
    return [gate for gate in gates if not gate["passed"]]


def _moved(desk: Desk, before: "Model | None", champion: "Model", failed: list[dict[str, Any]] | None) -> str:
    """The JSON document of a change."""
    return json.dumps(
        {
            "from": _row(desk, before) if before else None,
            "to": _row(desk, champion),
            "failed_gates": failed,
        }
    )


def _say_moved(before: "Model | None", champion: "Model") -> None:
    if before is not None and before.version == champion.version:
        echo(f"{champion.name} {champion.version} ({champion.catalog}) is in use already")
        return
    place = f", in place of {before.version} ({before.catalog})" if before else ""
    echo(f"{champion.name} {champion.version} ({champion.catalog}) is in use{place}")
