"""The report: its words and structure (golden), what it must never hold, and how it fits a screen.

After a wanted change of the page, renew the golden file and read its difference:

    python -m tests.deskloop.test_report
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

from deskloop.report import SECTIONS, render

GOLDEN = Path(__file__).parent / "golden"
RUN: dict[str, Any] = json.loads((GOLDEN / "run.json").read_text())
LEAST: dict[str, Any] = {"pipeline": "support", "run_id": "run-7", "status": "completed", "steps": {}}
SOURCES = {  # section: the keys of a run that it comes from
    "scrubbed": "entities",
    "intents": "intents",
    "proof": "proof",
    "training": "training",
    "comparison": "metrics",
    "replies": "replies",
}
VOID = {"meta", "link", "br", "hr", "img", "input"}


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
        if "style" not in self.open:
            self.words.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


def body(text: str) -> str:
    return text[text.index("<body>") :]


def test_golden() -> None:
    assert body(render(RUN)) + "\n" == (GOLDEN / "report.html").read_text()


def test_input_is_not_changed_and_same_input_gives_same_bytes() -> None:
    run = copy.deepcopy(RUN)
    assert render(run) == render(run)
    assert run == RUN


def test_structure_is_accessible() -> None:
    page = Page(render(RUN))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    for reference in page.values("aria-labelledby"):
        assert set(reference.split()) <= set(ids)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 5
    assert tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    charts = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(charts) > 10
    assert all(attrs["role"] == "img" and ("aria-label" in attrs or "aria-labelledby" in attrs) for attrs in charts)


def test_nothing_is_loaded_and_no_script_can_run() -> None:
    text = render(RUN)
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"@import|url\(", text)
    assert page.values("src") == []
    assert set(page.values("href")) == {"data:,", "#content", "docs/index.html"} | {f"#{name}" for name in SECTIONS}
    assert "script" not in {tag for tag, _ in page.tags}
    assert any((content := value).startswith("default-src 'none'") for value in page.values("content"))
    assert "script-src" not in content


@pytest.mark.parametrize(
    "link", ["https://example.com/x", "//example.com", "javascript:alert(1)", "/etc/x", r"\\host\x"]
)
def test_only_relative_links_to_data_docs(link: str) -> None:
    hrefs = Page(render(RUN | {"data_docs": link})).values("href")
    assert link not in hrefs
    assert "docs/index.html" not in hrefs


def spoiled(cell: Any, text: str) -> Any:
    """The run with every string in it, keys of counts included, followed by `text`."""
    if isinstance(cell, dict):
        counted = all(isinstance(value, int) for value in cell.values())
        return {key + text if counted else key: spoiled(value, text) for key, value in cell.items()}
    if isinstance(cell, list):
        return [spoiled(value, text) for value in cell]
    return cell + text if isinstance(cell, str) else cell


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}", "' onload='x", "<!--"]), st.text())
def test_text_stays_text(attack: str, tail: str) -> None:
    """Whatever strings come in, the page keeps the tags and attribute names that it has for harmless ones."""
    shapes = []
    for text in (attack + tail, "harmless"):
        strings = {key: spoiled(RUN[key], text) for key in ("replies", "intents", "model", "training")}
        strings |= {"error": text, "run_id": text, "libraries": {text: text}}
        shapes.append([(tag, sorted(attrs)) for tag, attrs in Page(render(RUN | strings)).tags])
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


@pytest.mark.parametrize(("section", "key"), SOURCES.items())
def test_a_section_without_data_is_left_out_and_named(section: str, key: str) -> None:
    page = Page(render({name: value for name, value in RUN.items() if name != key}))
    ids = page.values("id")
    assert section not in ids
    assert set(SECTIONS) - {section} <= set(ids)
    assert page.text().count(f"Not part of this run: {SECTIONS[section][1]}.") == 1


def paths(cell: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a run has keys, at any depth."""
    if isinstance(cell, list):
        return [found for index, inner in enumerate(cell) for found in paths(inner, (*at, index))]
    if not isinstance(cell, dict):
        return []
    return [found for key, inner in cell.items() for found in [(*at, key), *paths(inner, (*at, key))]]


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
def test_any_key_may_be_missing_or_null(null: bool) -> None:
    for path in paths(RUN):
        if path in {("pipeline",), ("run_id",), ("status",), ("steps",)}:
            continue
        run = cell = copy.deepcopy(RUN)
        for key in path[:-1]:
            cell = cell[key]
        if null:
            cell[path[-1]] = None
        else:
            del cell[path[-1]]
        try:
            assert "None" not in Page(render(run)).text(), path
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            pytest.fail(f"{path}: {error!r}")


def test_the_least_run() -> None:
    page = Page(render(LEAST))
    assert not set(SECTIONS) & set(page.values("id"))
    assert "Nothing was read." in page.text()


def test_a_failed_run_names_its_step_and_error() -> None:
    steps = {"ingest": RUN["steps"]["ingest"]}
    run = LEAST | {"status": "failed", "error": "found 1 family", "failed_step": "dedupe", "steps": steps}
    text = Page(render(run)).text()
    assert "The run failed at the step dedupe. found 1 family" in text
    assert "dedupe ✗ failed" in text
    assert "had come through when the run stopped" in text
    assert "completed" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "The candidate beats its base: 1.52 against 7.90 bits per byte. It is promoted."),
        ({"decision": None}, "The candidate beats its base: 1.52 against 7.90 bits per byte."),
        (
            {"decision": {"promoted": False, "gates": [{"gate": "beats_champion", "passed": False}]}},
            "The candidate beats its base: 1.52 against 7.90 bits per byte. It is not promoted: beats champion.",
        ),
        (
            {"metrics": {"base": {"bits_per_byte": 2.0}, "candidate": {"bits_per_byte": 2.0}}, "decision": None},
            "The candidate does not beat its base: 2.00 against 2.00 bits per byte.",
        ),
        (
            {"metrics": RUN["metrics"] | {"champion": {"bits_per_byte": 1.5}}, "decision": None},
            "The candidate beats its base: 1.52 against 7.90 bits per byte, and is no better than the model in use "
            "(1.50).",
        ),
        ({"metrics": {}}, "80 of 100 conversations are ready for training."),
    ],
)
def test_verdict(changes: dict[str, Any], expected: str) -> None:
    assert f"<h1>{expected}</h1>" in render(RUN | changes)


def test_rows_without_a_reason_are_not_hidden() -> None:
    run = copy.deepcopy(RUN)
    run["steps"]["dedupe"]["reasons"] = {"near_duplicate": 9}
    assert "−9 near duplicate −6 no reason given" in Page(render(run)).text()


def test_a_crossing_is_shown_as_broken() -> None:
    text = Page(render(RUN | {"proof": RUN["proof"] | {"families_crossing": 3}})).text()
    assert "✗ 3 families cross a split." in text
    assert "No family crosses" not in text


if __name__ == "__main__":
    (GOLDEN / "report.html").write_text(body(render(RUN)) + "\n")
