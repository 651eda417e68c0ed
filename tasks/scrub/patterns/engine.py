"""The engine: Presidio's recognizers over a batch of texts, each on the texts that can hold what it looks for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deskloop.contract.errors import DataError
from tasks.scrub.patterns import phones
from tasks.scrub.patterns.context import Context, Tokens, forgetting
from tasks.scrub.patterns.needs import NOTHING, Needs, has_inner_dot, needs, tally
from tasks.scrub.span import Span

Hit = tuple[int, int, float]  # start, end, score
Scan = Callable[[str], list[Hit]]


@dataclass(frozen=True)
class Rule:
    """One recognizer, or one pattern of one.

    Attributes:
        number: of its recognizer, in the registry's order.
        needs: what a text must hold.
        scan: text -> hits.
    """

    number: int
    needs: Needs
    scan: Scan


class Engine:
    """Presidio's recognizers, ready to run.

    Args:
        recognizers: Presidio's objects. One that has a method `scan(text) -> [(start, end, score)]` is asked that way.
        enhancer: a `LemmaContextAwareEnhancer`.
        words: whether the words of a text stand in for the lemmas that a blank pipeline does not have.
        seconds: for one pattern on one text; None: no limit.
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
        """What `BatchAnalyzerEngine.analyze_iterator` finds in n texts, in its order: surest first."""
        with forgetting():
            found = {text: _distinct(self.find(text)) for text in dict.fromkeys(texts)}
        return [found[text] for text in texts]

    def find(self, text: str) -> list[Span]:
        """Every finding in one text, duplicates of several recognizers included."""
        rules = self._that_may_match(text)
        if not rules:
            return []
        hits: dict[int, list[Hit]] = {}
        for rule in rules:
            if len(text) >= rule.needs.width:
                found = rule.scan(text)
                if found:
                    hits.setdefault(rule.number, []).extend(found)
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
        spans = []
        for number, found in hits.items():
            entity, words = self._entities[number], self._words[number]
            spans_of_one = _distinct([Span(start, end, entity, score) for start, end, score in found])
            if words and self._context.may_support(near.lowered, words):
                spans_of_one = [
                    span._replace(score=self._context.raised(span.score))
                    if span.score < 1.0 and self._context.supported(near.tokens, span.start, words)
                    else span
                    for span in spans_of_one
                ]
            spans += spans_of_one
        return spans


class _Near:
    """What a text's context is looked up in, made when it is first needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def lowered(self) -> str:
        return self._text.lower()

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self._text)


def _distinct(spans: Sequence[Span]) -> list[Span]:
    """Presidio's `remove_duplicates`: one inside another of its type goes, unless it is surer; the surest first."""
    if len(spans) < 2:
        return list(spans)
    ordered = sorted(set(spans), key=lambda span: (span.type, span.start, span.start - span.end, -span.score))
    kept: list[Span] = []
    active: list[Span] = []
    for span in ordered:
        active = [other for other in active if other.type == span.type and other.end >= span.start]
        if not any(span.end <= other.end and span.score <= other.score for other in active):
            kept.append(span)
            active.append(span)
    return sorted(kept, key=lambda span: (-span.score, span.start, span.start - span.end))


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
    """`PatternRecognizer`'s way with one pattern: match, validate, invalidate."""
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer import PatternRecognizer

    search = regex.compile(pattern.regex, flags=recognizer.global_regex_flags).finditer
    entity, kind = recognizer.supported_entities[0], type(recognizer)

    def spans(text: str) -> list[tuple[int, int]]:
        try:
            return [match.span() for match in search(text, timeout=seconds)]
        except TimeoutError:
            raise DataError(
                f"scrub: the pattern of {entity} took over {seconds} s on {len(text)} characters: simplify it, nested "
                "repetitions such as (a+)+ are the usual cause"
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
    """A recognizer with a way of its own: asked as Presidio asks it."""

    def scan(text: str) -> list[Hit]:
        found = recognizer.analyze(text, recognizer.supported_entities, None)
        return [(result.start, result.end, result.score) for result in found]

    return scan
