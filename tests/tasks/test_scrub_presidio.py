"""Our detector in a real AnalyzerEngine."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.scrub import ScrubConfig
from tasks.scrub.presidio import recognizer, supported


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Silence Presidio's engine, which logs its input."""
    logger = logging.getLogger("presidio-analyzer")
    level, logger.level = logger.level, logging.CRITICAL
    yield
    logger.setLevel(level)


def engine(config: ScrubConfig | None = None) -> Any:
    """Return an AnalyzerEngine with a blank language and only our recognizer."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    nlp = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    nlp.nlp = {"en": spacy.blank("en")}
    registry = RecognizerRegistry(recognizers=[recognizer(config)], supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


TEXT = "card 4111 1111<b> 1111</b> 1111, mail jane&#64;example.com"


def test_an_engine_has_the_findings_of_scrub() -> None:
    found = engine().analyze(TEXT, language="en")
    values = {(TEXT[one.start : one.end], one.entity_type) for one in found}
    assert {("4111 1111<b> 1111</b> 1111", "CREDIT_CARD"), ("jane&#64;example.com", "EMAIL_ADDRESS")} <= values
    assert {one.recognition_metadata["recognizer_name"] for one in found} == {"DeskloopRecognizer"}
    assert all(0 <= one.score <= 1 for one in found)


def test_an_engine_may_request_types() -> None:
    found = engine().analyze(TEXT, language="en", entities=["EMAIL_ADDRESS"])
    assert [one.entity_type for one in found] == ["EMAIL_ADDRESS"]


def test_configured_types_are_supported() -> None:
    config = ScrubConfig(patterns={"ORDER_ID": r"\bHD-\d{6}\b"}, deny={"PROJECT": ("Blue Moon",)})
    assert {"ORDER_ID", "PROJECT", "PERSON", "US_SSN"} <= set(supported(config))
    text = "hd-123456 for blue moon"
    found = engine(config).analyze(text, language="en")
    assert [(text[one.start : one.end], one.entity_type) for one in sorted(found, key=lambda one: one.start)] == [
        ("hd-123456", "ORDER_ID"),
        ("blue moon", "PROJECT"),
    ]


def test_it_works_together_with_presidios_recognizers() -> None:
    from presidio_analyzer.predefined_recognizers import UrlRecognizer

    made = engine()
    made.registry.add_recognizer(UrlRecognizer())
    found = made.analyze("see https://shop.example.org or call 212-555-0187", language="en")
    assert {"URL", "PHONE_NUMBER"} <= {one.entity_type for one in found}
