"""The report: its words and structure (golden), what it must never hold, and how it fits a screen.

After a wanted change of the page, renew the golden file and read its difference:

    python -m tests.deskloop.report.test_report
"""

import copy
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop import report
from deskloop.contract.report import RESERVED
from deskloop.pipeline.extensions import report_of
from tasks import stages

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("run", "prepare", "failed")  # a whole run, one of the data alone, one that failed
RUNS: dict[str, dict[str, Any]] = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in NAMES}
RUN = RUNS["run"]
STAGES = stages()
REPORTS = {name: found for name, stage in STAGES.items() if (found := report_of(stage))}
SECTIONS = {one.name: one.label for part in report.sections_of(STAGES, REPORTS).values() for one in part}
LEAST: dict[str, Any] = {"pipeline": "support", "run_id": "run-7", "status": "completed", "steps": {}}
SOURCES = {  # section: the keys of a run that it comes from
    "scrubbed": ("entities",),
    "recall": ("recall",),
    "labels": ("annotation",),
    "augmentation": ("augmentation",),
    "classes": ("classes",),
    "proof": ("proof",),
    "intents": ("intents",),
    "training": ("training",),
    "comparison": ("metrics",),
    "decision": ("decision", "model"),
    "replies": ("replies",),
}
SPOILED = (
    "annotation", "augmentation", "champion", "classes", "comparisons", "entities", "intents", "lineage", "model",
    "replies", "training",
)  # fmt: skip
VOID = {"meta", "link", "br", "hr", "img", "input"}


def render(run: dict[str, Any]) -> str:
    problems: list[str] = []
    page = report.render(run, STAGES, problems)
    assert problems == []
    return page


class Page(HTMLParser):
    """The page's tags in order, checked for balance on the way."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self.open):
            self.words.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


def body(text: str) -> str:
    return text[text.index("<body>") :]


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    assert body(render(RUNS[name])) + "\n" == (GOLDEN / f"{name}.html").read_text()


def test_input_is_not_changed_and_same_input_gives_same_bytes() -> None:
    run = copy.deepcopy(RUN)
    assert render(run) == render(run)
    assert run == RUN


@pytest.mark.parametrize("name", NAMES)
def test_structure_is_accessible(name: str) -> None:
    page = Page(render(RUNS[name]))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    shown = [section for section in SECTIONS if section in ids]
    assert [one for one in ids if one in SECTIONS] == shown
    assert name != "run" or shown == list(SECTIONS)
    for reference in page.values("aria-labelledby"):
        assert set(reference.split()) <= set(ids)
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 3
    assert tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    charts = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(charts) > 10
    assert all(attrs["role"] == "img" and (attrs.get("aria-label") or "aria-labelledby" in attrs) for attrs in charts)


def test_nothing_is_loaded_and_no_script_can_run() -> None:
    text = render(RUN)
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"@import|url\(", text)
    assert page.values("src") == []
    assert set(page.values("href")) == {"data:,", "#content", "data_docs/index.html"} | {
        f"#{name}" for name in SECTIONS
    }
    assert "script" not in {tag for tag, _ in page.tags}
    assert any((content := value).startswith("default-src 'none'") for value in page.values("content"))
    assert "script-src" not in content


@pytest.mark.parametrize(
    "link", ["https://example.com/x", "//example.com", "javascript:alert(1)", "/etc/x", r"\\host\x"]
)
def test_only_relative_links_to_data_docs(link: str) -> None:
    hrefs = Page(render(RUN | {"data_docs": link})).values("href")
    assert link not in hrefs
    assert "data_docs/index.html" not in hrefs


def spoiled(cell: Any, text: str) -> Any:
    """The run with every string in it, keys of counts included, followed by `text`."""
    if isinstance(cell, dict):
        counted = all(isinstance(value, int) for value in cell.values())
        return {key + text if counted else key: spoiled(value, text) for key, value in cell.items()}
    if isinstance(cell, list):
        return [spoiled(value, text) for value in cell]
    return cell + text if isinstance(cell, str) else cell


PLAIN = st.characters(exclude_characters="`")  # sets off code in the sentences that we write


def steps_with(text: str) -> dict[str, Any]:
    """The steps of the run with text wherever they have some, names and reasons included."""
    steps = {}
    for name, step in SMALL["steps"].items():
        told = {key: step[key] + text for key in ("stage", "why", "fingerprint")}
        told["reasons"] = {reason + text: count for reason, count in step.get("reasons", {}).items()}
        told["equipment"] = {tool + text: version for tool, version in step.get("equipment", {}).items()}
        told["expectations"] = [row | {"description": text} for row in step.get("expectations", [])]
        steps[name + text] = {**step, **told}
    return steps


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}", "' onload='x", "<!--"]),
    st.text(PLAIN, max_size=20),
)
def test_text_stays_text(attack: str, tail: str) -> None:
    """Whatever strings come in, the page keeps the tags and attribute names that it has for harmless ones."""
    shapes = []
    for text in (attack + tail, "harmless"):
        strings = {key: spoiled(SMALL[key], text) for key in SPOILED}
        strings |= {"error": text, "run_id": text, "libraries": {text: text}}
        gates = [gate | {"gate": gate["gate"] + text} for gate in SMALL["decision"]["gates"]]
        strings |= {"decision": {"action": "blocked", "why": text, "gates": gates}, "steps": steps_with(text)}
        shapes.append([(tag, sorted(attrs)) for tag, attrs in Page(render(SMALL | strings)).tags])
    assert shapes[0] == shapes[1]


def test_a_reply_is_shown_as_it_is() -> None:
    reply = {"prompt": [], "base": "<script>x</script> & <EMAIL_ADDRESS_12>", "candidate": "<b>bold</b>"}
    text = render(RUN | {"replies": [reply]})
    assert "&lt;script&gt;x&lt;/script&gt; &amp; " in text
    assert '<span class="placeholder">&lt;EMAIL_ADDRESS_12&gt;</span>' in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


@pytest.mark.parametrize("seen", ["canary", ["canary"], {"value": "canary"}, {"values": {"x": "canary"}}])
def test_observed_text_is_never_shown(seen: object) -> None:
    run = copy.deepcopy(RUN)
    run["steps"]["ingest"]["expectations"][0]["observed"] = seen
    assert "canary" not in render(run)


@pytest.mark.parametrize(("section", "keys"), SOURCES.items())
def test_a_section_without_data_is_left_out_and_named(section: str, keys: tuple[str, ...]) -> None:
    page = Page(render({name: value for name, value in RUN.items() if name not in keys}))
    ids = page.values("id")
    assert section not in ids
    assert set(SECTIONS) - {section} <= set(ids)
    assert page.text().count(f"Not part of this run: {SECTIONS[section]}.") == 1


def few(cell: Any) -> Any:
    """The run with two items of every list and two steps, so that each of its parts stays and few are alike."""
    if isinstance(cell, list):
        return [few(inner) for inner in cell[:2]]
    if not isinstance(cell, dict):
        return cell
    names = ("ingest", "augment") if "ingest" in cell else list(cell)
    counted = len(cell) > 2 and all(isinstance(value, int | dict) for value in cell.values())
    return {key: few(cell[key]) for key in (names[:2] if counted else names)}


SMALL: dict[str, Any] = few(RUN)


def paths(cell: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a run has keys, at any depth."""
    if isinstance(cell, list):
        return [found for index, inner in enumerate(cell) for found in paths(inner, (*at, index))]
    if not isinstance(cell, dict):
        return []
    return [found for key, inner in cell.items() for found in [(*at, key), *paths(inner, (*at, key))]]


def without(path: tuple[Any, ...], null: bool) -> dict[str, Any]:
    run = cell = copy.deepcopy(SMALL)
    for key in path[:-1]:
        cell = cell[key]
    if null:
        cell[path[-1]] = None
    else:
        del cell[path[-1]]
    return run


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
def test_any_key_may_be_missing_or_null(null: bool) -> None:
    for path in paths(SMALL):
        if path in {("pipeline",), ("run_id",), ("status",), ("steps",)}:
            continue
        try:
            assert "None" not in body(render(without(path, null))), path
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            pytest.fail(f"{path}: {error!r}")


def test_the_least_run() -> None:
    page = Page(render(LEAST))
    assert not set(SECTIONS) & set(page.values("id"))
    assert "Nothing was read." in page.text()


def test_the_names_that_the_page_uses_are_reserved() -> None:
    used = {one.name for one in (report.PIPELINE, *report.MODEL, *report.EVIDENCE)} | {"funnel"}
    assert used <= RESERVED
    assert not RESERVED & {one.name for found in REPORTS.values() for one in found.sections}


if __name__ == "__main__":
    for name in NAMES:
        (GOLDEN / f"{name}.html").write_text(body(render(RUNS[name])) + "\n")
