"""A stage of another distribution, installed from a wheel: suite, report section, options and recipe, end to end."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.flows.desk import Desk, example_lines

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "deskloop-greeted"
version = "1.0"
[project.entry-points."deskloop.stages"]
greeted = "greeted.stage:STAGE"
[tool.setuptools]
packages = ["greeted"]
[tool.setuptools.package-data]
greeted = ["*.html"]
"""
STAGE = '''
"""Reject conversations without a greeting."""

from pydantic import Field

from deskloop.contract.stage import RowStage, StageConfig
from greeted.words import greets


class GreetedConfig(StageConfig):
    """Config of `greeted`."""

    words: tuple[str, ...] = Field(("hi", "hello", "the", "my", "i"), description="words that count as a greeting")


def greeted(conversations, config, context):
    cold = [not greets(turns, config.words) for turns in conversations["turns"]]
    return conversations.assign(reject=["no_greeting" if one else None for one in cold])


STAGE = RowStage(
    name="greeted",
    dataset="greeted",
    summary="Rejects conversations without a greeting.",
    suite="greeted.suite",
    report="greeted.report",
    config=GreetedConfig,
    run=greeted,
    needs=frozenset({"scrubbed"}),
    words={"no_greeting": "without a greeting"},
)
'''
WORDS = '''
"""Greetings."""


def greets(turns, words):
    return any(word in turns[0]["text"].lower() for word in words)


def unrelated():
    return 1
'''
SUITE = '''
"""Greeted conversations."""

import pyarrow as pa

from expectations import measures
from expectations.promises import accounted, at_least


def measure(table):
    return pa.table({**measures.identity(table), **measures.dialogue(table)})


def suite():
    return [*accounted(), at_least("turns", 1, "A greeting is a turn")]
'''
REPORT = '''
"""The section on greetings."""

from pathlib import Path

from deskloop.contract.report import Report, Section


def tally(run, made):
    return {"greetings": made.versions[0].rows}


REPORT = Report(
    folder=Path(__file__).parent,
    sections=(Section("greeting", "How many are polite", "Greetings", lambda document: document.get("greetings")),),
    tally=tally,
    figures=lambda document: [("Greetings", str(document["greetings"]), "polite customers")],
)
'''
FILES = {
    "stage.py": STAGE,
    "words.py": WORDS,
    "suite.py": SUITE,
    "report.py": REPORT,
    "greeting.html": "<p>{{ greeting | number }} conversations begin with a greeting.</p>\n",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of the stage was installed; each test has a copy."""
    folder = tmp_path_factory.mktemp("greeted")
    source = folder / "source"
    (source / "greeted").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "greeted" / "__init__.py").write_text('"""A stage of another distribution."""\n')
    for name, text in FILES.items():
        (source / "greeted" / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-build-isolation", "--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "-w", str(folder / "wheels"), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "wheels").glob("*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    return folder / "site"


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "site"))


def run(site: Path, arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-m", "deskloop", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False, **options)


def small(folder: Path) -> Desk:
    """A desk whose pipeline ends in the stage of the other distribution."""
    desk = Desk(folder / "desk", example_lines(30))
    desk.steps = [*desk.steps[:2], "greeted"]
    desk.save()
    return desk


@pytest.mark.long
def test_a_stage_from_a_wheel_has_its_suite_section_and_options(site: Path, tmp_path: Path, prefect: Path) -> None:
    desk = small(tmp_path)
    document = json.loads(run(site, ["prepare", "-c", str(desk.file), "--json"]).stdout)
    step = document["steps"]["greeted"]
    assert step["datasets"][0]["rows"] > 0
    assert "A greeting is a turn" in [one["description"] for one in step["expectations"] if one["passed"]]
    page = Path(document["report"]).read_text()
    rows = step["datasets"][0]["rows"]
    assert f"<p>{rows} conversations begin with a greeting.</p>" in page
    assert "How many are polite" in page
    assert "Rejects conversations without a greeting." in page
    schema = json.loads(run(site, ["schema"]).stdout)
    assert "words that count as a greeting" in schema["$defs"]["GreetedConfig"]["properties"]["words"]["description"]
    assert "Rejects conversations without a greeting." in json.dumps(schema)

    def planned() -> str:
        entries = json.loads(run(site, ["plan", "-c", str(desk.file), "--json"]).stdout)
        return {entry["step"]: entry["action"] for entry in entries}["greeted"]

    assert planned() == "reuse"
    words = site / "greeted" / "words.py"
    words.write_text(words.read_text().replace("return 1", "return 2"))
    (site / "greeted" / "suite.py").write_text(SUITE.replace("is a turn", "takes a turn"))
    assert planned() == "reuse"
    words.write_text(words.read_text().replace("any(", "all("))
    assert planned() == "compute"


def test_a_stage_that_is_incomplete_is_refused_before_a_run(site: Path, tmp_path: Path) -> None:
    desk = small(tmp_path)
    (site / "greeted" / "suite.py").unlink()
    (site / "greeted" / "greeting.html").unlink()
    (desk.folder / "log" / "day-1.jsonl").unlink()
    before = os.times()
    ended = run(site, ["prepare", "-c", str(desk.file)])
    after = os.times()
    assert ended.returncode == 2, ended.stderr
    assert "has 3 problems" in ended.stderr
    assert (
        "there is no expectation suite 'greeted.suite'; add it as a module with measure() and suite()" in ended.stderr
    )
    assert "the report module 'greeted.report' lacks the template greeting.html" in ended.stderr
    assert "log/*.jsonl" in ended.stderr
    assert not (desk.folder / "store").exists()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert seconds < 3  # of the processor: a second of work on an idle machine


def test_a_stage_that_cannot_be_loaded_is_refused(site: Path, tmp_path: Path) -> None:
    (site / "greeted" / "stage.py").write_text("import nowhere")
    ended = run(site, ["plan", "-c", str(small(tmp_path).file)])
    assert ended.returncode == 2
    assert "greeted.stage:STAGE cannot be loaded: ModuleNotFoundError: No module named 'nowhere'" in ended.stderr
