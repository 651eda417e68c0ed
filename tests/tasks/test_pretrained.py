"""Where models are looked for, and what is refused before anything runs."""

import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest

from deskloop.contract.errors import ConfigError
from tasks.augment.generators import build, check, equipment
from tasks.augment.generators.config import ParaphraseConfig
from tests.tasks.test_augment_generators_neural import WORDS, chat, located, marian, pair, t5


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models that say anything."""
    folder = tmp_path_factory.mktemp("untaught")
    marian(folder / "out", WORDS, 0)
    t5(folder / "t5")
    chat(folder / "chat")
    chat(folder / "mute", template=False)
    return folder


def test_an_absent_model_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError) as refused:
        check(located(pair("nobody/out", "nobody/back"), tmp_path))
    message = str(refused.value)
    assert "back_translation: forward: model 'nobody/out' is neither a folder" in message
    assert "hub cannot be reached" in message
    assert "hf download nobody/out" in message
    assert refused.value.exit_code == 2
    with pytest.raises(ConfigError, match="not a valid model id"):
        check(located(ParaphraseConfig(kind="paraphrase", model="../not here"), tmp_path))


def test_a_name_server_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskloop.contract.hub.SECONDS", -0.8)
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: time.sleep(2))
    began = time.monotonic()
    with pytest.raises(ConfigError, match="TimeoutError"):
        check(located(ParaphraseConfig(kind="paraphrase", model="nobody/model"), tmp_path))
    assert time.monotonic() - began < 1.5


def test_a_folder_that_is_no_model_is_refused(untaught: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no config.json and no weights"):
        check(located(ParaphraseConfig(kind="paraphrase", model="empty"), tmp_path))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text("{}")
    (tmp_path / "odd" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"config.json of .* cannot be read"):
        check(located(ParaphraseConfig(kind="paraphrase", model="odd"), tmp_path))
    with pytest.raises(ConfigError, match="no chat template"):
        check(located(ParaphraseConfig(kind="paraphrase", model="mute"), untaught))
    with pytest.raises(ConfigError, match="is a chat model, and a seq2seq model is needed"):
        check(located(pair("out", "chat"), untaught))
    check(located(ParaphraseConfig(kind="paraphrase", model="chat"), untaught))
    check(located(ParaphraseConfig(kind="paraphrase", model="t5", architecture="seq2seq"), untaught))


def test_other_weights_are_other_equipment(untaught: Path, tmp_path: Path) -> None:
    config = ParaphraseConfig(kind="paraphrase", model="t5")
    shutil.copytree(untaught / "t5", tmp_path / "t5")
    before, first = equipment(located(config, tmp_path)), build(located(config, tmp_path))
    assert before == equipment(located(config, untaught))
    weights = tmp_path / "t5" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    after, second = equipment(located(config, tmp_path)), build(located(config, tmp_path))
    assert list(after) == ["model t5"]
    assert after != before
    assert first is not None
    assert second is not None
    assert first.identity != second.identity
