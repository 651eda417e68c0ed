"""The engine that runs Presidio's recognizers, each only on texts that can contain a match."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deskloop.contract.errors import DataError
from tasks.scrub.patterns import phones
from tasks.scrub.patterns.context_words import Context, Tokens, forgetting
from tasks.scrub.patterns.needs import NOTHING, Needs, has_inner_dot, needs, tally
from tasks.scrub.span import Span

Hit = tuple[int, int, float]  # start, end, score
Scan = Callable[[str], list[Hit]]


@dataclass(frozen=True)
class Rule:
    """A recognizer, or a single pattern of one.

    Attributes:
        number: index of the recognizer.
        needs: characters that a text must contain.
        scan: function from a text to hits.
    """

    number: int
    needs: Needs
    scan: Scan


class Engine:
    """Presidio's recognizers, compiled for fast runs.

    Args:
        recognizers: Presidio's objects; if one has a method `scan(text) -> [(start, end, score)]`, that is called.
        enhancer: a `LemmaContextAwareEnhancer`.
        words: whether words replace the lemmas that a blank pipeline does not have.
        seconds: time limit of a pattern on a text; None: no limit.
    """

    def __init__(
        self, recognizers: Sequence[Any], enhancer: Any, words: bool = True, seconds: float | None = None
    ) -> None:
        self._entities = [recognizer.supported_entities[0] for recognizer in recognizers]
        self._words = [tuple(word.lower() for word in recognizer.context or ()) for recognizer in recognizers]
        self._context = Context(enhancer, words)
        self._rules = [
            rule for number, recognizer in enumerate(recognizers) for rule in _rules(number, recognizer, seconds)
        ]
        self._most = tuple(map(max, zip(NOTHING.counts, *(rule.needs.counts for rule in self._rules), strict=True)))
        self._chosen: dict[tuple[tuple[int, ...], bool], list[Rule]] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def analyze(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the findings of `BatchAnalyzerEngine.analyze_iterator` in n texts, highest score first."""
        with forgetting():
            spans = {text: _distinct(self.find(text)) for text in dict.fromkeys(texts)}
        return [spans[text] for text in texts]

    def find(self, text: str) -> list[Span]:
        """Return all findings in a text, including duplicates from different recognizers."""
        rules = self._that_may_match(text)
        if not rules:
            return []
        hits: dict[int, list[Hit]] = {}
        for rule in rules:
            if len(text) >= rule.needs.width:
                matches = rule.scan(text)
                if matches:
                    hits.setdefault(rule.number, []).extend(matches)
        return self._with_context(text, hits) if hits else []

    def _that_may_match(self, text: str) -> list[Rule]:
        counts = tally(text)
        inner_dot = counts[2] > 0 and has_inner_dot(text)
        key = tuple(map(min, counts, self._most)), inner_dot
        if key not in self._chosen:
            self._chosen[key] = [rule for rule in self._rules if rule.needs.met(*key)]
        return self._chosen[key]

    def _with_context(self, text: str, hits: dict[int, list[Hit]]) -> list[Span]:
        near = _Near(text)
        result = []
        for number, matches in hits.items():
            entity, words = self._entities[number], self._words[number]
            spans = _distinct([Span(start, end, entity, score) for start, end, score in matches])
            if words and self._context.may_support(near.lowered, words):
                spans = [
                    span._replace(score=self._context.raised(span.score))
                    if span.score < 1.0 and self._context.supported(near.tokens, span.start, words)
                    else span
                    for span in spans
                ]
            result += spans
        return result


class _Near:
    """The forms of a text in which context words are searched, computed on first use."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def lowered(self) -> str:
        return self._text.lower()

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self._text)


def _distinct(spans: Sequence[Span]) -> list[Span]:
    """Apply Presidio's `remove_duplicates`: remove spans inside others of their type, unless they score higher."""
    if len(spans) < 2:
        return list(spans)
    ordered = sorted(set(spans), key=lambda span: (span.type, span.start, span.start - span.end, -span.score))
    result: list[Span] = []
    active: list[Span] = []
    for span in ordered:
        active = [other for other in active if other.type == span.type and other.end >= span.start]
        if not any(span.end <= other.end and span.score <= other.score for other in active):
            result.append(span)
            active.append(span)
    return sorted(result, key=lambda span: (-span.score, span.start, span.start - span.end))


def _rules(number: int, recognizer: Any, seconds: float | None) -> Iterator[Rule]:
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.predefined_recognizers import IbanRecognizer, PhoneRecognizer

    if hasattr(recognizer, "scan"):
        yield Rule(number, getattr(recognizer, "needs", NOTHING), recognizer.scan)
    elif type(recognizer) is PhoneRecognizer and recognizer.leniency <= 1:
        yield _phone_rule(number, recognizer)
    elif isinstance(recognizer, PatternRecognizer) and type(recognizer).analyze is PatternRecognizer.analyze:
        for pattern in recognizer.patterns:
            flags = recognizer.global_regex_flags
            yield Rule(number, needs(pattern.regex, flags), _pattern_scan(recognizer, pattern, seconds))
    else:
        least = NOTHING
        if type(recognizer) is IbanRecognizer:
            (least,) = (needs(pattern.regex, recognizer.global_regex_flags) for pattern in recognizer.patterns)
        yield Rule(number, least, _analyzed(recognizer))


def _phone_rule(number: int, recognizer: Any) -> Rule:
    regions, leniency = recognizer.supported_regions, recognizer.leniency
    accepted, least = phones.judge(regions, leniency)

    def scan(text: str) -> list[Hit]:
        return [(start, end, recognizer.SCORE) for start, end in phones.find(text, leniency, accepted)]

    return Rule(number, Needs((least, *NOTHING.counts[1:]), width=least), scan)


def _pattern_scan(recognizer: Any, pattern: Any, seconds: float | None) -> Scan:
    """Return `PatternRecognizer`'s procedure for one pattern: match, validate, invalidate."""
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer import PatternRecognizer

    search = regex.compile(pattern.regex, flags=recognizer.global_regex_flags).finditer
    entity, kind = recognizer.supported_entities[0], type(recognizer)

    def spans(text: str) -> list[tuple[int, int]]:
        try:
            return [match.span() for match in search(text, timeout=seconds)]
        except TimeoutError:
            raise DataError(
                f"scrub: the pattern of {entity} took over {seconds} s on {len(text)} characters; simplify it (nested "
                "repetitions such as (a+)+ are the usual cause)"
            ) from None

    validate = recognizer.validate_result if kind.validate_result is not PatternRecognizer.validate_result else None
    invalidate = (
        recognizer.invalidate_result if kind.invalidate_result is not PatternRecognizer.invalidate_result else None
    )

    def scan(text: str) -> list[Hit]:
        hits = []
        for start, end in spans(text):
            if start == end:
                continue
            score = pattern.score
            if validate is not None:
                valid = validate(text[start:end])
                if valid is not None:
                    score = 1.0 if valid else 0.0
            if score > 0 and not (invalidate is not None and invalidate(text[start:end])):
                hits.append((start, end, score))
        return hits

    return scan


def _analyzed(recognizer: Any) -> Scan:
    """Return a scan that calls the recognizer's own `analyze`."""

    def scan(text: str) -> list[Hit]:
        results = recognizer.analyze(text, recognizer.supported_entities, None)
        return [(result.start, result.end, result.score) for result in results]

    return scan
