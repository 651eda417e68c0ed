"""Declared rules: an intent for conversations that mention certain words."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from deskloop.contract.errors import DataError
from deskloop.contract.stage import StageConfig

PATIENCE = 2.0  # seconds for one regular expression on one conversation
PROBE, PROBE_PATIENCE = 2000, 1.0  # characters and seconds for trying a regular expression before the run

Phrase = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Rule(StageConfig):
    """An intent, and what must be said for it: every condition that is given must hold."""

    intent: str = Field(min_length=1, max_length=80, pattern=r"\S", description="the intent that it gives")
    any: tuple[Phrase, ...] = Field((), description="words or phrases of which one must occur; case does not count")
    all: tuple[Phrase, ...] = Field((), description="words or phrases that must all occur")
    none: tuple[Phrase, ...] = Field((), description="words or phrases that must not occur")
    regex: str | None = Field(None, max_length=500, description="a regular expression that must be found; case aside")
    turns: Literal["first", "customer", "all"] = Field(
        "customer", description="where to look: the customer's first message, all of the customer's, or everybody's"
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
            raise ValueError("a rule needs `any`, `all` or `regex`: what must not occur says nothing about an intent")
        return self


def first_match(rules: Sequence[Rule], turns: Sequence[Mapping[str, Any]], step: str, row_id: str) -> str | None:
    """The intent of the first rule that holds.

    Args:
        turns: of the conversation `row_id`; not modified.
    Raises:
        DataError: a regular expression takes longer than `PATIENCE`. (Passing over it would make the result depend
            on how fast the machine is.)
    """
    for number, rule in enumerate(rules, 1):
        try:
            if holds(rule, turns):
                return rule.intent
        except TimeoutError:
            raise DataError(
                f"step {step!r}: the regular expression of rule {number} took longer than {PATIENCE:g} s on {row_id}: "
                f"write it without repetitions inside repetitions, or as phrases in `any`"
            ) from None
    return None


def holds(rule: Rule, turns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a conversation meets every condition of a rule.

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
    """Whether one of the phrases, at least one, occurs as whole words."""
    return _any_of(phrases).search(plain(text)) is not None


def plain(text: str) -> str:
    """Case, compatibility forms and the shape of apostrophes do not count."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")


@functools.lru_cache(maxsize=1024)
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the phrases, as whole words, with any white space between them."""
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
    """Why a regular expression cannot be used: it is none, or long runs of one thing make it explode."""
    import regex

    try:
        compiled = _compiled(pattern)
    except regex.error as error:
        return f"no regular expression: {error.msg} at position {error.pos}"
    if compiled.search("") is not None:
        return "a regular expression that is found in an empty text says nothing about an intent"
    for text in _probes(pattern):
        try:
            compiled.search(text, timeout=PROBE_PATIENCE)
        except TimeoutError:
            return "a regular expression that can take forever: it repeats something that repeats itself"
    return None


def _probes(pattern: str) -> Iterable[str]:
    """Runs of each letter and digit in the pattern and of what its classes stand for, with an end that fits nothing.

    Then the same with the pattern itself behind: a search gives up early where a letter that it needs does not occur.
    """
    for unit in dict.fromkeys(["a", "0", " ", "a ", *(sign for sign in pattern if sign.isalnum())]):
        run = unit * (PROBE // len(unit)) + "\0"
        yield from (run, run + pattern)
