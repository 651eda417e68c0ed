"""A stage's part of the report that raises: the rest of the page is written, and says what is missing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deskloop import report
from deskloop.contract.report import Report
from deskloop.report.write import conclude
from tasks.scrub import report as scrub
from tests.deskloop.report.test_report import RUN, STAGES, Page
from tests.flows.desk import Desk, example_lines

GOOD = scrub.REPORT


def broken(*_: Any) -> Any:
    return {}["a customer's text"]


def test_a_section_says_that_it_could_not_be_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = GOOD.sections
    monkeypatch.setattr(scrub, "REPORT", replace(GOOD, sections=(replace(first, rows=broken), second)))
    problems: list[str] = []
    page = Page(report.render(RUN, STAGES, problems))
    assert problems == ["the section 'scrubbed' could not be rendered (KeyError)"]
    assert "Personal data replaced This section could not be rendered (KeyError)." in page.text()
    assert "The section 'scrubbed' could not be rendered (KeyError)" in page.text()
    assert "How much personal data is detected The values that a detector misses" in page.text()
    assert "customer's text" not in page.text()


def test_a_template_that_fails_leaves_the_rest_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scrubbed", "recall"):
        (tmp_path / f"{name}.html").write_text("<b>{{ undefined_name }}" if name == "recall" else "{% if %}")
    monkeypatch.setattr(scrub, "REPORT", replace(GOOD, folder=tmp_path))
    problems: list[str] = []
    text = Page(report.render(RUN, STAGES, problems)).text()
    assert problems == [
        "the section 'scrubbed' could not be rendered (TemplateSyntaxError)",
        "the section 'recall' could not be rendered (UndefinedError)",
    ]
    assert text.count("This section could not be rendered") == 2


@pytest.mark.parametrize(
    ("part", "function", "problem"),
    [
        ("notices", broken, "the notices of scrub could not be rendered (KeyError)"),
        ("notices", lambda _: [{"kind": "warn", "text": "x"}], "the notices of scrub could not be rendered (KeyError)"),
        ("figures", broken, "the headline figures of scrub could not be rendered (KeyError)"),
        ("figures", lambda _: [("x",)], "the headline figures of scrub could not be rendered (ValueError)"),
    ],
)
def test_the_head_of_the_page_leaves_out_what_fails(
    part: str, function: Callable[[Any], Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: Report = replace(GOOD, **{part: function})
    monkeypatch.setattr(scrub, "REPORT", changed)
    problems: list[str] = []
    text = Page(report.render(RUN, STAGES, problems)).text()
    assert problems == [problem]
    assert f"{problem[:1].upper()}{problem[1:]}" in text
    assert "Conversations kept" in text


def test_sections_of_the_page_itself_are_not_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MODEL", (replace(report.MODEL[0], rows=broken), *report.MODEL[1:]))
    with pytest.raises(KeyError):
        report.render(RUN, STAGES, [])


def test_counts_that_fail_are_in_the_log_and_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, example_lines(40))
    desk.steps = desk.steps[:2]
    run = desk.prepare()
    lines: list[str] = []
    run.say = lines.append
    tallies = {"": GOOD.tally, "KeyError": broken, "TypeError": lambda *_: {"entities": object()}}
    for cause, tally in tallies.items():
        monkeypatch.setattr(scrub, "REPORT", replace(GOOD, tally=tally))
        lines.clear()
        document = conclude(run)
        problems = [f"the counts of scrub could not be rendered ({cause})"] if cause else []
        assert (document["status"], document["problems"]) == ("completed", problems)
        assert lines == [f"  report       {problem}" for problem in problems]
        page = Path(document["report"])
        assert json.loads(page.with_name("run.json").read_text())["problems"] == problems
        assert page.read_text().count("The counts of scrub could not be rendered") == len(problems)
