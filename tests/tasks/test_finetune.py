"""Training is quiet, repeatable and resumable to the bit, and its loss sees what it should (P6, P9, P10)."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from deskloop.contract.errors import ConfigError, DataError
from deskloop.contract.schema import ENCODED, conversations, to_table
from deskloop.contract.stage import Context
from tasks.base import prepare_base
from tasks.encode import EncodeConfig, encode, fit, tiny
from tasks.encode import tokenizer as tokenizer_module
from tasks.evaluate.batches import by_length, collate, columns
from tasks.evaluate.likelihood import score, supervised_only
from tasks.finetune import FinetuneConfig, finetune
from tasks.finetune.batch_order import plan
from tasks.finetune.trainer import mean_loss

CITIES = ("Oslo", "Lima", "Rome", "Bern", "Cork", "Nice")


def rows():
    return conversations(
        {
            "conversation_id": f"{city}-{number}",
            "split": "validation" if number == 3 else "train",
            "turns": [
                {"role": "customer", "text": f"Where is my order from {city}? " + "Please help. " * number * 3},
                {"role": "agent", "text": f"Hello <PERSON_1>, it comes from {city} tomorrow." + " Bye." * number},
            ],
        }
        for city in CITIES
        for number in range(4)
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Tables, tokenizer files, and the folder of a base of one narrow layer."""
    patch = pytest.MonkeyPatch()
    patch.setattr(tiny, "WIDTH", 16)
    patch.setattr(tiny, "LAYERS", 1)
    patch.setattr(tiny, "HEADS", 2)
    config = EncodeConfig(vocabulary=340, placeholders=1)
    files = fit(rows(), config, Context("encode"))
    encoded = encode(rows(), config, Context("encode", artifact=files))
    tables = {split: to_table(encoded[encoded["split"] == split], ENCODED) for split in ("train", "validation")}
    folder = tmp_path_factory.mktemp("base") / "tiny"
    prepare_base("tiny", files, folder, seed=3)
    yield tables["train"], tables["validation"], files, str(folder)
    patch.undo()


CONFIG = FinetuneConfig(
    epochs=4,
    batch_tokens=128,
    learning_rate=0.01,
    gradient_accumulation=2,
    dropout=0.1,
    evaluate_every=5,
    checkpoint_every=4,
)


def train(desk, folder, name, config=CONFIG, work="work", seed=1, on_progress=None):
    result = finetune(*desk, config, seed, folder / name, folder / work, on_progress)
    return result, (folder / name / "model.safetensors").read_bytes()


def test_a_run_is_quiet_and_writes_a_plain_folder(desk, tmp_path, capfd):
    seen = []
    result, _ = train(desk, tmp_path, "model", on_progress=seen.append)
    assert capfd.readouterr() == ("", "")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert model.config.use_cache
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.decode(tokenizer("<PERSON_1>")["input_ids"]) == "<PERSON_1>"

    history = result["history"]
    assert [entry["step"] for entry in history] == list(range(result["steps"] + 1))
    assert [entry["step"] for entry in history if entry["validation_loss"] is not None] == [
        *range(0, result["steps"], 5),
        result["steps"],
    ]
    assert history[0]["loss"] is None
    assert history[-1]["epoch"] == 4.0
    assert history[-1]["loss"] < history[1]["loss"] - 0.7
    assert result["best_validation_loss"] == min(entry["validation_loss"] or 99 for entry in history)
    lengths = [len(cell) for cell in desk[0].column("input_ids").to_pylist()]
    assert result["tokens"] == 4 * sum(lengths)
    assert (result["device"], result["precision"]) == (
        ("cuda", result["precision"]) if torch.cuda.is_available() else ("cpu", "fp32")
    )
    assert seen[-1]["step"] == seen[-1]["steps"] == result["steps"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_validation_loss_is_the_one_evaluation_gives(desk, tmp_path):
    result, _ = train(desk, tmp_path, "model")
    metrics, _ = score(tmp_path / "model", desk[1])
    assert result["history"][-1]["validation_loss"] == pytest.approx(metrics["loss"], abs=1e-5)


def test_same_seed_same_weights_in_any_row_order(desk, tmp_path):  # P6
    shuffled = desk[0].take(np.random.default_rng(0).permutation(len(desk[0])))
    _, weights = train(desk, tmp_path, "one", work="w1")
    _, again = train((shuffled, *desk[1:]), tmp_path, "again", work="w2")
    _, other = train(desk, tmp_path, "other", work="w3", seed=2)
    assert weights == again != other


class PulledPlugError(Exception):
    pass


def interrupt(at):
    def stop(progress):
        if progress["step"] == at and "loss" in progress:
            raise PulledPlugError

    return stop


@pytest.mark.parametrize("at", [3, 4, 7, 10])
def test_interrupted_training_ends_with_the_same_weights(desk, tmp_path, at):  # P10
    undisturbed, weights = train(desk, tmp_path, "whole", work="w1")
    with pytest.raises(PulledPlugError):
        train(desk, tmp_path, "resumed", work="w2", on_progress=interrupt(at))
    assert not (tmp_path / "resumed").exists()
    steps = []
    resumed, again = train(desk, tmp_path, "resumed", work="w2", on_progress=lambda seen: steps.append(seen["step"]))
    assert again == weights
    assert min(steps) == (0 if at <= 4 else at - at % 4 + 1)  # the step of a checkpoint is reported before it is saved
    assert resumed["history"] == undisturbed["history"]


def test_a_half_written_checkpoint_is_passed_over(desk, tmp_path):
    _, weights = train(desk, tmp_path, "whole", work="w1")
    with pytest.raises(PulledPlugError):
        train(desk, tmp_path, "resumed", work="w2", on_progress=interrupt(10))
    broken = tmp_path / "w2" / "checkpoint-9"
    shutil.copytree(tmp_path / "w2" / "checkpoint-8", broken)
    (broken / "trainer_state.json").write_text('{"epoch": 0.1, "glob')
    assert train(desk, tmp_path, "resumed", work="w2")[1] == weights


def test_checkpoints_of_another_training_are_not_resumed(desk, tmp_path):
    with pytest.raises(PulledPlugError):
        train(desk, tmp_path, "none", on_progress=interrupt(7))
    changed = CONFIG.model_copy(update={"weight_decay": 0.5})
    _, weights = train(desk, tmp_path, "changed", changed)
    assert train(desk, tmp_path, "fresh", changed, work="other")[1] == weights


def test_early_stopping_keeps_the_best_checkpoint(desk, tmp_path):
    config = CONFIG.model_copy(update={"early_stopping": 2, "epochs": 60, "evaluate_every": 4, "dropout": 0.0})
    foreign = desk[1].set_column(8, "input_ids", pa.array(columns_backwards(desk[1]), pa.list_(pa.int32())))
    foreign = foreign.set_column(9, "labels", foreign.column("input_ids"))
    result, _ = train((desk[0], foreign, *desk[2:]), tmp_path, "model", config)
    losses = [entry["validation_loss"] for entry in result["history"] if entry["validation_loss"] is not None]
    assert losses[-1] > min(losses) == result["best_validation_loss"]
    assert len(losses) - 1 - losses.index(min(losses)) == 2
    assert score(tmp_path / "model", foreign)[0]["loss"] == pytest.approx(min(losses), abs=1e-5)


def columns_backwards(table):
    return [cell[::-1] for cell in table.column("input_ids").to_pylist()]


@pytest.mark.parametrize(
    ("scheduler", "middle"), [("linear", 0.5), ("cosine", 0.5), ("polynomial", 0.25), ("constant", 1.0)]
)
def test_schedules(desk, tmp_path, scheduler, middle):
    config = FinetuneConfig(
        max_steps=20, batch_tokens=64, learning_rate=0.01, warmup_share=0, scheduler=scheduler, evaluate_every=20
    )
    result, _ = train(desk, tmp_path, "model", config)
    rates = [entry["learning_rate"] for entry in result["history"] if entry["loss"] is not None]
    assert len(rates) == result["steps"] == 20
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(0.01 * middle)


def losses(model, data, batches, packing):
    """Loss summed over the tokens of all batches."""
    total = 0.0
    with torch.no_grad():
        for batch in batches:
            inputs = collate(batch, data["tokens"], data["labels"], 1, packing)
            tokens = (inputs["labels"][:, 1:] != -100).sum()
            total += float(model(**inputs, use_cache=False).loss.double() * tokens)
    return total


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_packed_loss_is_the_unpacked_loss(desk, kind):  # P9
    data = columns(desk[0])
    if kind == "gpt2":
        model = AutoModelForCausalLM.from_pretrained(desk[3]).eval()
    else:
        torch.manual_seed(0)
        shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=600, max_position_embeddings=256, **shape)).eval()
    packed, _ = plan(data["lengths"], data["repeats"], 1, None, 300, 0, packing=True)
    assert max(len(row) for batch in packed for row in batch) > 1
    single = losses(model, data, by_length(data["lengths"], 1), packing=False)
    assert losses(model, data, packed, packing=True) == pytest.approx(single, rel=1e-5)
    assert losses(model, data, by_length(data["lengths"], 300), packing=False) == pytest.approx(single, rel=1e-5)


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_of_training_is_the_one_of_evaluation(desk, tmp_path, packing):  # P9
    model = AutoModelForCausalLM.from_pretrained(desk[3])
    with torch.no_grad():
        for weights in model.transformer.h.parameters():
            weights.mul_(10)  # an untrained model hardly attends to anything, and so would hide a leak
    prepared = str(tmp_path / "sharp")
    model.save_pretrained(prepared)
    config = FinetuneConfig(max_steps=1, batch_tokens=100_000, packing=packing)
    result, _ = train((*desk[:3], prepared), tmp_path, "model", config)
    assert [entry["step"] for entry in result["history"]] == [0, 1]
    assert result["history"][1]["loss"] == pytest.approx(score(prepared, desk[0])[0]["loss"], rel=1e-5)


def test_no_window_is_asked_for_its_first_token():
    tokens = [np.array([1, 2, 3]), np.array([4, 5])]
    packed = collate([[0, 1]], tokens, tokens, pad=0, packing=True)
    assert packed["labels"].tolist() == [[-100, 2, 3, -100, 5]]
    assert packed["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    padded = collate([[0], [1]], tokens, tokens, pad=9)
    assert padded["labels"].tolist() == [[-100, 2, 3], [-100, 5, -100]]
    assert padded["input_ids"].tolist() == [[1, 2, 3], [4, 5, 9]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_packing_trains(desk, tmp_path):
    config = CONFIG.model_copy(update={"packing": True, "dropout": None})
    result, _ = train(desk, tmp_path, "model", config)
    assert result["history"][-1]["loss"] < result["history"][1]["loss"] - 0.7
    assert json.loads((tmp_path / "model" / "config.json").read_text())["use_cache"]


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    budget=st.integers(1, 80),
    epochs=st.integers(1, 3),
    packing=st.booleans(),
    seed=st.integers(0, 5),
)
def test_plans(lengths, budget, epochs, packing, seed):
    sizes = np.array(lengths)
    repeats = np.array([1 + place % 3 for place in range(len(lengths))])
    batches, epoch = plan(sizes, repeats, epochs, None, budget, seed, packing)
    assert (batches, epoch) == plan(sizes, repeats, epochs, None, budget, seed, packing)
    first = sorted(window for batch in batches[:epoch] for row in batch for window in row)
    assert first == sorted(np.repeat(np.arange(len(lengths)), repeats).tolist())
    assert len(batches) == pytest.approx(epochs * epoch, abs=epochs * 2) if packing else epochs * epoch
    for batch in batches:
        width = max(int(sizes[row].sum()) for row in batch)
        assert width * len(batch) <= budget or len(batch) == 1
        assert width <= max(lengths)
    assert len(plan(sizes, repeats, 9, 3, budget, seed, packing)[0]) == 3


def test_new_tokens_start_at_the_mean(desk, tmp_path):
    files = fit(rows(), EncodeConfig(base=desk[3], placeholders=2), Context("encode"))
    prepare_base(desk[3], files, tmp_path / "base", seed=0)
    before = AutoModelForCausalLM.from_pretrained(desk[3]).get_input_embeddings().weight
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    after = model.get_input_embeddings().weight
    assert len(after) == len(tokenizer_module.load(files)) > len(before)
    torch.testing.assert_close(after[: len(before)], before)
    torch.testing.assert_close(after[len(before) :], before.mean(0).expand(len(after) - len(before), -1))
    assert model.get_output_embeddings().weight is after


def test_half_precision_keeps_the_weights_in_full(desk, tmp_path):
    result, _ = train(desk, tmp_path, "model", CONFIG.model_copy(update={"precision": "bf16"}))
    assert result["precision"] == "bf16"
    assert result["history"][-1]["loss"] < result["history"][1]["loss"] - 0.7
    assert {weights.dtype for weights in AutoModelForCausalLM.from_pretrained(tmp_path / "model").parameters()} == {
        torch.float32
    }


@pytest.mark.gpu
def test_training_on_a_gpu(desk, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    result, _ = train(desk, tmp_path, "model")
    assert result["device"] == "cuda"
    assert result["history"][-1]["loss"] < result["history"][1]["loss"] - 0.7


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"precision": "fp16"}, ConfigError, "needs a GPU"),
        ({"early_stopping": 1}, DataError, "no validation windows"),
    ],
)
def test_what_cannot_be_is_refused(desk, tmp_path, change, error, words):
    if torch.cuda.is_available() and "precision" in change:
        pytest.skip("this machine has a GPU")
    nothing = (desk[0], desk[1].slice(0, 0), *desk[2:])
    with pytest.raises(error, match=words):
        train(nothing, tmp_path, "model", CONFIG.model_copy(update=change))


def test_no_windows_and_too_long_windows_are_refused(desk, tmp_path):
    with pytest.raises(DataError, match="no training windows"):
        train((desk[0].slice(0, 0), *desk[1:]), tmp_path, "model")
    long = pa.array([[5] * 1025] * len(desk[0]), pa.list_(pa.int32()))
    table = desk[0].set_column(8, "input_ids", long).set_column(9, "labels", long)
    with pytest.raises(DataError, match="windows of 1025 tokens, but the base reads 1024"):
        train((table, *desk[1:]), tmp_path, "model")


def test_a_loss_that_is_no_number_ends_the_run(desk, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(desk[3])
    with torch.no_grad():
        model.transformer.wpe.weight[5] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(DataError, match="diverged"):
        train((*desk[:3], str(tmp_path / "broken")), tmp_path, "model")


def test_without_validation_there_is_no_validation_loss(desk, tmp_path):
    result, _ = train((desk[0], desk[1].slice(0, 0), *desk[2:]), tmp_path, "model")
    assert result["best_validation_loss"] is None
    assert {entry["validation_loss"] for entry in result["history"]} == {None}


def weighted(table, weights):
    return table.set_column(table.column_names.index("weight"), "weight", pa.array(weights, pa.float32()))


def gradient(model, batch, data, packing):
    """The gradient of one batch's loss, as one vector, and the loss."""
    model.zero_grad()
    inputs = collate(batch, data["tokens"], data["labels"], 1, packing, data["weights"])
    labels, weights = inputs.pop("labels"), inputs.pop("weights")
    with supervised_only(model, labels):
        loss = mean_loss(model(**inputs, use_cache=False), labels, weights=weights)
    loss.backward()
    return torch.cat([weights.grad.flatten() for weights in model.parameters()]), loss.item()


@pytest.mark.parametrize("packing", [False, True])
def test_a_weight_of_two_is_the_window_twice(desk, packing):
    model = AutoModelForCausalLM.from_pretrained(desk[3]).eval()
    ones = columns(desk[0])
    twice = columns(weighted(desk[0], [2.0] + [1.0] * (len(desk[0]) - 1)))
    batch, repeated = ([[0, 1]], [[0, 0, 1]]) if packing else ([[0], [1]], [[0], [0], [1]])
    got, loss = gradient(model, batch, twice, packing)
    expected, expected_loss = gradient(model, repeated, ones, packing)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert loss != pytest.approx(gradient(model, batch, ones, packing)[1], rel=1e-5)


def test_weights_do_not_change_a_packed_loss(desk):  # P9
    model = AutoModelForCausalLM.from_pretrained(desk[3]).eval()
    data = columns(weighted(desk[0], [0.25 + place % 4 for place in range(len(desk[0]))]))
    packed, _ = plan(data["lengths"], data["repeats"], 1, None, 100_000, 0, packing=True)
    whole = [[[window] for window in range(len(data["lengths"]))]]
    assert len(packed) == 1
    assert max(map(len, packed[0])) > 1
    got, loss = gradient(model, packed[0], data, packing=True)
    expected, expected_loss = gradient(model, whole[0], data, packing=False)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)
    assert loss == pytest.approx(expected_loss, rel=1e-6)


@pytest.mark.parametrize("packing", [False, True])
def test_training_weighs_the_tokens_of_a_whole_step(desk, tmp_path, packing):
    """Batches accumulated into one step count by their weights, not by their number."""
    config = CONFIG.model_copy(
        update={"max_steps": 1, "gradient_accumulation": 4, "batch_tokens": 256, "packing": packing, "dropout": 0.0}
    )
    table = weighted(desk[0].sort_by("row_id"), [0.25 + place % 4 for place in range(len(desk[0]))])
    result, _ = train((table, *desk[1:]), tmp_path, "model", config)
    data = columns(table)
    batches, _ = plan(data["lengths"], data["repeats"], 1, 4, 256, 1, packing)
    windows = [window for batch in batches for row in batch for window in row]
    assert len(batches) == 4
    scores = score(desk[3], table)[1]
    mass, nll, tokens = (some[windows] for some in (data["weights"], *scores[["nll", "tokens"]].to_numpy().T))
    assert result["history"][1]["loss"] == pytest.approx((mass * nll).sum() / (mass * tokens).sum(), rel=1e-5)


def test_only_the_proportion_of_weights_matters(desk, tmp_path):
    weights = [0.5 + place % 3 for place in range(len(desk[0]))]
    plain, same = train(desk, tmp_path, "plain", work="w1")
    result, some = train((weighted(desk[0], weights), *desk[1:]), tmp_path, "some", work="w2")
    doubled, again = train((weighted(desk[0], [2 * one for one in weights]), *desk[1:]), tmp_path, "more", work="w3")
    assert [entry["loss"] for entry in doubled["history"]] == [entry["loss"] for entry in result["history"]]
    assert again == some != same
    # validation counts every row alike
    judged = score(tmp_path / "some", desk[1])[0]["loss"]
    assert result["history"][-1]["validation_loss"] == pytest.approx(judged, abs=1e-5)
    assert plain["history"][0]["validation_loss"] == result["history"][0]["validation_loss"]
    other = weighted(desk[1], [9.0] * len(desk[1]))
    assert train((desk[0], other, *desk[2:]), tmp_path, "other", work="w4")[0]["history"] == plain["history"]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), None])
def test_a_weight_that_is_not_positive_is_refused(desk, tmp_path, bad):
    table = weighted(desk[0], [bad] + [1.0] * (len(desk[0]) - 1))
    with pytest.raises(DataError, match=r"1 of 18 training windows whose weight is not a positive number"):
        train((table, *desk[1:]), tmp_path, "model")
