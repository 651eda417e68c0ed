"""The report of a run: one self-contained HTML page, without scripts or requests to other hosts.

    Path("report.html").write_text(render(run, stages), encoding="utf-8")

Each section has a function that turns the document of the run into rows, and a template of the section's name. The
sections here apply to all pipelines; stages bring their own (deskloop.contract.report), in the order of the steps. If
several steps share a stage, its sections show each step. A document holds counts, ids and types; the only free text are
the declared prompts and the models' replies, which the templates escape. The page's content policy forbids scripts.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deskloop.contract.report import Document, Report, Section
from deskloop.contract.stage import DataStage, Stage
from deskloop.pipeline.extensions import report_of
from deskloop.report import words
from deskloop.report.attempt import attempt
from deskloop.report.dag import dag
from deskloop.report.evidence import environment, expectations, lineage
from deskloop.report.funnel import funnel
from deskloop.report.model_sections import comparison, decision, replies, training
from deskloop.report.summary import summary

FOLDER = Path(__file__).parent
MODEL = (
    Section("training", "How the training went", "Training", training),
    Section("comparison", "How the models compare", "Comparison", comparison),
    Section("decision", "Decision and gates", "Decision", decision),
    Section("replies", "What the models answer", "Replies", replies),
)
PIPELINE = Section("pipeline", "The steps of the pipeline", "Pipeline", dag)
EVIDENCE = (
    Section("expectations", "Which expectations the data met", "Expectations", expectations),
    Section("lineage", "Which version was made from which", "Lineage", lineage),
    Section("environment", "Tools and libraries", "Tools", environment),
)
NULLABLE = ("settings", "equipment")  # where a null has a meaning


def render(run: dict[str, Any], stages: Mapping[str, Stage], problems: list[str]) -> str:
    """Return the page of one run.

    Args:
        run: `pipeline`, `run_id`, `status` and `steps` (in order), and as much of the other keys of the document
            (deskloop.report.run_document, and those of the stages' tallies) as the run has, in the types of JSON (no
            NumPy); not modified; null is the same as missing. A section without data is left out, and the page says so.
        stages: the stages of the pipeline by name, in the order of its steps.
        problems: parts of stages that could not be rendered, as a sentence each, which the page shows; extended by
            those that this function finds.
    Returns:
        HTML, the style sheet included.
    """
    run = _present(run)
    reports = {name: report for name, stage in stages.items() if (report := report_of(stage)) is not None}
    documents = {name: _by_step(run, name) for name in reports}
    stage_of = {section.name: name for name, report in reports.items() for section in report.sections}
    parts = sections_of(stages, reports)

    def guarded(section: str, step: str, function: Callable[[], Any]) -> Any:
        """Guard the sections of stages; those of this package have no foreign code."""
        name = f"the section {section!r}{f' of {step}' if step else ''}"
        return attempt(name, problems, function, _unrendered) if section in stage_of else function()

    shown = {}
    for section in chain.from_iterable(parts.values()):
        of_steps = documents.get(stage_of.get(section.name, ""), {"": run})
        rows = {step: guarded(section.name, step, partial(section.rows, each)) for step, each in of_steps.items()}
        if rows := {step: cells for step, cells in rows.items() if cells is not None}:
            shown[section.name] = rows
    folders = (FOLDER, FOLDER / "sections", *dict.fromkeys(report.folder for report in reports.values()))
    templates = _templates(folders)

    def body(section: str, step: str, cells: Any) -> Markup:
        if isinstance(cells, Markup):
            return cells
        template = templates.get_template(f"{section}.html")
        return Markup(template.render({"found": shown.keys(), "run": run}, step=step, **{section: cells}))

    bodies = {
        section: [(step, guarded(section, step, partial(body, section, step, cells))) for step, cells in rows.items()]
        for section, rows in shown.items()
    }
    head = summary(run, stages, [(name, reports[name], documents[name]) for name in reports], problems)
    return templates.get_template("template.html").render(
        run=run,
        summary=head,
        parts={part: [section for section in sections if section.name in shown] for part, sections in parts.items()},
        found=shown.keys(),
        bodies=bodies,
        absent=[
            section.label
            for section in chain.from_iterable(parts.values())
            if section.name not in shown and section is not PIPELINE
        ],
    )


def _by_step(run: Document, stage: str) -> dict[str, Document]:
    """Return step -> the document with the tally of that step; the step is empty if the stage has only one."""
    steps: dict[str, Document] = (run.get("by_step") or {}).get(stage) or {}
    return {step: run | tally for step, tally in steps.items()} or {"": run}


def _unrendered(cause: str) -> Markup:
    return Markup('<p class="note">This section could not be rendered ({}).</p>').format(cause)


def sections_of(stages: Mapping[str, Stage], reports: Mapping[str, Report]) -> dict[str, tuple[Section, ...]]:
    """Return the sections of a pipeline's page by part: those of all pipelines, and those of its stages."""
    conversations = Section("funnel", "Where every conversation went", "Conversations", partial(funnel, stages=stages))
    of_stages = [(section, stages[name]) for name, report in reports.items() for section in report.sections]
    data = [section for section, stage in of_stages if isinstance(stage, DataStage)]
    model = [section for section, stage in of_stages if not isinstance(stage, DataStage)]
    return {"The data": (PIPELINE, conversations, *data), "The model": (*MODEL, *model), "The evidence": EVIDENCE}


def _present(cell: Any) -> Any:
    """Return the run without its nulls: null is the same as missing, but for settings and for absent tools."""
    if isinstance(cell, dict):
        return {key: inner if key in NULLABLE else _present(inner) for key, inner in cell.items() if inner is not None}
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
