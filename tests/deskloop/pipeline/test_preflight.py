"""What cannot work is refused before any step runs, all of it at once, and quickly."""

import json
import time
from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from deskloop.contract.hub import check_model
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Pipeline
from deskloop.pipeline.preflight import preflight
from tasks import stages


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def pipeline(folder: Path, **content: object) -> Pipeline:
    (folder / "log.jsonl").write_text("{}\n")
    steps = [{"ingest": {"sources": [{"path": "log.jsonl"}]}}, "scrub", "normalize", "dedupe", "split", "encode"]
    steps += ["base", "finetune"]
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"name": "desk", "steps": steps, **content}))
    return load_pipeline(file, stages())


def test_a_sound_pipeline_passes(tmp_path: Path) -> None:
    made = pipeline(tmp_path)
    preflight(made, made.steps)


def test_every_problem_at_once_before_anything_runs(tmp_path: Path) -> None:
    made = pipeline(tmp_path, base="no-such/model")
    (tmp_path / "log.jsonl").unlink()
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        preflight(made, made.steps)
    assert time.monotonic() - began < 30
    told = str(caught.value)
    assert "log.jsonl" in told
    assert "'no-such/model' is not available" in told
    assert "hf download no-such/model" in told


def test_steps_that_do_not_run_are_not_asked(tmp_path: Path) -> None:
    made = pipeline(tmp_path, base="no-such/model")
    preflight(made, made.selected(until="split"))
    (tmp_path / "log.jsonl").unlink()
    with pytest.raises(ConfigError, match="is not available"):
        preflight(made, made.selected(begin="split"))
    preflight(made, made.selected(begin="finetune"))


def test_a_model_is_a_folder_a_cached_one_or_one_on_a_hub(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    with pytest.raises(ConfigError, match=r"without a config\.json"):
        check_model(str(tmp_path / "ours"), "step 'encode'")
    (tmp_path / "ours" / "config.json").write_text("{}")
    check_model(str(tmp_path / "ours"), "step 'encode'")
    for name, told in {"./theirs": "no such folder", "a b": "not a valid model id", "gpt2": "does not answer"}.items():
        with pytest.raises(ConfigError, match=told):
            check_model(name, "step 'encode'")
    commit = tmp_path / "cache" / "models--gpt2" / "snapshots" / "abc"
    commit.mkdir(parents=True)
    (commit / "config.json").write_text("{}")
    (tmp_path / "cache" / "models--gpt2" / "refs").mkdir()
    (tmp_path / "cache" / "models--gpt2" / "refs" / "main").write_text("abc")
    check_model("gpt2", "step 'encode'")
