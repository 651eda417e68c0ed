"""The report of a run: one HTML page that stands alone, with no script and no request to another host.

    Path("report.html").write_text(render(run, stages), encoding="utf-8")

Each section has a function that turns the document of the run into rows, and a template of the section's name. The
sections here are about all pipelines; stages bring their own (deskloop.contract.report), in the order of the steps. A
document holds counts, ids and types; the only free text are the declared prompts and the models' replies, which the
templates escape like everything else. The page's content policy forbids scripts.
"""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deskloop.contract.report import Report, Section
from deskloop.contract.stage import DataStage, Stage
from deskloop.pipeline.extensions import report_of
from deskloop.report import words
from deskloop.report.dag import dag
from deskloop.report.data import funnel
from deskloop.report.evidence import environment, expectations, lineage
from deskloop.report.model import comparison, decision, replies, training
from deskloop.report.summary import summary

FOLDER = Path(__file__).parent
MODEL = (
    Section("training", "How training went", "Training", training),
    Section("comparison", "How the models compare", "Comparison", comparison),
    Section("decision", "What was decided", "Decision", decision),
    Section("replies", "What the models answer", "Replies", replies),
)
PIPELINE = Section("pipeline", "The steps of the pipeline", "Pipeline", dag)
EVIDENCE = (
    Section("expectations", "What was expected of the data", "Expectations", expectations),
    Section("lineage", "What was made from what", "Lineage", lineage),
    Section("environment", "What it was made with", "Versions", environment),
)
KEPT = ("settings", "equipment")  # where a null has a meaning


def render(run: dict[str, Any], stages: Mapping[str, Stage]) -> str:
    """Return the page of one run.

    Args:
        run: `pipeline`, `run_id`, `status` and `steps` (in order), and as much of the other keys of the document
            (deskloop.report.run_document, and those of the stages' tallies) as the run has, in the types of JSON (no
            NumPy); not modified; null is the same as missing. A section without data is left out, and the page says so.
        stages: the stages of the pipeline by name, in the order of its steps.
    Returns:
        HTML, the style sheet included.
    """
    run = _present(run)
    reports = {name: report for name, stage in stages.items() if (report := report_of(stage)) is not None}
    parts = sections_of(stages, reports)
    rows = {one.name: rows for part in parts.values() for one in part if (rows := one.rows(run)) is not None}
    folders = (FOLDER, FOLDER / "sections", *dict.fromkeys(report.folder for report in reports.values()))
    template = _templates(folders).get_template("template.html")
    return template.render(
        **rows,
        run=run,
        summary=summary(run, stages, list(reports.values())),
        parts={part: [section for section in sections if section.name in rows] for part, sections in parts.items()},
        found=rows.keys(),
        absent=[
            section.label
            for part in parts.values()
            for section in part
            if section.name not in rows and section is not PIPELINE
        ],
    )


def sections_of(stages: Mapping[str, Stage], reports: Mapping[str, Report]) -> dict[str, tuple[Section, ...]]:
    """Return the sections of a pipeline's page by part: those of all pipelines, and those of its stages."""
    conversations = Section("funnel", "Where every conversation went", "Conversations", partial(funnel, stages=stages))
    data = [one for name, report in reports.items() if isinstance(stages[name], DataStage) for one in report.sections]
    model = [one for name, report in reports.items() for one in report.sections if one not in data]
    return {"The data": (PIPELINE, conversations, *data), "The model": (*MODEL, *model), "The evidence": EVIDENCE}


def _present(cell: Any) -> Any:
    """Return the run without its nulls: null is the same as missing, but for settings and for absent tools."""
    if isinstance(cell, dict):
        kept = {key: inner for key, inner in cell.items() if inner is not None}
        return {key: inner if key in KEPT else _present(inner) for key, inner in kept.items()}
    return [_present(inner) for inner in cell if inner is not None] if isinstance(cell, list) else cell


@cache
def _templates(folders: tuple[Path, ...]) -> Environment:
    """Return the templates of folders, escaping everything and refusing undefined names."""
    templates = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (words.decimals, words.duration, words.marked, words.number, words.prose, words.spoken, words.title)
    templates.filters |= {function.__name__: function for function in shown}
    return templates
