"""A stage's part of the report: the figures that it counts, and the sections of the page that show them.

The module that a stage names in `report` ends in one `REPORT`. Each section has a Jinja template beside it, named after
the section: `rated.html` shows the section `rated`, whose rows it finds under that name. Counts, ids, types and figures
only: no text of a conversation belongs in the report.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]  # the document of a run, in the types of JSON
# Names that the page uses itself.
RESERVED = frozenset({
    "absent", "comparison", "decision", "environment", "expectations", "found", "funnel", "lineage", "parts",
    "pipeline", "replies", "run", "section", "sections", "summary", "template", "training",
})  # fmt: skip


def _none(_: Document) -> list[Any]:
    return []


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: id in the page, name of its template and of its rows; unique in the page.
        heading, label: its title, and its short name in the navigation.
        rows: document -> what the template shows; None: the run has no such data, and the section is left out.
    """

    name: str
    heading: str
    label: str
    rows: Callable[[Document], Any]


@dataclass(frozen=True)
class Report:
    """A stage's part of the report.

    Attributes:
        folder: where its templates are.
        sections: in the order of the page.
        tally: the open run, the step's versions and decision -> keys that it adds to the document of the run. If a
            pipeline has several steps of the stage, every function below gets the document with the keys of one step.
        figures: document -> (name, figure, note) for the head of the page.
        notices: document -> what needs attention: `kind` (`bad` or `warn`), `text`, `to` (name of a section).
    """

    folder: Path
    sections: tuple[Section, ...]
    tally: Callable[[Any, Any], Document]
    figures: Callable[[Document], list[tuple[str, str, str]]] = _none
    notices: Callable[[Document], list[dict[str, str]]] = _none
