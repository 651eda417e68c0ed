import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.stage import Context
from deskloop.engine.decide import Decider
from deskloop.pipeline.load import load_pipeline
from deskloop.store.memo import Memo, text_hash
from deskloop.store.store import Store
from tasks import stages
from tasks.augment import equipment
from tasks.augment.config import AugmentConfig
from tasks.augment.judge import REASONS, fold, judge, looks_personal, scans_of
from tasks.augment.similarity import chrf, embedded, lexical, scorer
from tasks.scrub.config import ScrubConfig

ASKED = "Hello, where is the parcel NV-2081 of <PERSON_1>? I paid $49 on 12.03.2026 and nobody answers me."
LIKE = "Hello, where's the package NV-2081 of <PERSON_1>? I have paid $49 on 12.03.2026 and no one answers me."
CONFIG = AugmentConfig()
SCANS = [ScrubConfig()]


def reason(original: str, rewritten: str | None, **options: Any) -> str | None:
    return judge([(original, rewritten)], AugmentConfig(**options), SCANS, lexical)[0]


@pytest.mark.parametrize(
    ("rewritten", "expected"),
    [
        (LIKE, None),
        (None, "nothing_generated"),
        (" \n", "nothing_generated"),
        (ASKED, "not_new"),
        (ASKED.upper().replace(",", "").replace("?", " !"), "not_new"),
        (LIKE.replace("<PERSON_1>", "<PERSON_2>"), "placeholder_lost"),
        (LIKE.replace("<PERSON_1>", "PERSON 1"), "placeholder_lost"),
        (LIKE.replace("<PERSON_1>", "<PERSON_1> <PERSON_1>"), "placeholder_lost"),
        (LIKE.replace("NV-2081", "NV-2082"), "placeholder_lost"),
        (LIKE.replace("NV-2081", "NV-20 81"), "placeholder_lost"),
        (LIKE.replace("$49", "49 dollars"), "placeholder_lost"),
        (LIKE + " I waited 2 weeks.", "placeholder_lost"),
        (LIKE + " Call 5550100200.", "personal_data"),
        (LIKE + " I am jane@example.com.", "personal_data"),
        (LIKE + " I am jane @ example.", "personal_data"),
        (LIKE + " It is really so." * 8, "length"),
        ("NV-2081 <PERSON_1> $49 12.03.2026", "length"),
        ("A goat <PERSON_1> jumps high over my garden fence NV-2081 $49 12.03.2026", "placeholder_lost"),
        ("My goat NV-2081 <PERSON_1> jumps high up over its garden fence $49 12.03.2026", "too_different"),
        (ASKED.replace("nobody", "nobdy"), None),
    ],
)
def test_each_reason(rewritten: str | None, expected: str | None) -> None:
    assert reason(ASKED, rewritten) == expected


def test_a_lone_slip_in_a_long_turn_is_too_similar() -> None:
    long = " ".join(f"we wrote about the lamp again on day {word}" for word in ("one", "two", "three", "four")) * 3
    assert reason(long, long.replace("lamp", "lmap", 1)) == "too_similar"
    assert reason(long, long.replace("lamp", "lmap", 1), max_similarity=1) is None


def test_what_the_detector_finds_must_have_been_found_before() -> None:
    """A number is an account's once the word precedes it; nothing in the turn's digits is new."""
    plain, telling = "please put number 12345 into the form", "please put bank account 12345 into the form"
    assert not looks_personal(plain, telling)
    assert reason(plain, telling) == "personal_data"
    assert reason(telling, telling.replace("please put", "kindly write")) is None


def test_a_value_that_only_the_detector_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.augment import judge as module
    from tasks.scrub.span import Span

    def seen(texts: Sequence[str], config: object) -> list[list[Span]]:
        found = [(text, text.find("Mulberry")) for text in texts]
        return [[Span(at, at + 8, "PERSON", 1.0)] if at >= 0 else [] for text, at in found]

    monkeypatch.setattr(module, "detect", seen)
    rewritten = (
        "Hello Mulberry, where's the package NV-2081 of <PERSON_1>? I paid $49 on 12.03.2026, no one answers me."
    )
    assert reason(ASKED, rewritten) == "personal_data"
    assert reason(ASKED.replace("Hello", "Hello Mulberry"), rewritten) is None


def test_a_copy_is_scanned_with_the_settings_of_the_scrub_steps(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "recognizers: [{name: o, supported_entity: BRANCH, patterns: [{name: o, regex: 'Mulberry', score: 0.9}]}]"
    )
    scrub = ScrubConfig.model_validate({"recognizers": "own.yaml", "detector": "patterns"}, context=tmp_path)
    original, rewritten = ASKED, LIKE.replace("Hello", "Hello Mulberry")
    for configs, expected in (({"scrub": [SCANS[0], scrub]}, "personal_data"), ({}, None)):
        scans = scans_of(Context("augment", configs=configs))
        assert judge([(original, rewritten)], CONFIG, scans, lexical) == [expected]
    context = Context("augment", configs={"scrub": [scrub, SCANS[0]]})
    assert [name for name in equipment(AugmentConfig(), context) if name.startswith("scan: ")] == [
        "scan: recognizers own.yaml", "scan: tagger",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"deny": {"BRANCH": ["Mulberry"]}}, {"detector": "patterns"}])
def test_the_settings_of_scrub_are_part_of_the_recipe(tmp_path: Path, options: dict[str, Any]) -> None:
    steps = ["normalize", "dedupe", {"augment": {"generators": [{"kind": "noise"}]}}, "split"]
    recipes = []
    for place, scrub in enumerate(({}, options)):
        folder = tmp_path / str(place)
        folder.mkdir()
        file = folder / "pipeline.yaml"
        source = {"ingest": {"sources": [{"path": "log.jsonl"}]}}
        file.write_text(json.dumps({"name": "desk", "steps": [source, {"scrub": scrub}, *steps]}))
        pipeline = load_pipeline(file, stages())
        store = Store(folder / "store")
        store.prepare()
        decider = Decider(pipeline, store)
        recipes.append([decider.decide(pipeline.step(name), {}).recipe for name in ("normalize", "augment")])
    (normalize, augment), (same, changed) = recipes
    assert normalize == same
    assert (augment == changed) == (not options)


def test_pairs_are_judged_apart_and_in_order() -> None:
    pairs = [(ASKED, LIKE), (ASKED, None), (ASKED, LIKE), (LIKE, LIKE)]
    assert judge(pairs, CONFIG, SCANS, lexical) == [None, "nothing_generated", None, "not_new"]
    assert judge([], CONFIG, SCANS, lexical) == []
    assert [judge([pair], CONFIG, SCANS, lexical)[0] for pair in pairs] == judge(pairs, CONFIG, SCANS, lexical)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.none() | st.text(max_size=40))
def test_any_text_is_judged(original: str, rewritten: str | None) -> None:
    found = reason(f"a{original}", rewritten)
    assert found is None or found in REASONS


def test_folding() -> None:
    assert fold("Où est-il ?\nNV 2081!") == fold("ou est il nv2081").replace("ou", "où", 1)
    assert fold("STRASSE") == fold("straße")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("abc", "abc", 1.0),
        ("ABC d", "abcd", 1.0),
        ("abc", "xyz", 0.0),
        ("", "abc", 0.0),
        # n-grams shared: 3 of 4 and 3 of 5 letters; 2 of 3 and 2 of 4; 1 of 2 and 1 of 3; 0 of 1 and 0 of 2
        ("abcd", "abcxy", 2 * (23 / 48) * (43 / 120) / (23 / 48 + 43 / 120)),
    ],
)
def test_chrf(one: str, other: str, expected: float) -> None:
    assert chrf(one, other) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_chrf_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert chrf(one, other) == pytest.approx(chrf(other, one))
    assert 0 <= chrf(one, other) <= 1


PAIRS = [
    ("where is my parcel", "where is my lamp"),
    ("where is my parcel", "where is my parcel now"),
    ("hello", "the lamp is not here, it is not"),
]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with a word vocabulary, as a folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("sentences")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(" ".join(map(" ".join, PAIRS)).split())]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    settings = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(settings).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_embeddings_do_not_depend_on_the_batch(sentences: Path) -> None:
    config = AugmentConfig.model_validate({"similarity": sentences.name}, context=sentences.parent)
    score = scorer(config, Memo(""))
    together = score(PAIRS)
    assert together == [score([pair])[0] for pair in PAIRS]
    assert together == score(PAIRS[::-1])[::-1]
    assert score([(PAIRS[0][0], PAIRS[0][0])]) == [1.0]
    assert all(0 <= one < 1 for one in together)
    assert [round(one, 3) for one in together] == together


def test_embeddings_are_mean_pooled(sentences: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(sentences), AutoModel.from_pretrained(sentences).eval()
    with torch.inference_mode():
        means = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in PAIRS[2]]
    expected = torch.nn.functional.cosine_similarity(*means, dim=0).item()
    score = scorer(AugmentConfig(similarity=str(sentences)), Memo(""))
    assert score(PAIRS)[2] == pytest.approx(expected, abs=1e-3)


def test_scores_are_kept_and_forgotten_with_the_original(
    sentences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.augment import similarity
    from tasks.pretrained import resolve

    found = resolve(str(sentences))
    with Memo(str(tmp_path / "memo.sqlite")) as memo:
        scores = embedded(PAIRS, found, memo)
        identity = f"similarity {found.version}"
        items = [(one, int(text_hash(other)[:15], 16)) for one, other in PAIRS]
        assert [float(memo.recall(identity, items)[item] or "nan") for item in items] == scores
        assert memo.forget([text_hash(PAIRS[0][0])]) == 2
        memo.remember(identity, {items[0]: "0.125"})
        assert embedded(PAIRS, found, memo) == [0.125, *scores[1:]]
        monkeypatch.setattr(similarity, "embed", None)
        assert embedded(PAIRS, found, memo) == [0.125, *scores[1:]]


def test_the_bounds_follow_the_measure() -> None:
    assert AugmentConfig().bounds == (0.4, 0.98)
    assert AugmentConfig(similarity="some/model").bounds == (0.7, 1.0)
    assert AugmentConfig(similarity="some/model", min_similarity=0.5, max_similarity=0.9).bounds == (0.5, 0.9)
