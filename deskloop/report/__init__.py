"""The report of a run: one HTML page that stands alone, with no script and no request to anywhere.

    Path("report.html").write_text(render(run), encoding="utf-8")

Each part of the page is a module that turns the run's figures into rows, and a template of the same name that lays
them out. What comes in are counts, ids and types; the only free text are the declared prompts and the models' replies,
which the templates escape like everything else, and the page's content policy forbids scripts anyway.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deskloop.report import words
from deskloop.report.classes import augmentation, classes, intents, labels
from deskloop.report.data import funnel, proof, scrubbed
from deskloop.report.evidence import environment, expectations, lineage
from deskloop.report.model import comparison, decision, replies, training
from deskloop.report.recall import recall
from deskloop.report.summary import summary

Section = tuple[str, str, Callable[[dict[str, Any]], Any]]
# part -> section's id: heading, short name, rows (None where the run has nothing of the kind)
PARTS: dict[str, dict[str, Section]] = {
    "The data": {
        "funnel": ("Where every conversation went", "Conversations", funnel),
        "scrubbed": ("Personal data taken out", "Personal data", scrubbed),
        "recall": ("How much personal data is found", "Recall", recall),
        "labels": ("Where the labels come from", "Labels", labels),
        "augmentation": ("Copies written for rare intents", "Copies", augmentation),
        "classes": ("Classes before and after", "Classes", classes),
        "proof": ("Proof that the test is fair", "Split", proof),
        "intents": ("What each split is about", "Intents", intents),
    },
    "The model": {
        "training": ("How training went", "Training", training),
        "comparison": ("How the models compare", "Comparison", comparison),
        "decision": ("What was decided", "Decision", decision),
        "replies": ("What the models answer", "Replies", replies),
    },
    "The evidence": {
        "expectations": ("What was expected of the data", "Expectations", expectations),
        "lineage": ("What was made from what", "Lineage", lineage),
        "environment": ("What it was made with", "Versions", environment),
    },
}
KEPT = ("settings", "equipment")  # where a null says something
SECTIONS: dict[str, Section] = {name: section for part in PARTS.values() for name, section in part.items()}


def render(run: dict[str, Any]) -> str:
    """The page of one run.

    Args:
        run: `pipeline`, `run_id`, `status` and `steps` (in order), and as much of `error`, `failed_step`,
            `started_at`, `seconds`, `version`, `entities`, `languages`, `recall`, `annotation`, `augmentation`,
            `classes`, `intents`, `proof`, `training`, `metrics`, `comparisons`, `confidence`, `decision`, `model`,
            `champion`, `margins`, `replies`, `lineage`, `libraries`, `data_docs` as the run has, in the types of JSON
            (no NumPy); not modified; null is the same as missing. A section without data is left out, and the page says
            so.
    Returns:
        HTML, the style sheet included.
    """
    run = _present(run)
    found = {name: rows for name, (_, _, build) in SECTIONS.items() if (rows := build(run)) is not None}
    return (
        _templates()
        .get_template("template.html")
        .render(
            run=run,
            summary=summary(run),
            parts={part: [name for name in sections if name in found] for part, sections in PARTS.items()},
            titles={name: heading for name, (heading, _, _) in SECTIONS.items()},
            labels={name: label for name, (_, label, _) in SECTIONS.items()},
            found=found,
            absent=[label for name, (_, label, _) in SECTIONS.items() if name not in found],
        )
    )


def _present(cell: Any) -> Any:
    """The run without its nulls: null and missing are the same here, but for settings and for tools that are absent."""
    if isinstance(cell, dict):
        kept = {key: inner for key, inner in cell.items() if inner is not None}
        return {key: inner if key in KEPT else _present(inner) for key, inner in kept.items()}
    return [_present(inner) for inner in cell if inner is not None] if isinstance(cell, list) else cell


@cache
def _templates() -> Environment:
    """The templates of this folder, escaping everything, and refusing names that nothing provides."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (words.decimals, words.duration, words.marked, words.number, words.prose, words.spoken, words.title)
    templates.filters |= {function.__name__: function for function in shown}
    return templates
