"""Rules that give an intent to conversations with certain words."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from deskloop.contract.errors import DataError
from deskloop.contract.stage import StageConfig

PATIENCE = 2.0  # time-out in seconds of one regular expression on one conversation
PROBE, PROBE_PATIENCE = 2000, 1.0  # characters and time-out in seconds for testing a regular expression before the run

Phrase = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Rule(StageConfig):
    """An intent and the conditions for it, all of which must hold."""

    intent: str = Field(min_length=1, max_length=80, pattern=r"\S", description="the intent to assign")
    any: tuple[Phrase, ...] = Field((), description="words or phrases of which one must occur, in any case")
    all: tuple[Phrase, ...] = Field((), description="words or phrases that must all occur")
    none: tuple[Phrase, ...] = Field((), description="words or phrases that must not occur")
    regex: str | None = Field(None, max_length=500, description="a regular expression that must match, in any case")
    turns: Literal["first", "customer", "all"] = Field(
        "customer", description="messages to search: the customer's first one, all of the customer's, or all"
    )

    @field_validator("regex")
    @classmethod
    def _regex(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            problem = _problem(pattern)
            if problem:
                raise ValueError(problem)
        return pattern

    @model_validator(mode="after")
    def _positive(self) -> "Rule":
        if not (self.any or self.all or self.regex):
            raise ValueError("a rule needs `any`, `all` or `regex`: `none` alone does not identify an intent")
        return self


def first_match(rules: Sequence[Rule], turns: Sequence[Mapping[str, Any]], step: str, row_id: str) -> str | None:
    """Return the intent of the first matching rule.

    Args:
        turns: of the conversation `row_id`; not modified.
    Raises:
        DataError: a regular expression takes longer than `PATIENCE`. (Skipping it would make the result depend on the
            machine's speed.)
    """
    for number, rule in enumerate(rules, 1):
        try:
            if holds(rule, turns):
                return rule.intent
        except TimeoutError:
            raise DataError(
                f"step {step!r}: the regular expression of rule {number} took longer than {PATIENCE:g} s on {row_id}: "
                f"rewrite it without nested repetitions, or as phrases in `any`"
            ) from None
    return None


def holds(rule: Rule, turns: Sequence[Mapping[str, Any]]) -> bool:
    """Check that a conversation meets every condition of a rule.

    Raises:
        TimeoutError: its regular expression takes longer than `PATIENCE`.
    """
    texts = [turn["text"] or "" for turn in turns if rule.turns == "all" or turn["role"] == "customer"]
    text = "\n".join(texts[:1] if rule.turns == "first" else texts)
    return bool(
        (not rule.any or mentions(text, rule.any))
        and all(mentions(text, (phrase,)) for phrase in rule.all)
        and not (rule.none and mentions(text, rule.none))
        and (rule.regex is None or _compiled(rule.regex).search(text, timeout=PATIENCE))
    )


def mentions(text: str, phrases: tuple[str, ...]) -> bool:
    """Check that at least one of the phrases occurs as whole words."""
    return _any_of(phrases).search(plain(text)) is not None


def plain(text: str) -> str:
    """Normalise case, compatibility forms and apostrophes."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")


@functools.lru_cache(maxsize=1024)
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Compile a pattern for any of the phrases as whole words, separated by any white space."""
    return re.compile("|".join(_bounded(plain(phrase)) for phrase in phrases))


def _bounded(phrase: str) -> str:
    body = r"\s+".join(map(re.escape, phrase.split()))
    words = phrase.strip()
    return (r"(?<!\w)" if re.match(r"\w", words) else "") + body + (r"(?!\w)" if re.search(r"\w$", words) else "")


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import regex  # type: ignore[import-untyped]

    return regex.compile(pattern, regex.IGNORECASE)


def _problem(pattern: str) -> str | None:
    """Explain why a regular expression cannot be used: it is invalid, matches anything, or backtracks exponentially."""
    import regex

    try:
        compiled = _compiled(pattern)
    except regex.error as error:
        return f"not a regular expression: {error.msg} at position {error.pos}"
    if compiled.search("") is not None:
        return "a regular expression that matches an empty text does not identify an intent"
    for text in _probes(pattern):
        try:
            compiled.search(text, timeout=PROBE_PATIENCE)
        except TimeoutError:
            return "a regular expression that can take exponential time: it has nested repetitions"
    return None


def _probes(pattern: str) -> Iterable[str]:
    """Yield runs of each letter and digit in the pattern and of common character classes, with a non-matching end.

    Each run also comes with the pattern appended, because a search stops early if a required letter does not occur.
    """
    for unit in dict.fromkeys(["a", "0", " ", "a ", *(sign for sign in pattern if sign.isalnum())]):
        run = unit * (PROBE // len(unit)) + "\0"
        yield from (run, run + pattern)
