"""The end of a run, successful or not: its document, its page and its Data Docs."""

from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import DamageError
from deskloop.engine.data_docs import build_docs
from deskloop.report.run_document import summarize
from deskloop.run.session import Run

LATEST = "latest"  # a file with the id of the run that ended last; ids begin with the time, and clocks may be set back


def conclude(run: Run, error: str | None = None) -> dict[str, Any]:
    """Write `reports/<run_id>/`: run.json, index.html, and the Data Docs of every step's validation.

    Returns:
        The run's document, `report` being the page.
    """
    from deskloop.report import render

    folder = run.store.root / "reports" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    document = _summary(run, error)
    documents = {
        name: entry.versions[0].details["validation"]
        for name, entry in run.entries.items()
        if "validation" in entry.versions[0].details
    }
    document["data_docs"] = None
    if documents:
        index = build_docs(documents, folder / "data_docs", run.id)
        document["data_docs"] = str(index.relative_to(folder))
    page = folder / "index.html"
    stages = {step.stage.name: step.stage for step in run.pipeline.steps}
    page.write_text(render(document, stages, document["problems"]), encoding="utf-8")
    for problem in document["problems"]:
        run.say(f"  {'report':<12} {problem}")
    document["report"] = str(page)
    (folder / "run.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
    note = folder.with_name(f".{LATEST}")
    note.write_text(run.id)
    note.replace(folder.with_name(LATEST))
    return document


def _summary(run: Run, error: str | None) -> dict[str, Any]:
    """Return the run's document; damaged tables are rebuilt first, unless the run has already failed."""
    if error is not None:
        try:
            return summarize(run, error)
        except DamageError as damage:
            run.say(f"  the report has no counts: {damage}")
            return summarize(run, error, counted=False)

    def summary() -> dict[str, Any]:
        run.note_rebuilt()
        return summarize(run)

    return run.engine.mended(summary)


def latest_report(store: Path) -> Path | None:
    """Return the page of the run that ended last, if there is one."""
    noted = store / "reports" / LATEST
    page = store / "reports" / (noted.read_text() if noted.exists() else "") / "index.html"
    if page.exists():
        return page
    pages = sorted((store / "reports").glob("*/index.html"))
    return pages[-1] if pages else None
