"""Changes of code that change a recipe, and changes that do not."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.stage import RowStage, TableStage
from deskloop.engine import code
from deskloop.engine.code import code_digest
from tasks import stages

STAGE = '''"""A stage."""
from deskloop.contract.errors import DataError
from .words import shout
from . import table
from .stars import *
import PACKAGE.late as late_module

LIMIT = 3


class Config:
    """Options."""
    size: int = Field(1, description="how large")


def run(rows, config: Config):
    """Run."""
    from PACKAGE.lazy import later
    if len(rows) > LIMIT:
        raise DataError(f"{len(rows)} rows are too many")
    return Speaker().loud(star(later(late_module.last(table.LOOKUP, rows))))


class Speaker:
    def loud(self, text):
        return shout(text)

    def late(self, text):
        from PACKAGE.lazy import later as shout
        return shout(text)


def check(config):
    return "checked"
'''
FILES = {
    "stage.py": STAGE,
    "words.py": "def shout(text: str) -> str:\n    return text.upper()\n\n\ndef unused(text):\n    return text[0]\n",
    "lazy.py": "def later(text):\n    return text[1:]\n",
    "late.py": "def last(table, text):\n    return table.get(text, text)\n",
    "stars.py": "def star(text):\n    return text + '*'\n",
    "table.py": "LOOKUP = {}\nLOOKUP.update(a=1)\nOTHER = 2\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    name = f"pkg_{abs(hash(request.node.name))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for file, content in FILES.items():
        (folder / file).write_text(content.replace("PACKAGE", name))
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def digest(folder: Path) -> str:
    for cached in (code._digest, code._module, code._has_module):
        cached.cache_clear()
    importlib.invalidate_caches()

    def function() -> None: ...

    function.__module__, function.__qualname__ = f"{folder.name}.stage", "run"
    return code_digest([function, type("Config", (), {"__module__": f"{folder.name}.stage"})])


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("stage.py", '"""Run."""', '"""Run it."""  # why', False),
        ("stage.py", "are too many", "do not fit", False),
        ("stage.py", '"how large"', '"the size"', False),
        ("stage.py", '"checked"', '"looked at"', False),
        ("stage.py", "LIMIT = 3", "LIMIT = 4", True),
        ("stage.py", "Field(1,", "Field(2,", True),
        ("stage.py", "loud(star(", "late(star(", True),
        ("words.py", "def shout", "# a comment\n\n\ndef shout", False),
        ("words.py", "text: str", "text: object", False),
        ("words.py", "text[0]", "text[1]", False),
        ("words.py", "upper", "lower", True),
        ("lazy.py", "[1:]", "[2:]", True),
        ("late.py", "get(text, text)", "get(text)", True),
        ("stars.py", "'*'", "'!'", True),
        ("table.py", "OTHER = 2", "OTHER = 3", False),
        ("table.py", "LOOKUP = {}", "LOOKUP = {1: 2}", True),
        ("table.py", "update(a=1)", "update(a=2)", True),
    ],
)
def test_code_that_computes_counts_and_words_do_not(
    package: Path, file: str, old: str, new: str, changes: bool
) -> None:
    before = digest(package)
    assert digest(package) == before
    path = package / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (digest(package) != before) is changes


def reached(functions: list[Callable[..., Any]], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Modules that a digest covers."""
    found: set[str] = set()
    whole = code.text_digest

    def spy(*parts: object) -> str:
        if len(parts) == 2 and isinstance(parts[0], list):
            found.update(symbol[0] for symbol in parts[0])
        return whole(*parts)

    code._digest.cache_clear()
    monkeypatch.setattr(code, "text_digest", spy)
    code_digest(functions)
    code._digest.cache_clear()
    return found


def test_scrub_reaches_its_detectors_and_nothing_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    scrub = stages()["scrub"]
    found = reached([*scrub.functions, scrub.config], monkeypatch)
    assert {
        "tasks.scrub", "tasks.scrub.decode", "tasks.scrub.known", "tasks.scrub.spoken",
        "tasks.scrub.patterns.recognition", "tasks.scrub.cues", "tasks.scrub.tagger.inference",
        "tasks.scrub.placeholders", "tasks.scrub.config", "deskloop.contract.placeholders",
    } <= found  # fmt: skip
    ours = {name for name in found if name.startswith("deskloop.")}
    assert all(name.startswith("deskloop.contract.") for name in ours)
    assert not {name for name in found if name.endswith(".report")}


@pytest.mark.parametrize("name", list(stages()))
def test_every_stage_reaches_its_own_module_and_config(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stages()[name]
    found = reached([*stage.functions, stage.config], monkeypatch)
    assert {stage.config.__module__, *(function.__module__ for function in stage.functions)} <= found


def test_what_a_step_measures_is_part_of_its_recipe() -> None:
    scrub, split = stages()["scrub"], stages()["split"]
    assert isinstance(scrub, RowStage)
    assert isinstance(split, TableStage)
    assert {scrub.run, scrub.measure} == set(scrub.functions)
    assert {split.run, split.proof} == set(split.functions)
