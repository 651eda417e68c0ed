"""Figures are shifted and masked right, and compare with the simplest models on the same tokens (P9)."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from deskloop.contract.schema import ENCODED, conversations, to_table
from deskloop.contract.stage import Context
from tasks.base import prepare_base
from tasks.encode import EncodeConfig, encode, fit, tiny
from tasks.encode.windows import IGNORED
from tasks.evaluate import EvaluateConfig, baselines, metrics, replies, score
from tasks.evaluate.likelihood import token_scores


def table(rows, **columns):
    """Encoded rows from (tokens, labels) pairs."""
    frame = pd.DataFrame({"input_ids": [row[0] for row in rows], "labels": [row[1] for row in rows], **columns})
    frame["row_id"] = frame["conversation_id"] = [f"row-{place}" for place in range(len(rows))]
    frame["supervised_bytes"] = 10
    return to_table(frame, ENCODED)


# Token 3 pads. Each position's logits are certain of one token; the labels see the third and fourth.
PREDICTED = [[1, 2, 0, 2, 3, 3]]
TOKENS = [[0, 1, 2, 1, 3, 3]]
LABELS = [[IGNORED, IGNORED, 2, 1, IGNORED, IGNORED]]


def logits(predicted, vocabulary=4):
    """Probability 0.7 for the predicted token, 0.1 for each of the others."""
    return torch.log(
        torch.full((*np.shape(predicted), vocabulary), 0.1).scatter(2, torch.tensor(predicted)[..., None], 0.7)
    )


def test_scores_of_a_hand_made_example():
    nll, tokens, correct = token_scores(logits(PREDICTED), torch.tensor(LABELS))
    # Token 2 at position 2 is predicted at position 1 (as 2: right); token 1 at position 3 at position 2 (as 0: wrong).
    assert tokens.tolist() == [2]
    assert correct.tolist() == [1]
    assert nll.tolist() == pytest.approx([-np.log(0.7) - np.log(0.1)])


def test_the_widespread_recipe_gives_another_figure():
    """Unshifted logits against labels with padding: right wherever the model copies its input, padding above all."""
    copying = logits(TOKENS)
    padded = torch.tensor(TOKENS)
    naive = (copying.argmax(-1) == padded).float().mean().item()
    nll, tokens, correct = token_scores(copying, torch.tensor(LABELS))
    assert naive == 1.0
    assert (correct / tokens).item() == 0.0
    assert nll.item() == pytest.approx(-2 * np.log(0.1))


def test_metrics():
    rows = pd.DataFrame({"nll": [np.log(2), np.log(8)], "tokens": [1, 3], "correct": [1, 0], "bytes": [2, 6]})
    assert metrics(rows) == {
        "loss": pytest.approx(np.log(2)),
        "perplexity": pytest.approx(2.0),
        "bits_per_byte": pytest.approx(0.5),
        "token_accuracy": 0.25,
        "supervised_tokens": 4,
    }
    assert {type(value) for value in metrics(rows).values()} == {float, int}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """An untrained model's folder, and windows of different lengths."""
    rows = conversations(
        {
            "conversation_id": f"c{number}",
            "split": "train",
            "turns": [
                {"role": "customer", "text": "Where is it? " * number},
                {"role": "agent", "text": "It comes on Monday, <PERSON_1>. " * (9 - number)},
            ],
        }
        for number in range(1, 9)
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(tiny, "WIDTH", 16)
    patch.setattr(tiny, "LAYERS", 1)
    patch.setattr(tiny, "HEADS", 2)
    files = fit(rows, EncodeConfig(vocabulary=300, placeholders=1), Context("encode"))
    folder = tmp_path_factory.mktemp("model") / "tiny"
    prepare_base("tiny", files, folder, seed=5)
    patch.undo()
    encoded = encode(rows, EncodeConfig(), Context("encode", artifact=files))
    return folder, to_table(encoded, ENCODED)


def test_score_is_what_the_model_says_of_each_row_alone(desk):
    folder, encoded = desk
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    figures, rows = score(folder, encoded)
    assert rows["row_id"].to_list() == encoded.column("row_id").to_pylist()
    assert rows["bytes"].to_list() == encoded.column("supervised_bytes").to_pylist()
    assert rows["tokens"].to_list() == encoded.column("supervised_tokens").to_pylist()
    for place, row in enumerate(encoded.to_pylist()):
        tokens, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        with torch.no_grad():
            output = model(tokens, labels=labels)
        assert rows["nll"][place] == pytest.approx(output.loss.item() * row["supervised_tokens"], rel=1e-4)
        right = (output.logits[0, :-1].argmax(-1) == labels[0, 1:]).sum().item()
        assert rows["correct"][place] == right
    assert figures == metrics(rows)
    assert rows["nll"].round(6).equals(rows["nll"])


def test_score_does_not_depend_on_the_batch_or_on_repeats(desk, monkeypatch):
    folder, encoded = desk
    figures, rows = score(folder, encoded)
    monkeypatch.setattr("tasks.evaluate.likelihood.BUDGET", 1)
    twice = encoded.set_column(6, "repeats", pa.array([2] * len(encoded), pa.int32()))
    alone, single = score(folder, twice)
    assert alone == pytest.approx(figures, rel=1e-5)
    pd.testing.assert_frame_equal(rows, single, rtol=1e-4)


def test_an_untrained_model_knows_about_as_much_as_chance(desk):
    folder, encoded = desk
    vocabulary = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    assert score(folder, encoded)[0]["loss"] == pytest.approx(np.log(vocabulary), rel=0.05)


def test_baselines_of_a_hand_made_example():
    # Supervised pairs in training: (0, 1) three times, (0, 2) once; vocabulary of four.
    train = table([([0, 1], [IGNORED, 1]), ([0, 2], [IGNORED, 2])], repeats=[3, 1])
    test = table([([0, 1, 2, 3], [IGNORED, 1, IGNORED, 3])])
    found = baselines(train, test, 4)
    # Unigram: (3.5, 1.5, 0.5, 0.5) of 6 for tokens 1, 2, 0, 3. Discount: one pair seen once, none twice: 1.
    unigram = np.array([3.5, 0.5]) / 6
    bigram = np.array([(3 - 1) / 4 + 2 / 4 * unigram[0], unigram[1]])  # token 2 has no observed follower
    for name, probability in (("unigram", unigram), ("bigram", bigram)):
        nll = -np.log(probability).sum()
        figures, rows = found[name]
        assert rows["nll"].tolist() == [pytest.approx(nll)]
        assert rows[["conversation_id", "tokens", "correct", "bytes"]].to_numpy().tolist() == [["row-0", 2, 1, 10]]
        assert figures == {
            "loss": pytest.approx(nll / 2),
            "perplexity": pytest.approx(np.exp(nll / 2)),
            "bits_per_byte": pytest.approx(nll / np.log(2) / 10),
            "token_accuracy": 0.5,
            "supervised_tokens": 2,
        }


@pytest.mark.parametrize("name", ["unigram", "bigram"])
def test_baselines_are_probabilities(name):
    rng = np.random.default_rng(0)
    rows = [(row, row) for row in rng.zipf(1.5, (30, 12)).clip(0, 19).tolist()]
    total = 0.0
    for token in range(20):
        labels = [IGNORED, token]
        total += np.exp(-baselines(table(rows), table([([1, token], labels)]), 20)[name][0]["loss"])
    assert total == pytest.approx(1.0)


PROMPTS = EvaluateConfig(prompts=["Where is it?", [{"role": "customer", "text": "Hi <PERSON_1>"}]]).prompts


def test_replies_are_seeded_and_quiet(desk, capfd):
    config = EvaluateConfig(max_new_tokens=12)
    first = replies(desk[0], PROMPTS, config, seed=1)
    assert capfd.readouterr() == ("", "")
    assert [type(reply) for reply in first] == [str, str]
    torch.manual_seed(99)
    assert replies(desk[0], PROMPTS, config, seed=1) == first
    assert replies(desk[0], PROMPTS[:1], config, seed=1) == first[:1]
    assert replies(desk[0], PROMPTS, config, seed=2) != first


def test_replies_leave_the_random_state_alone(desk):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    replies(desk[0], PROMPTS, EvaluateConfig(max_new_tokens=2), seed=1)
    assert torch.rand(1) == expected


def biased(folder, desk, texts):
    """A copy of the model that says these tokens only, however unlikely."""
    tokenizer = AutoTokenizer.from_pretrained(desk[0])
    model = AutoModelForCausalLM.from_pretrained(desk[0])
    ids = [tokenizer(text)["input_ids"][0] for text in texts]
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.fill_(1.0)
        model.lm_head.weight.zero_()
        for place, token in enumerate(ids):
            model.lm_head.weight[token] = 10.0 - place / 100
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_placeholders_come_out_whole_and_the_stop_token_does_not(desk, tmp_path):
    biased(tmp_path / "a", desk, ["<PERSON_1>"])
    config = EvaluateConfig(max_new_tokens=3, no_repeat_ngram=0)
    assert replies(tmp_path / "a", PROMPTS, config, 0) == ["<PERSON_1><PERSON_1><PERSON_1>"] * 2
    biased(tmp_path / "b", desk, ["<|endoftext|>"])
    assert replies(tmp_path / "b", PROMPTS, config, 0) == ["", ""]


def test_no_sequence_repeats_and_zero_temperature_is_greedy(desk, tmp_path):
    biased(tmp_path / "a", desk, ["<PERSON_1>", "?"])
    config = EvaluateConfig(max_new_tokens=4, temperature=0, no_repeat_ngram=0)
    assert replies(tmp_path / "a", PROMPTS[:1], config, 0) == ["<PERSON_1>" * 4]
    config = EvaluateConfig(max_new_tokens=4, temperature=0, no_repeat_ngram=2)
    assert replies(tmp_path / "a", PROMPTS[:1], config, 0) == ["<PERSON_1><PERSON_1>?<PERSON_1>"]


def test_a_prompt_longer_than_the_context_loses_its_beginning(desk):
    long = [[{"role": "customer", "text": "Where is it? " * 500}]]
    assert len(replies(desk[0], long, EvaluateConfig(max_new_tokens=2), 0)) == 1


def test_prompts_are_texts_or_conversations():
    assert PROMPTS == (
        ({"role": "customer", "text": "Where is it?"},),
        ({"role": "customer", "text": "Hi <PERSON_1>"},),
    )
    with pytest.raises(ValidationError, match="role"):
        EvaluateConfig(prompts=[[{"role": "bot", "text": "secret"}]])
