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
from deskloop.report.data import funnel, intents, proof, scrubbed
from deskloop.report.evidence import expectations, lineage
from deskloop.report.model import comparison, replies, training
from deskloop.report.summary import summary

SECTIONS: dict[str, tuple[str, str, Callable[[dict[str, Any]], Any]]] = {
    # id: heading, short name, rows (None where the run has nothing of the kind)
    "funnel": ("Where every conversation went", "Conversations", funnel),
    "scrubbed": ("What was scrubbed", "Scrubbing", scrubbed),
    "intents": ("What the conversations are about", "Intents", intents),
    "proof": ("Proof of the split", "Split", proof),
    "training": ("Training", "Training", training),
    "comparison": ("How the models compare", "Models", comparison),
    "replies": ("Replies before and after", "Replies", replies),
    "expectations": ("What was expected of the data", "Expectations", expectations),
    "lineage": ("Where the data comes from", "Lineage", lineage),
}


def render(run: dict[str, Any]) -> str:
    """The page of one run.

    Args:
        run: `pipeline`, `run_id`, `status` and `steps` (in order), and as much of `error`, `failed_step`,
            `started_at`, `seconds`, `version`, `entities`, `languages`, `intents`, `proof`, `training`, `metrics`,
            `replies`, `model`, `decision`, `libraries`, `data_docs` as the run has, in the types of JSON (no NumPy);
            not modified; null is the same as missing. A section without data is left out, and the page says so.
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
            titles={name: heading for name, (heading, _, _) in SECTIONS.items()},
            labels={name: label for name, (_, label, _) in SECTIONS.items()},
            found=found,
            absent=[label for name, (_, label, _) in SECTIONS.items() if name not in found],
        )
    )


def _present(cell: Any) -> Any:
    """The run without its nulls: what is null and what is missing are the same here, but for settings."""
    if isinstance(cell, dict):
        kept = {key: inner for key, inner in cell.items() if inner is not None}
        return {key: inner if key == "settings" else _present(inner) for key, inner in kept.items()}
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
    shown = (words.decimals, words.duration, words.marked, words.number, words.spoken, words.title)
    templates.filters |= {function.__name__: function for function in shown}
    return templates
