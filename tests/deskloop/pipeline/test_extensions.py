"""Problems of the modules that a stage brings along are reported before a run."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deskloop.pipeline.extensions import extension_problems, section_problems
from tasks import stages
from tests.deskloop.toy import UPPER

SUITE = "def measure(table):\n    return table\n\n\ndef suite():\n    return []\n"
SECTION = (
    "from deskloop.contract.report import *\nREPORT = Report(Path(__file__).parent, (Section('x', '', '', str),), dict)"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("a_suite", "a_report"):
        sys.modules.pop(name, None)


def problems(folder: Path, suite: str | None, report: str = "") -> list[str]:
    if suite is not None:
        (folder / "a_suite.py").write_text(suite)
    if report:
        (folder / "a_report.py").write_text(report)
    return extension_problems(replace(UPPER, suite="a_suite", report="a_report" if report else ""))


def test_every_stage_of_ours_is_complete() -> None:
    assert [problem for stage in stages().values() for problem in extension_problems(stage)] == []
    assert all(stage.summary.endswith(".") for stage in stages().values())


def test_a_table_needs_a_suite(folder: Path) -> None:
    (problem,) = extension_problems(replace(UPPER, suite=""))
    assert problem.startswith("makes a table without an expectation suite; write a module with measure() and suite()")
    assert problems(folder, SUITE) == []


@pytest.mark.parametrize("function", [lambda rows, config, context: rows, partial(UPPER.run)])
def test_functions_without_code_of_their_own_are_refused(folder: Path, function: Any) -> None:
    """A change of their code would not be noticed."""
    (problem,) = extension_problems(replace(UPPER, run=function, suite="expectations.scrubbed"))
    assert problem.startswith("the stage 'upper' computes with a lambda, a partial or a function inside another")


@pytest.mark.parametrize(
    ("suite", "told"),
    [
        (None, "there is no expectation suite 'a_suite'; add it as a module with measure() and suite()"),
        ("def suite(): ...", "the expectation suite 'a_suite' lacks measure()"),
        ("import nowhere", "the expectation suite 'a_suite' cannot be imported: there is no module 'nowhere'"),
        ("1 / 0", "the expectation suite 'a_suite' cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_a_suite_that_is_incomplete(folder: Path, suite: str | None, told: str) -> None:
    assert problems(folder, suite) == [told]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("REPORT = 1", "the report module 'a_report' has no REPORT; add a `deskloop.contract.report.Report`"),
        (SECTION, "the report module 'a_report' lacks the template x.html; is it in the package data?"),
        ("from a.b import c", "the report module 'a_report' cannot be imported: there is no module 'a'"),
    ],
)
def test_a_report_that_is_incomplete(folder: Path, report: str, told: str) -> None:
    assert problems(folder, SUITE, report) == [told]


def test_all_problems_at_once(folder: Path) -> None:
    assert len(problems(folder, None, "REPORT = 1")) == 2


def test_names_of_sections_are_unique(folder: Path) -> None:
    assert section_problems(stages().values()) == []
    assert problems(folder, SUITE, SECTION.replace("'x'", "'recall'")) == [
        "the report module 'a_report' lacks the template recall.html; is it in the package data?"
    ]
    (folder / "recall.html").touch()
    stage = replace(UPPER, report="a_report")
    sys.modules.pop("a_report")
    assert section_problems([stages()["scrub"], stage, stage]) == [
        "the report module 'a_report' has a section 'recall', as has that of 'scrub'"
    ]
