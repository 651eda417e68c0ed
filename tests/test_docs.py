"""Check the documentation against the code: its options, its example stage, its commands, its files."""

import importlib.util
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from cli import COMMANDS
from deskloop.contract.schema import CONVERSATION, conversations, to_table
from deskloop.contract.stage import Context
from deskloop.pipeline.load import load_pipeline
from tasks import stages

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(path: Path):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_options_page_is_current() -> None:
    assert (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8") == load(ROOT / "docs" / "options.py").page()


def test_the_example_of_the_options_page_is_accepted(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.S)[0])
    assert load_pipeline(tmp_path / "pipeline.yaml", stages()).steps[-1].name == "promote"


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*/pipeline.yaml")), ids=lambda file: file.parent.name)
def test_every_example_pipeline_is_accepted(file: Path) -> None:
    assert load_pipeline(file, stages()).steps[0].name == "ingest"


def test_the_example_stage_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deskloop.engine.expect import validate

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "stages.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "rated.py").write_text(blocks[0])
    (tmp_path / "rated_suite.py").write_text(blocks[1])
    monkeypatch.syspath_prepend(tmp_path)
    stage = load(tmp_path / "rated.py").STAGE
    turns = [{"role": "customer", "text": "hi"}, {"role": "agent", "text": "hello"}]
    rows = conversations([{"conversation_id": name, "turns": turns, "rating": rating} for name, rating in
                          (("a", 5.0), ("b", 0.0), ("c", None))])  # fmt: skip
    result = stage.run(rows, stage.config(), Context("rated"))
    assert [None if pd.isna(one) else one for one in result["reject"]] == [None, "low_rating", "low_rating"]
    kept = to_table(result[result["reject"].isna()], CONVERSATION)
    facts = {"rows_in": 3, "rows_out": 1, "rejected": 2, "added": 0}
    assert not validate("rated_suite", [kept], facts).critical
    sys.modules.pop("rated_suite")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"deskloop {command}" in README


def test_every_file_that_the_readme_names_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    tests = re.findall(r"`(tests/[^`]+)`", README)
    assert links
    assert tests
    for name in links + tests:
        assert list(ROOT.glob(name)), name


def test_every_dependency_has_its_line() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["train"], *extras["s3"], *extras["train-tagger"]]
    names = [re.split(r"[<>=\[]", requirement)[0] for requirement in needed]
    assert [name for name in names if name not in page] == []
    assert [extra for extra in extras if f"`[{extra}]`" not in page] == []
