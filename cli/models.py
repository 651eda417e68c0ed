"""`deskloop models`: the registered models and which one is the champion."""

import json
import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click

from cli.desk import Desk, opened
from cli.groups import Suggesting
from cli.options import inspecting, show
from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import tick
from deskloop.contract.terminal import echo

if TYPE_CHECKING:
    from deskloop.models import Model


def details_of(desk: Desk, model: "Model") -> dict[str, Any]:
    """Return the figures of a model's evaluation; empty if there is none, or if it belongs to another store."""
    from deskloop.models.figures import evaluated_as, figures_for

    versions = {version.name: version for version in desk.catalog.versions}
    published = versions.get(model.catalog)
    if published is None or published.fingerprint != model.fingerprint or model.evaluation not in versions:
        return {}
    figures = versions[model.evaluation].details
    candidate = evaluated_as(figures, model.catalog)
    return figures_for(figures, candidate) if candidate else {}


def bits_per_byte(desk: Desk, model: "Model") -> float | None:
    """Return the figure that a model was evaluated at as the candidate."""
    value = details_of(desk, model).get("metrics", {}).get("candidate", {}).get("bits_per_byte")
    return None if value is None else float(value)


def find(desk: Desk, version: str) -> "Model":
    """Find a model: `3` as `models list` numbers it, or `support@3` as the catalog does.

    Raises:
        ConfigError: there is no such version; names the existing ones.
    """
    from deskloop.pipeline.problems import nearest

    models = desk.registry.models(desk.name)
    for model in models:
        if version in (str(model.version), model.catalog):
            return model
    near = nearest(version, [model.catalog for model in models]) if "@" in version else ""
    numbers = ", ".join(str(model.version) for model in reversed(models))
    hint = near or (f"; there are: {numbers}" if models else "; no model is registered yet")
    raise ConfigError(f"no model version {version!r}{hint}", "the request")


@click.group("models", cls=Suggesting)
def models_command() -> None:
    """The registry: list, promote, rollback."""


@models_command.command("list", short_help="List registered versions.")
@inspecting
def list_command(pipeline: str, sample: int | None, as_json: bool) -> None:
    """List registered versions, the newest first: figures, promotions, reasons, data, folder.

    Reads every model's files and compares them with what was registered.
    """
    desk = opened(pipeline, sample)
    models = desk.registry.models(desk.name)
    rows = []
    for number, model in enumerate(models, 1):
        tick(f"  reading model {number} of {len(models)}")
        rows.append(_row(desk, model) | {"damage": model.damage() or None})
    tick("")
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        only = f" --sample {sample}" if sample else ""
        echo(f"no model is registered yet; make one with: deskloop run -c {shlex.quote(pipeline)}{only}", err=True)
    for row in rows:
        figure = f"{row['bits_per_byte']:.3f} bits per byte" if row["bits_per_byte"] is not None else "not evaluated"
        state = ", ".join(row["aliases"]) or ("rolled back" if row["rolled_back"] else "")
        echo(f"{row['version']:>4}  {row['catalog']:<20} {state:<12} {figure:<21} {_promotion(row)}")
        echo(f"      {', '.join(row['data'].values())}")
        if row["erased_rows"]:
            echo(f"      was trained on {row['erased_rows']:,} rows that have since been erased")
        echo(f"      {row['folder']}")
        for line in _reasons(row):
            echo(f"      {line}")


@models_command.command("promote", short_help="Promote a version.")
@click.argument("version")
@click.option("--reason", default="by hand", show_default=True, metavar="TEXT", help="Why; kept with the version.")
@inspecting
def promote_command(version: str, reason: str, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Promote VERSION at once: a number of `models list`, or a name such as support@3.

    Failed gates and an earlier rollback are reported, but do not prevent the promotion.
    """
    desk = opened(pipeline, sample)
    chosen, before = find(desk, version), desk.registry.champion(desk.name)
    failed = _failed_gates(desk, chosen)
    from tasks.promote import describe

    champion = desk.registry.promote(desk.name, chosen.version, reason)
    caveats = ["it was never evaluated"] if failed is None else []
    caveats += [f"it had failed the gate {describe(gate)}" for gate in failed or ()]
    caveats += [f"it was rolled back before: {chosen.rolled_back}"] if chosen.rolled_back else []
    for caveat in () if as_json else caveats:
        echo(caveat, err=True)
    _show_move(desk, before, champion, failed, as_json)


@models_command.command("rollback", short_help="Promote the version before the champion again.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the version that is rolled back.")
@inspecting
def rollback_command(reason: str, pipeline: str, sample: int | None, as_json: bool) -> None:
    """Promote the version before the champion again, at once.

    The version that was rolled back is never promoted again by a run, only by `deskloop models promote`.
    """
    desk = opened(pipeline, sample)
    before, champion = desk.registry.rollback(desk.name, reason)
    _show_move(desk, before, champion, [], as_json)


def _row(desk: Desk, model: "Model") -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "catalog": model.catalog,
        "aliases": list(model.aliases),
        "bits_per_byte": bits_per_byte(desk, model),
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


def _promotion(row: dict[str, Any]) -> str:
    if row["promoted_at"] is None:
        return f"registered {datetime.fromisoformat(row['registered_at']):%Y-%m-%d %H:%M} UTC, never promoted"
    began = "champion since" if "champion" in row["aliases"] else "was champion from"
    after = f", after {row['previous']}" if row["previous"] else ""
    return f"{began} {datetime.fromisoformat(row['promoted_at']):%Y-%m-%d %H:%M} UTC{after}"


def _reasons(row: dict[str, Any]) -> list[str]:
    """Describe why a version was promoted or rolled back, and any damage."""
    lines = [f"last run: {row['decision']}"] if row["decision"] else []
    if "champion" in row["aliases"] and row["reason"]:
        lines.append(f"promoted: {row['reason']}")
    if row["rolled_back"]:
        lines.append(f"rolled back: {row['rolled_back']}")
    if row["damage"]:
        lines.append(f"DAMAGED: {row['damage']}; restore it from a backup")
    return lines


def _failed_gates(desk: Desk, model: "Model") -> list[dict[str, Any]] | None:
    """Return the gates that a model fails, by its registered evaluation; None: it was never evaluated."""
    from tasks.promote import PromoteConfig, judge

    figures = details_of(desk, model)
    if "comparisons" not in figures:
        return None
    config = next(iter(desk.pipeline.configs_of("promote")), PromoteConfig())
    gates = judge({"evaluate": figures}, cast(PromoteConfig, config))
    return [gate for gate in gates if not gate["passed"]]


def _show_move(
    desk: Desk, before: "Model | None", champion: "Model", failed: list[dict[str, Any]] | None, as_json: bool
) -> None:
    """Print the result of a promotion or rollback."""
    name = f"{champion.name} {champion.version} ({champion.catalog})"
    place = f", in place of {before.version} ({before.catalog})" if before else ""
    same = before is not None and before.version == champion.version
    document = {"from": _row(desk, before) if before else None, "to": _row(desk, champion), "failed_gates": failed}
    show(document, as_json, [f"{name} is the champion already" if same else f"{name} is promoted{place}"])
