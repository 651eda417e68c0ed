"""The core knows no stage by name: what belongs to a stage is in `tasks/`."""

import ast
from pathlib import Path

from tasks import stages

CORE = Path(__file__).parents[2] / "deskloop"
# Also the name of a port and a role of models, and of a column of every conversation: part of the contract.
SHARED = {"base", "split"}


def test_no_stage_is_named_in_the_core() -> None:
    names = set(stages()) - SHARED
    named = [
        f"{file.relative_to(CORE)}:{node.lineno}: {node.value!r}"
        for file in sorted(CORE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert named == []


def test_no_template_of_the_core_names_a_stage() -> None:
    names = set(stages()) - SHARED
    quoted = {f"{quote}{name}{quote}" for name in names for quote in "'\""}
    assert [str(file) for file in sorted(CORE.rglob("*.html")) for name in quoted if name in file.read_text()] == []
