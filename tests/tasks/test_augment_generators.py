"""Generators as a family: their configs, what is missing, and that no protected span is ever lost."""

import random
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from deskloop.contract.schema import ORIGINS
from tasks.augment.generators import build, check, equipment
from tasks.augment.generators.config import (
    NOISES,
    BackTranslationConfig,
    GeneratorConfig,
    NoiseConfig,
    ParaphraseConfig,
    RewriterConfig,
    SynonymsConfig,
)
from tasks.augment.generators.spans import protected
from tests.tasks.test_augment_generators_neural import WORDS, chat, located, marian, pair, t5

APERTIUM = BackTranslationConfig(kind="back_translation")
SYNONYMS = SynonymsConfig(kind="synonyms", share=0.5)
STARTS = ["Hi,\n\n", "hello ", "Dear <PERSON_2>,\n", "", "  ", "Good morning. ", "HEY! "]
MIDDLES = [
    "where is my order {code}?",
    "I bought {code} for {price} on {date} and the package never arrived. Please check.",
    "{url} says it was delivered to <ADDRESS_1> — it was not!",
    "can you send the invoice for {code} to {mail}, my phone is <PHONE_NUMBER_1>.",
    "I want my money back ({price})! *Now*, please [{code}].",
    'the {caps} link in the e-mail "{url}" is broken; <PERSON_1>\'s account, too #help',
    "my number is +44 20 7946 0{number}, call <PERSON_1>/<PERSON_2> <EMAIL_1><EMAIL_2>",
    "{code}",
    "is the iPhone {number}GB/{number}W in stock? path C:\\temp\\{number} {{x}} ^a$ ~b @c",
    "it’s been {number} days 😡 since I paid €{number},50…",
]
ENDS = ["", "\n\nThanks,\n<PERSON_1>", " Cheers!", "\n-- \n<PERSON_1>\n{url}", "\r\n\tBye  "]


def turns(count: int, seed: int) -> list[str]:
    """Customers' turns, most of them with placeholders, order numbers, prices, dates, links."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        template = rng.choice(STARTS) + " ".join(rng.choices(MIDDLES, k=rng.choice((1, 1, 2, 3)))) + rng.choice(ENDS)
        made.append(
            template.format(
                code=rng.choice(["NV-", "#", "HD", ""]) + str(rng.randrange(1000, 99999)),
                price=rng.choice(["$49", "1,299.00 EUR", "£5.99"]),
                date=rng.choice(["12.03.2026", "May 3rd", "2026-03-12"]),
                url=rng.choice(["https://shop.example/o?id=77&x=a_b", "www.norvale.example/track", "norvale.example"]),
                mail="<EMAIL_1>",
                caps=rng.choice(["TRACK", "PayPal", "FAQ"]),
                number=rng.randrange(100, 999),
            )
        )
    return made


def kept_share(config: RewriterConfig, count: int, least: float) -> None:
    """Every output has the protected spans of its text, once each and in order, and its lines; enough come through."""
    generator = build(config)
    assert generator is not None
    texts = turns(count, 5)
    outputs = generator(texts, list(range(len(texts))))
    assert len(outputs) == len(texts)
    kept = [(text, output) for text, output in zip(texts, outputs, strict=True) if output is not None]
    for text, output in kept:
        assert protected(output) == protected(text)
        assert output.count("\n") == text.count("\n")
        assert output != text
    assert sum(map(len, (protected(text) for text, _ in kept))) > len(kept)
    share = len(kept) / len(texts)
    print(f"{config.label}: {share:.1%} of {len(texts)} turns rewritten")
    assert share >= least


@pytest.mark.skipif(None in equipment(APERTIUM).values(), reason="needs Apertium with eng-spa")
def test_no_span_is_lost_by_apertium() -> None:
    kept_share(APERTIUM, 2000, 0.9)


@pytest.mark.skipif(None in equipment(SYNONYMS).values(), reason="needs WordNet")
def test_no_span_is_lost_by_synonyms() -> None:
    kept_share(SYNONYMS, 2000, 0.4)


def test_no_span_is_lost_by_noise() -> None:
    kept_share(NoiseConfig(kind="noise", share=0.5, kinds=NOISES), 2000, 0.9)


@pytest.mark.long
def test_no_span_is_lost_by_models_that_say_anything(tmp_path: Path) -> None:
    marian(tmp_path / "out", WORDS, 20)
    t5(tmp_path / "t5")
    chat(tmp_path / "chat")
    kept_share(located(pair("out", "out", beams=1, max_new_tokens=8, batch_size=256), tmp_path), 2000, 0.5)
    for name in ("t5", "chat"):
        config = ParaphraseConfig(kind="paraphrase", model=name, max_new_tokens=8, batch_size=256)
        kept_share(located(config, tmp_path), 2000, 0.4)


@pytest.mark.parametrize(
    ("declared", "label", "origin"),
    [
        ({"kind": "back_translation"}, "back_translation", "back_translation"),
        ({"kind": "back_translation", "pair": "eng-cat", "name": "catalan"}, "catalan", "back_translation"),
        ({"kind": "paraphrase", "model": "x/y"}, "paraphrase", "paraphrase"),
        ({"kind": "synonyms"}, "synonyms", "paraphrase"),
        ({"kind": "noise", "languages": []}, "noise", "noise"),
    ],
)
def test_configs_by_kind(declared: dict[str, object], label: str, origin: str) -> None:
    config = TypeAdapter(GeneratorConfig).validate_python(declared)
    assert (config.label, config.origin) == (label, origin)
    assert config.origin in ORIGINS
    assert config.serves("en")
    assert config.serves("de") is (declared.get("languages") == [])


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"kind": "back_translation", "engine": "transformers", "forward": "a/b"}, "needs two models"),
        ({"kind": "back_translation", "forward": "a/b"}, "need `engine: transformers`"),
        ({"kind": "back_translation", "pair": "english"}, "pattern"),
        ({"kind": "paraphrase", "model": "a/b", "prompt": "say it"}, "prompt has no {text}"),
        ({"kind": "paraphrase"}, "required"),
        ({"kind": "noise", "kinds": ["typo"]}, "keyboard"),
        ({"kind": "noise", "name": "a-1"}, "pattern"),
        ({"kind": "summary"}, "does not match any of the expected tags"),
    ],
)
def test_configs_that_are_refused(declared: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(GeneratorConfig).validate_python(declared)
    assert why in str(refused.value)


def test_identity_is_what_decides_outputs() -> None:
    def identity(**more: object) -> str:
        generator = build(NoiseConfig(kind="noise", **more))  # type: ignore[arg-type]
        assert generator is not None
        return generator.identity

    assert identity() == identity(name="other", languages=("de",))
    assert identity() != identity(share=0.2)
    assert identity() != identity(protect=("nova",))
    assert "nlpaug" in identity()


def test_without_apertium_it_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert equipment(APERTIUM) == {"apertium eng-spa": None}
    assert build(APERTIUM) is None
    check(APERTIUM)


def test_a_pair_that_is_not_installed_is_off() -> None:
    config = BackTranslationConfig(kind="back_translation", pair="eng-xyz")
    assert equipment(config) == {"apertium eng-xyz": None}
    assert build(config) is None
