"""Presidio's recognizers where they ask the network, miss what people write, or pass over what takes too long."""

import re
from typing import Any

from deskloop.errors import DataError

PHONE_DIGITS = 7  # fewer are a price, a year or a code rather than a subscriber
PHONE_CONTEXT = ["phone", "telephone", "tel", "cell", "cellphone", "mobile", "call", "text", "sms", "whatsapp", "fax"]
PATTERN_SECONDS = 20  # for one of the pipeline's own patterns on one piece of text

DIGIT = re.compile(r"\d")
_LINK = re.compile(r"[^\s@]*(?:/|[?&][\w.-]*=)")
_IBAN_BEGIN = re.compile(r"(?<![^\W_])[A-Z]{2}[0-9]{2}(?=[ -]?[A-Z0-9])", re.IGNORECASE)
_IBAN_BODY = re.compile(r"[A-Z0-9]{4}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_IBAN_GROUP = re.compile(r"[A-Z0-9]+(?![A-Z0-9])", re.IGNORECASE)


def many_digits(text: str) -> bool:
    """Whether a phone number can be in the text at all."""
    return len(DIGIT.findall(text)) >= PHONE_DIGITS


def email() -> Any:
    """The recognizer of EMAIL_ADDRESS."""
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    class Email(EmailRecognizer):
        """Presidio's pattern without its look at the public suffix list, which it fetches from the network."""

        def validate_result(self, pattern_text: str) -> bool | None:
            """False for `name@1.2.3`, a version of a package; addresses inside a company's network count."""
            labels = pattern_text.rpartition("@")[2].split(".")
            numeric = len(labels) == 4 and all(label.isdigit() for label in labels)
            return None if numeric or labels[-1].isalpha() or labels[-1].lower().startswith("xn--") else False

        def analyze(self, text: str, entities: list[str], *_: object, **__: object) -> list[Any]:
            """Addresses without the link that they stand in: `/?mail=` would be a legal part of them."""
            results: list[Any] = super().analyze(text, entities)
            for result in results:
                link = _LINK.match(text, result.start, text.rindex("@", result.start, result.end))
                result.start = link.end() if link else result.start
            return results

    return Email()


def iban() -> Any:
    """The recognizer of IBAN_CODE."""
    from presidio_analyzer.predefined_recognizers import IbanRecognizer

    class Iban(IbanRecognizer):
        """Presidio's checksum and country formats, in lower case too, and whatever word follows."""

        def analyze(self, text: str, entities: list[str], *_: object, **__: object) -> list[Any]:
            """The longest valid number at every place where one can begin."""
            results: list[Any] = []
            for begin in _IBAN_BEGIN.finditer(text):
                start = begin.start()
                if results and start < results[-1].end:
                    continue
                body = _IBAN_BODY.match(text, start)
                for end in reversed(
                    [group.end() for group in _IBAN_GROUP.finditer(text, start, body.end())] if body else []
                ):
                    if self.validate_result(text[start:end].upper()):
                        results.append(_result(self, "IBAN_CODE", start, end, 1.0))
                        break
            return results

    return Iban(exact_match=True)


def _result(recognizer: Any, entity: str, start: int, end: int, score: float) -> Any:
    from presidio_analyzer import AnalysisExplanation, RecognizerResult

    keys = (RecognizerResult.RECOGNIZER_NAME_KEY, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY)
    metadata = dict(zip(keys, (recognizer.name, recognizer.id), strict=True))
    explanation = AnalysisExplanation(recognizer.name, score)
    return RecognizerResult(entity, start, end, score, explanation, metadata)


def phone() -> Any:
    """The recognizer of PHONE_NUMBER."""
    from phonenumbers import PhoneNumberMatcher
    from presidio_analyzer import EntityRecognizer
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    class Matcher(PhoneNumberMatcher):
        """Drops what is too short before it is parsed, eight times over: that is most of the time it would take."""

        def _parse_and_verify(self, candidate: str, offset: int) -> Any:
            return super()._parse_and_verify(candidate, offset) if many_digits(candidate) else None

    class Phone(PhoneRecognizer):
        """Presidio's numbers and regions, fewer than seven digits left out, the tail of a code only after a word."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[Any]:
            """Every number that is valid in one of the regions, each once."""
            found = {}
            for region in self.supported_regions:
                for match in Matcher(text, region, leniency=self.leniency):
                    found[match.start, match.end] = match
            results = [self._get_recognizer_result(match, text, None, None) for match in found.values()]
            for result in results:
                if re.search(r"\w[-_/.]$", text[max(0, result.start - 2) : result.start]):
                    result.score = self.SCORE / 2  # ORD-2024-001234
            return EntityRecognizer.remove_duplicates(results)

    return Phone(context=PHONE_CONTEXT)


def custom(entity: str, expression: str) -> Any:
    """The recognizer of one pattern of the pipeline file, which may match anything."""
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer import Pattern, PatternRecognizer

    compiled = regex.compile(expression, flags=regex.DOTALL | regex.MULTILINE | regex.IGNORECASE)

    class Custom(PatternRecognizer):
        """A pattern of the pipeline file; one that takes too long stops the step, where Presidio would skip it."""

        def analyze(self, text: str, entities: list[str], *_: object, **__: object) -> list[Any]:
            """Every match of the pattern that is not empty."""
            try:
                spans = [match.span() for match in compiled.finditer(text, timeout=PATTERN_SECONDS)]
            except TimeoutError:
                raise DataError(
                    f"scrub: the pattern of {entity} took over {PATTERN_SECONDS} s on {len(text)} characters: simplify "
                    "it, nested repetitions such as (a+)+ are the usual cause"
                ) from None
            return [_result(self, entity, start, end, 1.0) for start, end in spans if start < end]

    return Custom(supported_entity=entity, patterns=[Pattern(entity, expression, 1.0)])
