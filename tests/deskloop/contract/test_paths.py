"""Paths in a config: resolved at load, dumped as they were written."""

import copy
import pickle
from pathlib import Path
from typing import Annotated

import pytest

from deskloop.contract.paths import ConfigPath, LocalPath, ModelPath, is_folder, written
from deskloop.contract.stage import Context, StageConfig
from deskloop.engine.recipe import recipe_of
from deskloop.pipeline.load import load_pipeline
from tasks import stages


class Config(StageConfig):
    log: Annotated[str, LocalPath()] = ""
    base: Annotated[str, ModelPath(words=("tiny",))] = "tiny"
    detector: Annotated[str, ModelPath(kinds=("spacy",))] = "patterns"


def config(folder: Path, **options: str) -> Config:
    return Config.model_validate(options, context=folder)


@pytest.mark.parametrize("path", ["log/*.jsonl", "./log/*.jsonl", "../x/log/*.jsonl"])
def test_a_path_starts_at_the_pipeline_file(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "x"
    loaded = config(folder, log=path)
    assert loaded.log == str(folder / "log" / "*.jsonl")
    assert loaded.model_dump(mode="json")["log"] == path
    for same in (pickle.loads(pickle.dumps(loaded)), copy.deepcopy(loaded), Config.model_validate(loaded.model_dump())):
        assert written(same.log) == path
    assert isinstance(loaded.log, ConfigPath)
    assert loaded.log.folder == str(folder)


def test_what_is_no_path_stays(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "base").mkdir()
    assert config(tmp_path, log="").log == ""
    assert config(tmp_path, log="s3://bucket/log").log == "s3://bucket/log"
    assert config(tmp_path, log="/var/log").log == "/var/log"
    assert config(tmp_path, log="~/log").log == str(Path.home() / "log")
    assert config(tmp_path, base="tiny").base == "tiny"
    assert config(tmp_path, base="distilgpt2").base == "distilgpt2"
    assert config(tmp_path, base="base").base == str(tmp_path / "base")
    assert config(tmp_path, detector="spacy:base").detector == f"spacy:{tmp_path / 'base'}"
    assert config(tmp_path, detector="spacy:en_core_web_sm").detector == "spacy:en_core_web_sm"


def test_a_folder_of_the_current_directory_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "distilgpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not is_folder(config(tmp_path / "elsewhere", base="distilgpt2").base)
    assert is_folder(config(tmp_path, base="distilgpt2").base)


FILE = """
name: desk
base: model
steps:
  - ingest: {sources: [{path: log.jsonl, users: users.jsonl, format: zendesk}]}
  - scrub: {recognizers: own.yaml}
  - normalize
  - dedupe
  - augment: {generators: [{kind: synonyms, wordnet: wordnet}, {kind: paraphrase, model: model}], similarity: model}
  - split
  - encode
  - base
  - finetune
  - evaluate
  - promote
"""


def recipes(folder: Path) -> dict[str, str]:
    (folder / "model").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_text("{}")
    (folder / "own.yaml").write_text("recognizers: []")
    (folder / "pipeline.yaml").write_text(FILE)
    pipeline = load_pipeline(folder / "pipeline.yaml", stages())
    found = {}
    for step in pipeline.steps:
        configs = {"scrub": pipeline.configs_of("scrub")} if step.stage.config_of else {}
        context = Context(step.name, configs=configs)
        equipment = step.stage.equipment(step.config, context) if step.stage.equipment else {}
        found[step.name] = recipe_of(context, step.stage, step.config, "k", equipment)
        assert str(folder) not in str((step.config.model_dump(mode="json"), equipment))
    return found


def test_no_recipe_depends_on_the_folder_of_the_pipeline(tmp_path: Path) -> None:
    assert recipes(tmp_path / "here") == recipes(tmp_path / "there" / "deeper")
