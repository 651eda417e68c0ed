"""Windows hold what the loss should see, each token once; placeholders stay whole (P8, P9)."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from deskloop.contract.schema import ENCODED, conversations, to_table
from deskloop.contract.stage import Context
from tasks.encode import STAGE, EncodeConfig, encode, fit
from tasks.encode import tokenizer as tokenizer_module
from tasks.encode.windows import IGNORED, cover

CONFIG = EncodeConfig(vocabulary=320, placeholders=2)


def row(name, *turns, split="train", **more):
    spoken = [{"role": role, "text": text} for role, text in turns]
    return {"conversation_id": name, "turns": spoken, "split": split, "family": name, **more}


ROWS = conversations(
    [
        row("a", ("customer", "Where is my order <ORDER_ID_1>?"), ("agent", "It comes on Monday, <PERSON_1>.")),
        row("b", ("customer", "Hi"), ("agent", "Hello, <PERSON_2>! How can I help?"), ("agent", "Are you there?")),
        row("c", ("customer", "only a test row knows <FACULTY_3>"), ("agent", "ok"), split="test"),
    ]
)
ARTIFACT = fit(ROWS, CONFIG, Context("encode"))
CONTEXT = Context("encode", artifact=ARTIFACT)
TOKENIZER = tokenizer_module.load(ARTIFACT)
TAGS = ("<|customer|>", "<|agent|>", "<|system|>")


def supervised(turns):
    return "".join(turn["text"] + "<|endoftext|>" for turn in turns if turn["role"] == "agent" and turn["supervise"])


def seen(labels):
    return [token for token in labels if token != IGNORED]


def test_whole_frame():
    result = encode(ROWS.iloc[:1], CONFIG, CONTEXT)
    tokens = TOKENIZER(
        "<|customer|>Where is my order <ORDER_ID_1>?<|endoftext|><|agent|>It comes on Monday, <PERSON_1>.<|endoftext|>"
    )["input_ids"]
    start = tokens.index(TOKENIZER.convert_tokens_to_ids("<|agent|>")) + 1
    expected = {
        "row_id": "a",
        "conversation_id": "a",
        "batch": 0,
        "family": "a",
        "split": "train",
        "intent": None,
        "repeats": 1,
        "weight": 1.0,
        "input_ids": tokens,
        "labels": [IGNORED] * start + tokens[start:],
        "supervised_tokens": len(tokens) - start,
        "supervised_bytes": len("It comes on Monday, <PERSON_1>."),
    }
    assert to_table(result, ENCODED).to_pylist() == [expected]
    assert list(result.columns) == [*ENCODED.names, "reject"]
    assert result["reject"].isna().all()


def test_rejects_have_reasons_and_no_tokens():
    rows = conversations(
        [
            row("quiet", ("customer", "Hello?")),
            row("unknown", ("customer", "I am <PERSON_99>"), ("agent", "Hi")),
            row("empty"),
            row("fine", ("customer", "Hello?"), ("agent", "Hi")),
        ]
    )
    result = encode(rows, CONFIG, CONTEXT).set_index("row_id")
    assert result["reject"].fillna("").to_dict() == {
        "quiet": "no_supervised_tokens",
        "unknown": "unknown_placeholder",
        "empty": "no_supervised_tokens",
        "fine": "",
    }
    assert result.loc["unknown", ["input_ids", "supervised_tokens", "supervised_bytes"]].to_list() == [[], 0, 0]


def test_bad_replies_are_context_only():
    turns = [
        {"role": "agent", "text": "Go away.", "supervise": False},
        {"role": "agent", "text": "Sorry.", "supervise": True},
    ]
    rows = conversations([{"conversation_id": "a", "turns": turns}])
    result = encode(rows, CONFIG, CONTEXT).iloc[0]
    assert TOKENIZER.decode(seen(result["labels"])) == "Sorry.<|endoftext|>"
    assert TOKENIZER.decode(result["input_ids"]) == "<|agent|>Go away.<|endoftext|><|agent|>Sorry.<|endoftext|>"


def test_nothing_is_modified_and_batches_do_not_matter():
    before = ROWS.copy(deep=True)
    whole = encode(ROWS, CONFIG, CONTEXT)
    parts = [encode(ROWS.iloc[[place]], CONFIG, CONTEXT) for place in (2, 0, 1)]
    pd.testing.assert_frame_equal(ROWS, before)
    again = pd.concat(parts).sort_values("row_id", ignore_index=True)
    pd.testing.assert_frame_equal(whole, again, check_dtype=False)


def test_a_first_token_is_never_a_label_even_where_the_template_writes_nothing_before_it(tmp_path):  # P9
    """A DialoGPT-style template opens no turn with a mark, so that an agent's first word is the first token."""
    base = tokenizer_module.load(ARTIFACT)
    base.chat_template = "{%- for message in messages -%}{{- message['content'] -}}{{- eos_token -}}{%- endfor -%}"
    base.save_pretrained(tmp_path / "base")
    config = EncodeConfig.model_validate({"base": "base", "max_length": 64, "placeholders": 1}, context=tmp_path)
    files = fit(ROWS, config, Context("encode"))
    rows = conversations([row("a", ("agent", "Hello there, how can I help?"), ("customer", "Hi"), ("agent", "ok"))])
    result = encode(rows, config, Context("encode", artifact=files)).iloc[0]
    tokens, labels = list(result["input_ids"]), list(result["labels"])
    spoken = tokenizer_module.load(files, "base")("Hello there, how can I help?")["input_ids"]
    assert tokens[: len(spoken)] == spoken
    assert labels[: len(spoken)] == [IGNORED, *spoken[1:]]
    ok = tokenizer_module.load(files, "base")("ok")["input_ids"]
    stops = 2
    assert result["supervised_tokens"] == len(seen(labels)) == len(spoken) - 1 + len(ok) + stops
    first = TOKENIZER.decode(spoken[:1])
    assert result["supervised_bytes"] == len("Hello there, how can I help?ok") - len(first)


def test_every_placeholder_is_one_token_and_comes_back_exactly():  # P8
    places = [text for text in TOKENIZER.get_added_vocab() if text.startswith("<") and "|" not in text]
    assert {"<PERSON_1>", "<PERSON_2>", "<ORDER_ID_1>", "<EMAIL_ADDRESS_2>"} <= set(places)
    for text in places:
        ids = TOKENIZER(text)["input_ids"]
        assert len(ids) == 1
        for around in (f"a{text}b", f" {text} ", f"{text}{text},", f"\n{text}"):
            found = TOKENIZER(around)["input_ids"]
            assert found.count(ids[0]) == around.count(text)
            assert TOKENIZER.decode(found, skip_special_tokens=True) == around


def test_tokens_for_placeholders_reach_as_far_as_training_does():
    rows = conversations(
        [
            row("a", ("customer", "<PERSON_5> <PERSON_999999999>"), ("agent", "<PET_NAME_1>")),
            row("t", ("customer", "<ROCK_1>"), ("agent", "<PERSON_7>"), split="test"),
        ]
    )
    known = set(tokenizer_module.load(fit(rows, CONFIG, Context("encode"))).get_added_vocab())
    assert {"<PERSON_256>", "<PET_NAME_1>", "<PET_NAME_2>", "<US_SSN_2>"} <= known
    assert not {"<PERSON_257>", "<PET_NAME_3>", "<ROCK_1>", "<US_SSN_3>"} & known


def test_the_tokenizer_is_trained_on_training_rows_only():
    other = ROWS.copy()
    other["turns"] = [*ROWS["turns"][:2], [{"role": "agent", "text": "zzz zzz zzz zzz " * 9, "supervise": True}]]
    assert fit(other, CONFIG, Context("encode")) == ARTIFACT


TEXTS = st.text(st.sampled_from("ab c.é😀"), min_size=0, max_size=40)
PIECES = st.one_of(TEXTS, st.sampled_from(["<PERSON_1>", "<PERSON_1><PERSON_2> <ORDER_ID_1>", "<|agent|>"]))
TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["customer", "agent", "agent", "system"]),
        "text": st.lists(PIECES, max_size=3).map("".join),
    }
)


@settings(max_examples=80, deadline=None)
@given(turns=st.lists(TURN, min_size=1, max_size=8), length=st.integers(16, 60))
def test_every_supervised_token_is_in_one_window(turns, length):  # P9
    rows = conversations([{"conversation_id": "a", "turns": turns, "split": "train"}])
    config = CONFIG.model_copy(update={"max_length": length})
    result = encode(rows, config, CONTEXT)
    if result["reject"].notna().any():
        assert not [turn for turn in turns if turn["role"] == "agent"]
        return
    expected = supervised(rows["turns"][0])
    labels = [token for cell in result["labels"] for token in seen(cell)]
    assert TOKENIZER.decode(labels) == expected
    assert result["supervised_tokens"].sum() == len(labels)
    assert result["supervised_bytes"].sum() == len(expected.replace("<|endoftext|>", "").encode())
    assert result["row_id"].to_list() == (["a"] if len(result) == 1 else [f"a/w{n + 1}" for n in range(len(result))])
    for window in result.itertuples():
        assert 0 < len(window.input_ids) <= length
        assert window.labels[0] == IGNORED
        assert all(label in (IGNORED, token) for token, label in zip(window.input_ids, window.labels, strict=True))
        assert window.supervised_tokens == len(seen(window.labels)) > 0


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), header=st.integers(0, 6), length=st.integers(16, 40)
)
def test_windows_partition_the_tokens_and_start_at_turns(sizes, header, length):
    turns = [-1] * header + [turn for turn, size in enumerate(sizes) for _ in range(size)]
    cut = cover(turns, length)
    assert [place for window in cut for place in range(window.new, window.end)] == list(range(len(turns)))
    for window in cut:
        assert window.context <= window.new < window.end
        assert window.end - window.context + (header if window.context else 0) <= length
    fits = max(sizes) <= (length - header) // 2
    starts = [window.context for window in cut[1:]]
    if fits:
        assert all(turns[start] != turns[start - 1] for start in starts)
        assert all(window.context < window.new for window in cut[1:])


def test_a_later_window_takes_earlier_turns_as_context():
    turns = [turn for turn in range(6) for _ in range(5)]
    assert [(window.context, window.new, window.end) for window in cover(turns, 20)] == [
        (0, 0, 20),
        (10, 20, 30),
    ]


@pytest.mark.parametrize("base", ["no/such-model", "missing-folder", "./missing", "a/b/c", "/missing"])
def test_a_base_that_cannot_be_had_is_refused(base, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="neither a folder") as caught:
        fit(ROWS, EncodeConfig.model_validate({"base": base}, context=tmp_path), Context("encode"))
    assert caught.value.exit_code == 2


def test_a_base_in_a_folder_keeps_its_tokens_and_gets_what_it_lacks(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "Hi": 1, "there": 2}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    saved = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", model_max_length=64)
    saved.save_pretrained(tmp_path / "base")
    config = EncodeConfig.model_validate({"base": "base", "max_length": 64, "placeholders": 1}, context=tmp_path)
    files = fit(ROWS, config, Context("encode"))
    made = tokenizer_module.load(files, "base")
    assert made.get_vocab()["there"] == 2
    assert made.eos_token == "<|endoftext|>"
    assert made.pad_token == "<|pad|>"
    assert {"<PERSON_1>", "<|agent|>"} <= set(made.get_added_vocab())
    result = encode(ROWS, config, Context("encode", artifact=files))
    assert result["reject"].fillna("").to_list() == ["", "", "unknown_placeholder"]
    with pytest.raises(ConfigError, match="max_length 65 is more than the 64 tokens"):
        fit(ROWS, EncodeConfig.model_validate({"base": "base", "max_length": 65}, context=tmp_path), Context("encode"))


def test_stage():
    assert (STAGE.name, STAGE.dataset, STAGE.by_split, STAGE.suffix) == (
        "encode",
        "encoded",
        True,
        "_encoded",
    )


def test_copies_change_no_token() -> None:
    """P3: what augmentation adds must not change how evaluation is cut into tokens."""
    said = [{"role": "customer", "text": "where is my parcel"}, {"role": "agent", "text": "it is on its way"}]
    other = [{"role": "customer", "text": "zzyzx qwxq <ACCOUNT_99>"}, *said[1:]]
    logged = [{"conversation_id": f"c{place}", "split": "train", "turns": said} for place in range(4)]
    copy = {"conversation_id": "c0", "row_id": "c0/noise-1", "split": "train", "turns": other, "origin": "noise"}
    config, context = EncodeConfig(vocabulary=300, max_length=64), Context(step="encode")
    assert fit(conversations([*logged, copy]), config, context) == fit(conversations(logged), config, context)


def test_hashes_and_pseudonyms_are_encoded():
    said = ("customer", "I am <PERSON_123456789012>, card 9772 9429 7752 6848"), ("agent", "Hi <PERSON_123456789012>!")
    entities = [
        {"turn": 0, "start": 5, "end": 26, "type": "PERSON"},
        {"turn": 0, "start": 33, "end": 52, "type": "CREDIT_CARD"},
        {"turn": 1, "start": 3, "end": 24, "type": "PERSON"},
    ]
    rows = conversations([row("a", *said, entities=entities), row("b", *said)])
    result = encode(rows, CONFIG, CONTEXT)
    assert result["reject"].fillna("").tolist() == ["", "residue"]  # unlisted, the number may be anyone's
    assert "<PERSON_1>" in TOKENIZER.decode(result["input_ids"][0])
    assert "123456789012" not in TOKENIZER.decode(result["input_ids"][0])
    added = tokenizer_module.load(fit(rows, CONFIG, Context("encode"))).get_added_vocab()
    assert "<PERSON_9>" not in added
