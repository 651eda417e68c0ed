"""Models as generators: tiny ones, made here, saved, and loaded by the way that any model is."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.quiet import quiet
from tasks.augment.generators import build
from tasks.augment.generators.config import BackTranslationConfig, ParaphraseConfig, RewriterConfig
from tasks.augment.generators.neural import Model, Settings
from tasks.pretrained import resolve

WORDS = {
    "where": "donde",
    "is": "esta",
    "my": "mi",
    "package": "paquete",
    "the": "el",
    "order": "pedido",
    "refund": "reembolso",
    "for": "para",
    "please": "favor",
    "send": "enviar",
}
BACK = {foreign: word for word, foreign in WORDS.items()} | {"paquete": "parcel", "enviar": "mail"}
CODES = ["X0", "X1"]


def sentences(words: list[str], count: int) -> list[str]:
    """Random ones of 2 to 6 words, a third of them with a code."""
    rng = random.Random(7)
    made = []
    for _ in range(count):
        chosen = rng.choices(words, k=rng.randint(2, 6))
        if rng.random() < 0.4:
            chosen[rng.randrange(len(chosen))] = CODES[0]
        made.append(" ".join(chosen))
    return made


def marian(folder: Path, words: dict[str, str], steps: int) -> Path:
    """A Marian of 0.1 million parameters that has learned for `steps` to say `words` in the other language."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir()
    lines = sentences([*words, *words.values()], 2000)
    (folder / "text").write_text(
        "\n".join([*lines, "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789.,!?"])
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "source"),
        vocab_size=180,
        hard_vocab_limit=False,
        user_defined_symbols=CODES,
        minloglevel=2,
    )
    (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    read = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    pieces = [read.id_to_piece(place) for place in range(read.get_piece_size())]
    vocabulary = ["</s>", "<unk>", *(piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(vocabulary)}))
    with quiet():
        tokenizer = MarianTokenizer(
            str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"), model_max_length=64
        )
    torch.manual_seed(0)
    pad = len(vocabulary) - 1
    shape = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in SIZES.items()}
    model = MarianMTModel(
        MarianConfig(
            vocab_size=len(vocabulary),
            d_model=64,
            max_position_embeddings=64,
            pad_token_id=pad,
            eos_token_id=0,
            forced_eos_token_id=None,
            decoder_start_token_id=pad,
            dropout=0.0,
            scale_embedding=True,
            **shape,
        )
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    taught = sentences(list(words), 64 * steps)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other at this size
    for step in range(steps):
        batch = taught[64 * step : 64 * step + 64]
        wanted = [" ".join(words.get(word, word) for word in line.split()) for line in batch]
        with quiet():
            inputs = tokenizer(batch, text_target=wanted, return_tensors="pt", padding=True)
        inputs["labels"][inputs["labels"] == pad] = -100
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.set_num_threads(threads)
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    (folder / "text").unlink()
    return folder


SIZES = {"layers": 1, "attention_heads": 4, "ffn_dim": 128}


def fast_tokenizer() -> Any:
    """Letters and signs as tokens, with the special ones that a chat needs; everything else is left out."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<|user|>", "<|agent|>"]
    letters = ["Ġ", *"abcdefghijklmnopqrstuvwxyz.,!?'<>_-/:5K"]
    made = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate([*special, *letters])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", model_max_length=512)


def t5(folder: Path) -> Path:
    """A T5 that has learned nothing."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = fast_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_ff=32,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    return saved(T5ForConditionalGeneration(config), tokenizer, folder)


def chat(folder: Path, template: bool = True) -> Path:
    """A chat model that has learned nothing."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    tokenizer = fast_tokenizer()
    if template:
        tokenizer.chat_template = (
            "{% for message in messages %}<|user|>{{ message['content'] }}</s>{% endfor %}"
            "{% if add_generation_prompt %}<|agent|>{% endif %}"
        )
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    return saved(GPT2LMHeadModel(config), tokenizer, folder)


def saved(model: Any, tokenizer: Any, folder: Path) -> Path:
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pair that has learned its ten words."""
    folder = tmp_path_factory.mktemp("taught")
    marian(folder / "out", WORDS, 300)
    marian(folder / "back", BACK, 300)
    return folder


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models that say anything."""
    folder = tmp_path_factory.mktemp("untaught")
    t5(folder / "t5")
    chat(folder / "chat")
    return folder


def located(config: RewriterConfig, folder: Path) -> Any:
    """The config as it would be in a pipeline file in `folder`."""
    return type(config).model_validate(config.model_dump(), context=folder)


def pair(forward: str = "out", backward: str = "back", **more: Any) -> BackTranslationConfig:
    return BackTranslationConfig(
        kind="back_translation", engine="transformers", forward=forward, backward=backward, **more
    )


@pytest.mark.parametrize("beams", [1, 4])
def test_a_pair_of_models_translates_there_and_back(taught: Path, beams: int) -> None:
    generator = build(located(pair(beams=beams), taught))
    assert generator is not None
    texts = [
        "where is my package",
        "where is the package for <PERSON_1>",
        "please send the order NV-2081\n\nthe refund is for my package",
        "is my refund",
        "NV-2081",
    ]
    assert generator(texts, [0] * 5) == [
        "where is my parcel",
        "where is the parcel for <PERSON_1>",
        "please mail the order NV-2081\n\nthe refund is for my parcel",
        None,
        None,
    ]
    assert generator(texts[::-2], [0] * 3) == [
        None,
        "please mail the order NV-2081\n\nthe refund is for my parcel",
        "where is my parcel",
    ]
    assert (generator.keyed, generator.neural) == (False, True)


def test_a_lost_code_sends_the_model_what_stands_between(taught: Path) -> None:
    generator = build(located(pair(), taught))
    assert generator is not None
    # It was taught X0 alone, so that a second span is lost in the whole line.
    text = "where is my package <PERSON_1> please send the order NV-2081"
    assert generator([text], [0]) == ["where is my parcel <PERSON_1> please mail the order NV-2081"]


def test_what_is_declared_stays(taught: Path) -> None:
    generator = build(located(pair(protect=("package",)), taught))
    assert generator is not None
    assert generator(["please send my package"], [0]) == ["please mail my package"]


def test_a_text_longer_than_the_model_stays_alone(taught: Path) -> None:
    generator = build(located(pair(), taught))
    assert generator is not None
    assert generator(["where is my package", "my order " * 60], [0, 0]) == ["where is my parcel", None]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("name", ["t5", "chat"])
def test_a_paraphraser_heeds_text_and_seed_alone(untaught: Path, name: str, temperature: float) -> None:
    config = ParaphraseConfig(kind="paraphrase", model=name, temperature=temperature, max_new_tokens=12, batch_size=3)
    generator = build(located(config, untaught))
    assert generator is not None
    assert (generator.keyed, generator.neural) == (temperature > 0, True)
    texts = [f"where is my package number {word} please" for word in ("one", "two", "three", "four of the last")]
    seeds = [5, 6, 7, 8]
    made = generator(texts, seeds)
    assert generator(texts[::-1], seeds[::-1]) == made[::-1]
    assert [generator([text], [seed])[0] for text, seed in zip(texts, seeds, strict=True)] == made
    assert (generator(texts, [9, 9, 9, 9]) == made) == (temperature == 0)


def test_what_is_drawn_has_the_models_own_probabilities() -> None:
    import torch

    from tasks.augment.generators.neural import Drawn

    wanted = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
    drawn = Drawn(range(4000), temperature=1.0, top_p=0.92)
    picked = drawn(None, wanted.log().repeat(4000, 1)).argmax(1)
    found = torch.bincount(picked, minlength=5) / 4000
    kept = wanted[:4] / wanted[:4].sum()  # the fourth is needed to reach the share, the fifth is not
    assert found[4] == 0
    assert (found[:4] - kept).abs().max() < 0.03
    sharp = Drawn(range(200), temperature=0.01, top_p=1.0)
    assert set(sharp(None, wanted.log().repeat(200, 1)).argmax(1).tolist()) == {0}


def test_a_model_cuts_answers_by_the_texts_own_length(untaught: Path) -> None:
    model = Model(resolve(str(untaught / "t5")), "seq2seq")
    ample = Settings(max_new_tokens=256, temperature=0.5)
    alone = model(["ab"] * 20, range(20), ample)
    assert model(["ab", "a much longer text " * 10], [0, 0], ample)[0] == alone[0]
    assert 16 < max(len(answer or "") for answer in alone) <= 2 * 16 + 16
    assert max(len(answer or "") for answer in model(["ab"] * 20, range(20), Settings(max_new_tokens=5))) <= 5


def test_an_answer_that_is_no_text_counts_for_nothing(untaught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(resolve(str(untaught / "t5")), "seq2seq")
    answers = [" fine é😡\n", "half a \ufffd", "a \x07 bell", "\x85"]
    monkeypatch.setattr(model.tokenizer, "batch_decode", lambda *_, **__: answers)
    assert model(["a", "b", "c", "d"], [0] * 4, Settings()) == ["fine é😡", None, None, None]
