"""What counts as a change of code, and what does not."""

import sys
from pathlib import Path

import pytest

from deskloop.engine.recipe import code_digest, modules_of
from tasks import stages

STAGE = '''"""A stage."""
from .words import shout


def run(rows):
    """Run."""
    from pkg_{n}.late import later
    return shout(later(rows))
'''
WORDS = "def shout(text):\n    return text.upper()\n"
LATE = "def later(text):\n    return text[1:]\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[Path, str]:
    name = f"pkg_{abs(hash(request.node.name))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "stage.py").write_text(STAGE.replace("{n}", name.removeprefix("pkg_")))
    (folder / "words.py").write_text(WORDS)
    (folder / "late.py").write_text(LATE)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder, f"{name}.stage"
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def digest(module: str) -> str:
    code_digest.cache_clear()
    return code_digest((module,))


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("stage.py", '"""Run."""', '"""Run it."""  # why', False),
        ("words.py", "def shout", "# a comment\n\n\ndef shout", False),
        ("stage.py", "shout(later(rows))", "later(shout(rows))", True),
        ("words.py", "upper", "lower", True),
        ("late.py", "[1:]", "[2:]", True),
    ],
)
def test_code_counts_and_comments_do_not(
    package: tuple[Path, str], file: str, old: str, new: str, changes: bool
) -> None:
    folder, module = package
    before = digest(module)
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (digest(module) != before) is changes


@pytest.mark.parametrize("name", ["ingest", "scrub", "normalize", "dedupe", "split", "encode"])
def test_the_modules_of_a_stage_hold_its_functions(name: str) -> None:
    assert f"tasks.{name}" in modules_of(stages()[name])
