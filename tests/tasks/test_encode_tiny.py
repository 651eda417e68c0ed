"""The embedded base model is made the same way every time, and loads like any other."""

import json

from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.encode import tiny
from tasks.encode import tokenizer as tokenizer_module

TEXTS = ["Where is my order <ORDER_ID_1>?", "Hello <PERSON_1>, it comes on Monday."] * 5


def test_tokenizer_is_the_same_bytes_for_the_same_texts():
    assert tiny.train_tokenizer(TEXTS, 300) == tiny.train_tokenizer(iter(TEXTS), 300)


def test_placeholders_are_no_part_of_the_vocabulary_until_added():
    files = tiny.train_tokenizer(TEXTS, 400)
    vocabulary = tokenizer_module.load(files).get_vocab()
    assert not [token for token in vocabulary if "PERSON" in token or "ORDER" in token]
    adapted = tokenizer_module.adapt(tokenizer_module.load(files), ["<PERSON_1>"])
    assert len(adapted) == len(vocabulary) + 1
    assert len(tokenizer_module.load(files)) == len(vocabulary)  # the kept one is not modified


def test_model_is_the_same_bytes_for_the_same_seed_and_loads(tmp_path):
    files = tiny.train_tokenizer(TEXTS, 300)
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        tiny.make_tiny(files, tmp_path / name, seed)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "again", "other")}
    assert weights["one"] == weights["again"] != weights["other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "one", "other"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_files_bear_no_trace_of_a_folder(tmp_path):
    files = tiny.train_tokenizer(TEXTS, 300)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    again = tokenizer_module.to_files(loaded)
    assert not [name for name, content in again.items() if str(tmp_path).encode() in content]
    assert json.loads(again["tokenizer_config.json"])["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert tokenizer_module.digest(again) == tokenizer_module.digest(files)
