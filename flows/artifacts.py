"""Prefect artifacts: what each step came to, and where the report is. Names, counts and ids only."""

import re
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from deskloop.engine.engine import Made
from deskloop.pipeline.pipeline import Step
from deskloop.run.session import Run
from deskloop.store.catalog import Version


def describe_step(run: Run, step: Step, made: Made) -> None:
    """A markdown artifact: why the step ran or did not, its rows, rejects and expectations, or its figures."""
    first = made.versions[0]
    action = {"reuse": "reused", "extend": "extended", "compute": "computed"}[made.decision.action]
    lines = [
        f"## {step.name}: {action}",
        "",
        f"{made.decision.why[:1].upper()}{made.decision.why[1:]}.",
        "",
        "| output | rows | digest |",
        "|---|---:|---|",
        *(f"| `{one.name}` | {f'{one.rows:,}' if one.kind == 'dataset' else '–'} | `{one.digest[:12]}` |"
          for one in made.versions),
        "",
    ]  # fmt: skip
    if first.kind == "dataset":
        lines += _rows(first)
    if first.kind == "promotion":
        lines += [f"**{first.details['why']}**", "", *_gates(first.details["gates"])]
    if first.kind == "evaluation":
        lines += _metrics(first.details.get("metrics", {}))
    lines += [f"Made from {', '.join(f'`{one.name}`' for one in first.parents) or 'the sources'}."]
    key = artifact_key(run.pipeline.settings.name, step.name)
    create_markdown_artifact("\n".join(lines), key, description=f"{step.name}: {action}")


def link_report(run: Run, document: dict[str, Any]) -> None:
    """A link to the page of the run."""
    page = Path(document["report"]).resolve().as_uri()
    key = artifact_key(run.pipeline.settings.name, "report")
    create_link_artifact(page, link_text=f"report of run {run.id}", key=key, description="The report")


def artifact_key(*names: str) -> str:
    """The key under which Prefect keeps the history of an artifact: lower-case letters, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")


def _rows(first: Version) -> list[str]:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in first.reasons.items())
    failed = [one for one in first.expectations if not one["passed"]]
    met = f"{len(first.expectations) - len(failed)} of {len(first.expectations)} met"
    told = "".join(f"\n* **{one['severity']}**: {one['description']}" for one in failed)
    return [
        "| in | out | rejected | added |",
        "|---:|---:|---:|---:|",
        f"| {first.rows_in:,} | {first.rows_out:,} | {first.rejected:,} | {first.added:,} |",
        "",
        f"Rejected: {reasons or 'none'}.",
        "",
        f"Expectations: {met}.{told}",
        "",
    ]


def _gates(gates: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"| {gate['gate']} | {'yes' if gate['passed'] else '**no**'} | {gate['value']} | {gate['threshold']} |"
        for gate in gates
    ]
    return ["| gate | passed | value | threshold |", "|---|---|---:|---:|", *rows, ""]


def _metrics(metrics: dict[str, dict[str, Any]]) -> list[str]:
    rows = [f"| {name} | {figures['bits_per_byte']:.3f} |" for name, figures in metrics.items()]
    return ["| model | bits per byte |", "|---|---:|", *rows, ""] if rows else []
