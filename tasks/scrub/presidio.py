"""deskloop's detector as a recognizer of Presidio's: for whoever has an AnalyzerEngine already.

    from presidio_analyzer import AnalyzerEngine
    from tasks.scrub.presidio import recognizer

    analyzer = AnalyzerEngine()
    analyzer.registry.add_recognizer(recognizer())
    analyzer.analyze("call jane on 212-555-0187", language="en")

Presidio shows it one text at a time: what needs the conversation, as the agent's question before an answer, it cannot
find here.
"""

from collections.abc import Sequence
from typing import Any

from tasks.scrub.config import OTHERS, ScrubConfig
from tasks.scrub.decode import decode
from tasks.scrub.detect import detect


def supported(config: ScrubConfig) -> list[str]:
    """The entity types that detection under a config may give, sorted."""
    return sorted({*config.entities, *config.patterns, *config.deny, *OTHERS})


def recognizer(config: ScrubConfig | None = None, language: str = "en") -> Any:
    """A `presidio_analyzer.EntityRecognizer` that finds what deskloop's scrub step finds in a text.

    Args:
        config: what is personal; None: the defaults.
        language: the one under which Presidio lists it.
    """
    from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

    used = config or ScrubConfig()

    class DeskloopRecognizer(EntityRecognizer):
        """Finds by `tasks.scrub.detect.detect`, in offsets of the text as it came, encoded or not."""

        def load(self) -> None:
            """Nothing: detection loads what it needs once, when it is first used."""

        def analyze(self, text: str, entities: Sequence[str] | None, nlp_artifacts: object = None) -> list[Any]:
            """Findings of the types asked for; all of them where none are named."""
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
