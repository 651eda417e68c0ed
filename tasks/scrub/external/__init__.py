"""Larger detectors of names and the like: a spaCy pipeline or a Hugging Face token classifier, by one line of YAML.

    detector: spacy:en_core_web_trf              an installed package, or a folder
    detector: transformers:dslim/bert-base-NER   a folder, or an id in the local cache or on the hub

Patterns and cues find what they find besides. People's names count as PERSON. A place counts only as part of an
address: where a house number or a postcode stands beside it, or beside the place next to it; "the flight to Boston" is
nobody's. Organisations, dates, amounts and whatever else a general model tags are not looked at. Any other label, as of
a model made for personal data, is taken by its own name: EMAIL, GIVENNAME1, SSN.

A model may score a text otherwise when others share its batch, by some 1e-7: texts go to it in the order of their
length, scores are rounded before they are compared.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from functools import lru_cache

from deskloop.contract.paths import written
from tasks.scrub.external.find import Found, find
from tasks.scrub.external.findings import chosen
from tasks.scrub.external.tagging import spacy_tagger, token_tagger
from tasks.scrub.span import Span

__all__ = ["Detector", "check", "equipment", "load"]

Detector = Callable[[Sequence[str]], list[list[Span]]]


def load(detector: str) -> Detector:
    """The function that finds the model's spans in decoded texts; loaded once per process.

    Args:
        detector: `spacy:NAME` or `transformers:NAME`.
    Returns:
        Texts -> for each its spans, ordered, not overlapping, none touching a placeholder; scores 0 to 1.
    Raises:
        ConfigError: the model cannot be had, see `check`.
    """
    return _loaded(find(detector))


def check(detector: str) -> None:
    """Refuse a detector that cannot be had or finds nothing; does not load it.

    Raises:
        ConfigError: names what to install.
    """
    find(detector)


def equipment(detector: str) -> dict[str, str | None]:
    """What decides the findings besides the code: the model's version or digest, and its library's version."""
    found = find(detector)
    return {f"detector {written(detector)}": f"{found.version}, {found.kind} {importlib.metadata.version(found.kind)}"}


@lru_cache(maxsize=2)
def _loaded(found: Found) -> Detector:
    tag = spacy_tagger(found) if found.kind == "spacy" else token_tagger(found)

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        """Each distinct text once, from the shortest to the longest."""
        distinct = sorted({text for text in texts if any(map(str.isalnum, text))}, key=lambda text: (len(text), text))
        spans = {text: chosen(text, found) for text, found in zip(distinct, tag(distinct), strict=True)}
        return [list(spans.get(text, ())) for text in texts]

    return detect
