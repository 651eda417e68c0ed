"""The model card: Hugging Face can read it, its example runs, and it contains figures only."""

import re
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.hub import weights_digest
from deskloop.models.card import card, write_card
from deskloop.models.registered import settings_digest
from deskloop.store.catalog import Parent, Version
from tasks.encode import tiny
from tasks.encode import tokenizer as tokenizer_module

VERSION = Version(
    "desk", 3, "model", "models", "finetune", "finetune", "f" * 32, "recipe", "d" * 32, 0,
    parents=[Parent("base", 1, "b" * 32), Parent("train_encoded", 3, "e" * 32)],
    config={"base": "tiny", "learning_rate": None, "epochs": 3.0, "packing": False},
    libraries={"torch": "2.13.0"},
    details={"parameters": 1_300_000, "steps": 120, "history": [{"step": 1, "loss": 5.0}], "device": "cpu"},
)  # fmt: skip
DATASETS = [
    Version(name, 3, "dataset", "clean", "split", "split", "f", "r", name * 5, rows)
    for name, rows in (("train", 1200), ("validation", 100), ("test", 110))
]
EVALUATION: dict[str, Any] = {
    "metrics": {
        "base": {"bits_per_byte": 4.5, "perplexity": 700.0, "token_accuracy": 0.05, "loss": 6.5,
                 "bits_per_byte_low": 4.4, "bits_per_byte_high": 4.6},
        "candidate": {"bits_per_byte": 1.23456, "perplexity": 9.5, "token_accuracy": 0.5, "loss": 2.25,
                      "bits_per_byte_low": 1.2, "bits_per_byte_high": 1.3},
        "unigram": {"bits_per_byte": 2.5},
    },
    "comparisons": [{"against": "base", "difference": -3.26544, "low": -3.3, "high": -3.2, "families": 80,
                     "conversations": 110}],
    "confidence": 0.95,
    "replies": [{"prompt": [{"role": "customer", "text": "SECRET"}], "base": "SECRET", "candidate": "SECRET"}],
}  # fmt: skip
GATES = [
    {"gate": "better than base", "passed": True, "value": -3.26544, "threshold": 0.0},
    {"gate": "not replaced before", "passed": False, "value": None, "threshold": None},
]


def whole(**changed: Any) -> str:
    arguments: dict[str, Any] = {
        "gates": GATES, "datasets": DATASETS, "languages": {"en": 1000, "es": 190, "und": 10},
        "intents": {"refund": 700, "a|b": 500}, "origins": {"log": 900, "back_translation": 250, "noise": 50},
    }  # fmt: skip
    return card(VERSION, EVALUATION, **arguments | changed)


def test_hugging_face_reads_it() -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(whole(base="distilbert/distilgpt2")).data
    assert data.language == ["en", "es"]
    assert (data.base_model, data.library_name, data.pipeline_tag) == (
        "distilbert/distilgpt2", "transformers", "text-generation",
    )  # fmt: skip
    assert data.eval_results is not None
    assert [(one.metric_type, one.metric_value, one.dataset_name) for one in data.eval_results] == [
        ("bits_per_byte", 1.2346, "test@3"), ("perplexity", 9.5, "test@3"), ("loss", 2.25, "test@3"),
        ("token_accuracy", 0.5, "test@3"),
    ]  # fmt: skip
    assert data.model_name == "desk"


@pytest.mark.parametrize("base", ["tiny", "/models/own", "../own"])
def test_a_base_that_the_hub_does_not_know_is_not_named_there(base: str) -> None:
    text = whole(base=base)
    assert "base_model" not in text
    assert "/models" not in text
    assert ("`tiny`, a small GPT-2" if base == "tiny" else "own`") in text


def test_it_shows_data_training_comparison_and_gates() -> None:
    text = whole()
    for line in (
        "| `train@3` | 1,200 | `traintraintraint` |",
        "| `base@1` |  | `bbbbbbbbbbbbbbbb` |",
        "Of 1,200 training rows, 300 (25.0%) are generated copies: log 900, back_translation 250, noise 50.",
        "Languages, by rows: en 1,000, es 190, und 10.",
        "Intents, by rows: refund 700, a|b 500.",
        "| parameters | 1,300,000 |",
        "| epochs | 3.0 |",
        "| torch | 2.13.0 |",
        "| candidate: this model | 1.235 (1.200 to 1.300) | 9.50 | 50.0% |",
        "| unigram: word frequencies alone | 2.500 |  |  |",
        "| base | -3.265 | -3.300 to -3.200 | 110 conversations in 80 families |",
        "| better than base | passed | -3.265 | 0.000 |",
        "| not replaced before | failed |  |  |",
        "* Generated copies are in the training split only; validation and test are logged conversations.",
    ):
        assert line in text.splitlines(), line
    assert "In parentheses: the 95% interval over families" in text
    assert "SECRET" not in text
    assert "learning rate" not in text  # the default, which the model's own record resolves


def test_what_is_not_known_is_not_claimed() -> None:
    text = card(VERSION)
    for word in ("model-index", "language:", "Gates", "generated copies", "Generated copies", "Intents", "parentheses"):
        assert word not in text
    assert "Not evaluated yet." in text


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = tokenizer_module.load(tiny.train_tokenizer(["Where is my order?", "On its way."] * 20, 300))
    files = tokenizer_module.to_files(tokenizer_module.adapt(tokenizer, ["<PERSON_1>"]))
    tiny.make_tiny(files, tmp_path / "model", 0)
    (block,) = re.findall(r"```python\n(.*?)```", whole(), re.S)
    monkeypatch.chdir(tmp_path / "model")
    exec(block, {})
    assert capsys.readouterr().out


def test_writing_it_is_whole_or_nothing_and_changes_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (tmp_path / name).write_text("{}")
    before = weights_digest(tmp_path), settings_digest(tmp_path)
    write_card(tmp_path, whole())
    write_card(tmp_path, card(VERSION))
    assert (tmp_path / "README.md").read_text() == card(VERSION)
    assert (weights_digest(tmp_path), settings_digest(tmp_path)) == before

    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_card(tmp_path, whole())
    assert (tmp_path / "README.md").read_text() == card(VERSION)
    assert len(list(tmp_path.iterdir())) == 4
