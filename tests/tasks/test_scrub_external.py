"""Larger detectors, tested with tiny models: which findings count, and which detectors are rejected."""

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from tasks.scrub.config import ScrubConfig
from tasks.scrub.external import check, equipment, load
from tasks.scrub.external.findings import chosen, entity_of
from tasks.scrub.span import Span

NAMES = ["Zorka", "Milvo", "Tarben", "Quillan", "Brosnia", "Fenwold"]
TOWNS = ["Dorvik", "Ulmstad", "Kresk"]
FRAMES = ["my name is {} thanks", "this is {} here", "hello {} how are you", "please call {} today", "{} wrote to me"]
TOWN_FRAMES = ["send it to 12 {} please", "they live in {} now", "is 2 {} right"]
PLAIN = ["where is my parcel", "the order is late today", "thanks for your help", "how are you today"]


def examples() -> list[tuple[str, list[tuple[int, int, str]]]]:
    made: list[tuple[str, list[tuple[int, int, str]]]] = [(text, []) for text in PLAIN]
    for frames, listed, label in ((FRAMES, NAMES, "PER"), (TOWN_FRAMES, TOWNS, "LOC")):
        for frame, value in itertools.product(frames, listed):
            start = frame.index("{}")
            made.append((frame.format(value), [(start, start + len(value), label)]))
    return made


def make_spacy(folder: Path) -> None:
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    made = [
        Example.from_dict(
            nlp.make_doc(text), {"entities": [(a, b, {"PER": "PERSON", "LOC": "GPE"}[c]) for a, b, c in at]}
        )
        for text, at in examples()
    ]
    optimizer = nlp.initialize(lambda: made)
    for _ in range(25):
        random.Random(0).shuffle(made)
        nlp.update(made, sgd=optimizer)
    nlp.to_disk(folder)


def make_bert(folder: Path, labels: tuple[str, ...] = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = sorted({word.lower() for text, _ in examples() for word in text.split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces += [word for word in words if word not in ("quillan", "fenwold")] + [
        "quil",
        "##lan",
        "fen",
        "##wold",
        ",",
        "1",
        "2",
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=32,
    )  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    batch = tokenizer([text for text, _ in examples()], padding=True, return_offsets_mapping=True, return_tensors="pt")
    offsets = batch.pop("offset_mapping")
    wanted = torch.full(batch["input_ids"].shape, -100)
    for row, (_, at) in enumerate(examples()):
        for place, (begin, end) in enumerate(offsets[row].tolist()):
            if begin < end:
                inside = [(start, label) for start, stop, label in at if start <= begin < stop]
                first = 1 if not inside or inside[0][1] == "PER" else 3
                wanted[row, place] = (first + (begin > inside[0][0])) if inside else 0
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        model(**batch, labels=wanted).loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def located(detector: str, folder: Path) -> str:
    """A detector as a pipeline file in `folder` names it."""
    return ScrubConfig.model_validate({"detector": detector}, context=folder).detector


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models `ner` (spaCy) and `bert`."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        make_spacy(folder / "ner")
        make_bert(folder / "bert")
    return folder


@pytest.fixture(params=["spacy:./ner", "transformers:./bert"])
def detector(request: pytest.FixtureRequest, models: Path) -> Any:
    return load(located(request.param, models))


def values(texts: list[str], spans: list[list[Span]]) -> list[list[tuple[str, str]]]:
    return [[(text[one.start : one.end], one.type) for one in found] for text, found in zip(texts, spans, strict=True)]


def test_names_are_found_and_places_only_in_an_address(detector: Any) -> None:
    texts = ["my name is Zorka thanks", "please call Quillan today", "they live in Dorvik now",
             "send it to 12 Dorvik please", "where is my parcel", "", "?!"]  # fmt: skip
    assert values(texts, detector(texts)) == [
        [("Zorka", "PERSON")], [("Quillan", "PERSON")], [], [("Dorvik", "LOCATION")], [], [], [],
    ]  # fmt: skip
    (span,) = detector(["my name is Zorka thanks"])[0]
    assert 0.5 < span.score <= 1
    assert span.score == round(span.score, 3)


def test_placeholders_are_unchanged(detector: Any) -> None:
    texts = ["my name is <PERSON_1> thanks", "hello <PERSON_1> how are you", "<PERSON_1>"]
    assert detector(texts) == [[], [], []]


def test_long_texts_are_read_in_windows(detector: Any) -> None:
    filler = "the order is late today " * 200
    text = f"{filler}my name is Milvo thanks {filler}please call Brosnia today {filler}"
    found = values([text], detector([text]))[0]
    assert {("Milvo", "PERSON"), ("Brosnia", "PERSON")} <= set(found)
    assert len(found) == len(set(found))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([text for text, _ in examples()]), min_size=1, max_size=40))
def test_neither_batches_nor_order_matter(models: Path, texts: list[str]) -> None:
    for name in ("spacy:./ner", "transformers:./bert"):
        detect = load(located(name, models))
        whole = detect(texts)
        assert detect(texts[::-1]) == whole[::-1]
        assert [detect([text])[0] for text in texts] == whole


def test_a_model_is_loaded_once(models: Path) -> None:
    assert load(located("spacy:./ner", models)) is load(located("spacy:ner", models))
    assert load(located("transformers:bert", models)) is load(located("transformers:bert", models))


def test_equipment_depends_on_the_files(models: Path, tmp_path: Path) -> None:
    for name, file in (("spacy:ner", "ner/ner/model"), ("transformers:bert", "bert/model.safetensors")):
        folder = tmp_path / name.partition(":")[2]
        shutil.copytree(models / folder.name, folder)
        before = equipment(located(name, tmp_path))
        assert before == equipment(located(name, models))
        assert list(before) == [f"detector {name}"]
        changed = tmp_path / file
        changed.write_bytes(changed.read_bytes()[:-1] + b"\x07")
        assert equipment(located(name, tmp_path)) != before


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("gliner:x", "expected spacy:NAME or transformers:NAME"),
        ("spacy:", "expected spacy:NAME"),
        ("spacy:en_core_web_trf", "python -m spacy download en_core_web_trf"),
        ("spacy:./nowhere", "neither a folder nor an installed package"),
        ("spacy:empty", r"its meta\.json is missing or unreadable"),
        ("spacy:tagger", "detects no entities"),
        ("spacy:money", "stands for personal values: MONEY, ORG"),
        ("transformers:nobody/model", "hf download nobody/model"),
        ("transformers:empty", r"has no config\.json"),
        ("transformers:odd", "cannot be read"),
        ("transformers:encoder", "is not a token classifier"),
        ("transformers:chunks", "no label of 'chunks' stands for personal values"),
    ],
)
def test_unavailable_detectors_are_rejected(
    detector: str, message: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "empty").mkdir()
    for name, meta in (("tagger", {"pipeline": ["tagger"]}),
                       ("money", {"pipeline": ["ner"], "labels": {"ner": ["ORG", "MONEY"]}})):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text(json.dumps(meta))
    settings = json.loads((models / "bert" / "config.json").read_text())
    for name, content in {
        "odd": {},
        "encoder": settings | {"architectures": ["BertModel"]},
        "chunks": settings | {"id2label": {"0": "O", "1": "B-ORG", "2": "I-ORG", "3": "B-MISC", "4": "I-MISC"}},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(content))
        (tmp_path / name / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=message) as refused:
        check(detector if message.startswith("expected") else located(detector, tmp_path))
    assert str(refused.value).startswith("scrub has 1 problem")


@pytest.mark.parametrize(
    ("label", "entity"),
    [("B-PER", "PERSON"), ("PERSON", "PERSON"), ("I-LOC", "LOCATION"), ("GPE", "LOCATION"), ("O", None), ("ORG", None),
     ("DATE", None), ("EMAIL", "EMAIL_ADDRESS"), ("B-GIVENNAME1", "PERSON"), ("SSN", "US_SSN"),
     ("credit-card", "CREDIT_CARD"), ("B-STREET", "STREET")],
)  # fmt: skip
def test_labels(label: str, entity: str | None) -> None:
    assert entity_of(label) == entity


def picked(text: str, *found: tuple[str, str]) -> list[str]:
    spans = [Span(text.index(value), text.index(value) + len(value), entity, 0.9) for value, entity in found]
    return [text[one.start : one.end] for one in chosen(text, spans)]


def test_selection_of_the_findings() -> None:
    place = "LOCATION"
    assert picked("the flight to Boston in May", ("Boston", place)) == []
    assert picked("at 12 Elm Row, Kresk, Ulmstad now", ("Elm Row", place), ("Kresk", place), ("Ulmstad", place)) == [
        "Elm Row", "Kresk", "Ulmstad",
    ]  # fmt: skip
    assert picked("in Kresk, Ulmstad 90210", ("Kresk", place), ("Ulmstad", place)) == ["Kresk", "Ulmstad"]
    assert picked("from Kresk to Ulmstad, 90210", ("Kresk", place), ("Ulmstad", place)) == ["Ulmstad"]
    assert picked("it is Zork-a's.", ("ork", "PERSON")) == ["Zork"]
    assert picked("so, Zorka .", (", Zorka .", "PERSON")) == ["Zorka"]
    assert picked("a <PERSON_1> b", ("a <PERSON", "PERSON"), ("PERSON_1> b", "PERSON")) == []
    assert picked("Anna Zorka", ("Anna Zorka", "PERSON"), ("Zorka", "USERNAME")) == ["Anna Zorka"]


def test_a_text_full_of_findings_takes_linear_time() -> None:
    import time

    def seconds(count: int) -> float:
        text = "<PERSON_1> " + "x" * count + " " + "12 Kresk, " * count
        spans = [Span(11 + at, 12 + at, "PERSON", 0.9) for at in range(count)]
        spans += [Span(15 + count + 10 * at, 20 + count + 10 * at, "LOCATION", 0.9) for at in range(count)]
        began = time.process_time()
        assert len(chosen(text, spans)) == count + 1
        return time.process_time() - began

    seconds(100)
    assert min(seconds(20_000) for _ in range(3)) < 30 * max(seconds(2_000), 0.02)
