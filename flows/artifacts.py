"""Prefect artifacts: the outcome of each step, and where the report is. Names, counts and ids only.

Artifacts are for display: one that cannot be created is logged, and the run continues.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from deskloop.contract.errors import DeskloopError, MachineError
from deskloop.engine.firewall import guarded
from deskloop.engine.workspace import Made
from deskloop.pipeline.pipeline import Step
from deskloop.run.session import Run
from deskloop.store.catalog import Version


@contextmanager
def _optional(run: Run, name: str) -> Iterator[None]:
    """Log that an artifact could not be created, as when the server is away; signals pass."""
    try:
        with guarded(name, store=run.store.root):
            yield
    except Exception as error:
        reason = error if isinstance(error, MachineError) else getattr(error, "cause", type(error).__name__)
        run.say(f"  {name:<12} no artifact in Prefect ({reason})")


def describe_step(run: Run, step: Step, made: Made) -> None:
    """Create a markdown artifact: why the step ran or was reused, and its rows and expectations, or its figures."""
    with _optional(run, step.name):
        _create(run, step.name, *_outcome(step, made))


def _outcome(step: Step, made: Made) -> tuple[list[str], str]:
    """Return the lines of a step's artifact, and its summary."""
    first = made.versions[0]
    action = {"reuse": "reused", "extend": "extended", "compute": "computed"}[made.decision.action]
    lines = [
        f"## {step.name}: {action}",
        "",
        f"{made.decision.why[:1].upper()}{made.decision.why[1:]}.",
        "",
        "| output | rows | digest |",
        "|---|---:|---|",
        *(f"| `{output.name}` | {f'{output.rows:,}' if output.kind == 'dataset' else '–'} | `{output.digest[:12]}` |"
          for output in made.versions),
        "",
    ]  # fmt: skip
    if first.kind == "dataset":
        lines += _rows(first)
    if first.kind == "promotion":
        lines += _gates(first.details["gates"])
    if first.kind == "evaluation":
        lines += _metrics(first.details.get("metrics", {}))
    lines += [f"Made from {', '.join(f'`{parent.name}`' for parent in first.parents) or 'the sources'}."]
    summary = action
    if first.kind == "dataset":
        summary += f", {first.rows_in:,} rows in, {first.rows_out:,} out, {first.rejected:,} rejected"
    if first.kind == "promotion":
        summary = str(first.details["why"])
    return lines, summary


def describe_failure(run: Run, error: DeskloopError) -> None:
    """Create a markdown artifact: why the step under way failed."""
    if run.failed:
        with _optional(run, run.failed):
            _create(run, run.failed, [f"## {run.failed}: failed", "", str(error)], "failed, nothing was published")


def _create(run: Run, step: str, lines: list[str], summary: str) -> None:
    key = artifact_key(run.pipeline.settings.name, step)
    create_markdown_artifact("\n".join(lines), key, description=f"{step}: {summary}")


def link_report(run: Run, document: dict[str, Any]) -> None:
    """Create a link to the page of the run; its text is the path, since browsers open no files from a web page."""
    page = Path(document["report"]).resolve()
    step = document.get("failed_step")
    status = f"{document['status']} in {step}" if step else document["status"]
    key = artifact_key(run.pipeline.settings.name, "report")
    description = f"report of run {run.id}: {status}"
    with _optional(run, "report"):
        create_link_artifact(page.as_uri(), link_text=str(page), key=key, description=description)


def artifact_key(*names: str) -> str:
    """The key under which Prefect keeps the history of an artifact: lower-case letters, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")


def _rows(first: Version) -> list[str]:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in first.reasons.items())
    failed = [result for result in first.expectations if not result["passed"]]
    met = f"{len(first.expectations) - len(failed)} of {len(first.expectations)} met"
    listed = "".join(f"\n* **{result['severity']}**: {result['description']}" for result in failed)
    return [
        "| in | out | rejected | added |",
        "|---:|---:|---:|---:|",
        f"| {first.rows_in:,} | {first.rows_out:,} | {first.rejected:,} | {first.added:,} |",
        "",
        f"Rejected: {reasons or 'none'}.",
        "",
        f"Expectations: {met}.{listed}",
        "",
    ]


def _gates(gates: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"| {gate['gate']} | {'yes' if gate['passed'] else '**no**'} | {gate['value']} | {gate['threshold']} |"
        for gate in gates
    ]
    return ["| gate | passed | value | threshold |", "|---|---|---:|---:|", *rows, ""]


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    """Return a row for each number: bits per byte of models, else the figures of another kind of evaluation."""
    cells = {name: cell if isinstance(cell, Mapping) else {"": cell} for name, cell in metrics.items()}
    if any("bits_per_byte" in cell for cell in cells.values()):
        cells = {name: {"": cell["bits_per_byte"]} for name, cell in cells.items() if "bits_per_byte" in cell}
        title = ["| model | bits per byte |"]
    else:
        title = ["| figure | value |"]
    rows = [
        f"| {' '.join(filter(None, (name, figure)))} | {value:.3f} |"
        for name, cell in cells.items()
        for figure, value in cell.items()
        if isinstance(value, int | float)
    ]
    return [*title, "|---|---:|", *rows, ""] if rows else []
