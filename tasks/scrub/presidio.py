"""Use deskloop's detector as a recognizer in an existing Presidio `AnalyzerEngine`.

    from presidio_analyzer import AnalyzerEngine
    from tasks.scrub.presidio import recognizer

    analyzer = AnalyzerEngine()
    analyzer.registry.add_recognizer(recognizer())
    analyzer.analyze("call jane on 212-555-0187", language="en")

Presidio passes one text at a time, so values that only the conversation reveals, such as the answer to an agent's
question, are not detected here.
"""

from collections.abc import Sequence
from typing import Any

from tasks.scrub.config import OTHERS, ScrubConfig
from tasks.scrub.decode import decode
from tasks.scrub.detect import detect


def supported(config: ScrubConfig) -> list[str]:
    """Return the entity types that detection may return under a config, sorted."""
    return sorted({*config.entities, *config.patterns, *config.deny, *OTHERS})


def recognizer(config: ScrubConfig | None = None, language: str = "en") -> Any:
    """Return a `presidio_analyzer.EntityRecognizer` with the findings of deskloop's scrub step in a single text.

    Args:
        config: what to detect; None: the defaults.
        language: the language under which Presidio registers the recognizer.
    """
    from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

    used = config or ScrubConfig()

    class DeskloopRecognizer(EntityRecognizer):
        """Detects with `tasks.scrub.detect.detect`, in offsets of the original text."""

        def load(self) -> None:
            """Do nothing: detection loads its models on first use."""

        def analyze(self, text: str, entities: Sequence[str] | None, nlp_artifacts: object = None) -> list[Any]:
            """Return the findings of the requested types, or of all types if none are requested."""
            decoded = decode(text)
            keys = (RecognizerResult.RECOGNIZER_NAME_KEY, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY)
            results = []
            for span in detect([decoded.text], used)[0]:
                if not entities or span.type in entities:
                    start, end = decoded.source(span.start, span.end)
                    score = min(span.score, 1.0)
                    explanation = AnalysisExplanation(self.name, score)
                    metadata = dict(zip(keys, (self.name, self.id), strict=True))
                    results.append(RecognizerResult(span.type, start, end, score, explanation, metadata))
            return results

    return DeskloopRecognizer(supported_entities=supported(used), name="DeskloopRecognizer",
                              supported_language=language)  # fmt: skip
