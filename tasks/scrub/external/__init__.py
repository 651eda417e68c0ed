"""Larger detectors for names and addresses: a spaCy pipeline or a Hugging Face token classifier.

    detector: spacy:en_core_web_trf              an installed package, or a folder
    detector: transformers:dslim/bert-base-NER   a folder, or an id in the local cache or on the hub

Patterns and cues run as well. Names of people become PERSON. A place counts only as part of an address, next to a house
number or a postcode, or next to such a place; the "Boston" in "the flight to Boston" is not personal. Organisations,
dates, amounts and other labels of general models are ignored. All other labels, such as those of models for personal
data, keep their names: EMAIL, GIVENNAME1, SSN.

A model's scores change by about 1e-7 with the composition of the batch. Texts are therefore processed in order of
length, and scores are rounded before they are compared.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from functools import lru_cache

from deskloop.contract.extras import require_extra
from deskloop.contract.paths import written
from tasks.scrub.external.find import Model, find
from tasks.scrub.external.findings import chosen
from tasks.scrub.external.tagging import spacy_tagger, token_tagger
from tasks.scrub.span import Span

__all__ = ["Detector", "check", "equipment", "load"]

Detector = Callable[[Sequence[str]], list[list[Span]]]


def load(detector: str) -> Detector:
    """Load a model, once per process, as a function from decoded texts to spans.

    Args:
        detector: `spacy:NAME` or `transformers:NAME`.
    Returns:
        A function from texts to the spans of each, ordered, without overlaps among them or with placeholders; scores
        are 0 to 1.
    Raises:
        ConfigError: the model is not available.
    """
    return _loaded(find(detector))


def check(detector: str) -> None:
    """Check that a detector is available and detects personal values, without loading it.

    Raises:
        ConfigError: it is not or does not; the message says what to install or to change.
    """
    if detector.startswith("transformers:"):
        require_extra("train", "detector")
    find(detector)


def equipment(detector: str) -> dict[str, str | None]:
    """Return what affects detection besides the code: the model's version or digest, and its library's version."""
    model = find(detector)
    return {f"detector {written(detector)}": f"{model.version}, {model.kind} {importlib.metadata.version(model.kind)}"}


@lru_cache(maxsize=2)
def _loaded(model: Model) -> Detector:
    tag = spacy_tagger(model) if model.kind == "spacy" else token_tagger(model)

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        """Tag each distinct text once, from the shortest to the longest."""
        distinct = sorted({text for text in texts if any(map(str.isalnum, text))}, key=lambda text: (len(text), text))
        spans = {text: chosen(text, tagged) for text, tagged in zip(distinct, tag(distinct), strict=True)}
        return [list(spans.get(text, ())) for text in texts]

    return detect
