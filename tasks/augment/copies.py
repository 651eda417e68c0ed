"""The copies of a batch of conversations.

Each conversation has its own sequence of generators, keyed by its id. Its copies are the sequence's first; if one is
unfit, the next generator tries, once for each wanted copy. A conversation's copies therefore depend on itself alone,
while a generator receives the texts of the whole batch at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import pandas as pd

from deskloop.contract.placeholders import hide, show
from deskloop.contract.stage import Context
from deskloop.store.memo import Item, Memo
from tasks.augment.config import AugmentConfig
from tasks.augment.generators import Generator
from tasks.augment.generators.config import RewriterConfig
from tasks.augment.judge import REASONS, fold, judge, scans_of
from tasks.augment.quota import UNLABELLED, copies, copyable, rewritable
from tasks.augment.similarity import Score
from tasks.scrub.config import ScrubConfig

TRIES = 2  # attempts for each copy that is wanted
CHUNK = 512  # texts after which a neural generator's outputs are stored: a killed run loses no more
SEEDS = 2**32  # NumPy's global generator, which nlpaug uses, takes no larger seed


@dataclass(frozen=True)
class Augmenter:
    """A declared generator; `generator` is None where its equipment is missing."""

    config: RewriterConfig
    generator: Generator | None

    @property
    def keyed(self) -> bool:
        """Its output depends on the seed."""
        return self.generator is not None and self.generator.keyed


@dataclass
class Attempt:
    """An attempt at one copy: for each customer turn to rewrite, the generator's input."""

    number: int
    augmenter: Augmenter
    asked: dict[int, Item]
    turns: list[dict[str, Any]] = field(default_factory=list)
    reject: str | None = None


@dataclass
class Parent:
    """A conversation to copy.

    Attributes:
        position: of its row in the batch.
        wanted: copies.
        sequence: generators of the next attempts; may end.
        seen: folded customer words of the conversation and of each copy that was kept.
        covered: placeholder -> the pseudonym that it stands for in `turns`, so that no generator rewrites it.
    """

    position: int
    row_id: str
    turns: list[dict[str, Any]]
    wanted: int
    sequence: Iterator[Augmenter]
    seen: set[str]
    covered: dict[str, str]
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Number of copies still wanted."""
        return self.wanted - sum(attempt.reject is None for attempt in self.attempts)


def augmented(
    rows: pd.DataFrame,
    config: AugmentConfig,
    context: Context,
    augmenters: Sequence[Augmenter],
    plan: dict[str, float],
    score: Score,
    memo: Memo,
) -> pd.DataFrame:
    """Return the rows, then the copies, kept and rejected; see `tasks.augment.augment`.

    Args:
        augmenters: one for each declared generator, in that order.
        plan: intent -> copies per conversation.
    """
    scans = scans_of(context)
    parents = list(_parents(rows, config, context, augmenters, plan))
    for _ in range(TRIES):
        tried = [(parent, attempt) for parent in parents for attempt in _next(parent, parent.missing, context)]
        _rewrite(tried, config, scans, score, memo)
    result = rows.assign(reject=pd.Series([None] * len(rows), index=rows.index, dtype="str"))
    attempts = [(parent, attempt) for parent in parents for attempt in parent.attempts]
    return pd.concat([result, _rows(result, attempts)], ignore_index=True) if attempts else result


def _parents(
    rows: pd.DataFrame,
    config: AugmentConfig,
    context: Context,
    augmenters: Sequence[Augmenter],
    plan: dict[str, float],
) -> Iterator[Parent]:
    """Yield the training rows that get copies."""
    names = ("row_id", "split", "intent", "parent_id", "language", "turns", "entities")
    for position, cells in enumerate(zip(*(rows[name] for name in names), strict=True)):
        row_id, split, intent, parent, language, turns, entities = cells
        rate = plan.get(UNLABELLED if pd.isna(intent) else intent, 0.0)
        if split != "train" or not rate or not copyable(parent, language, turns, config):
            continue
        wanted = copies(row_id, rate, context)
        if wanted:
            served = [augmenter for augmenter in augmenters if augmenter.config.serves(language)]
            turns, covered = hide(turns, entities)
            yield Parent(position, row_id, turns, wanted, _sequence(row_id, served, context), {_words(turns)}, covered)


def _sequence(row_id: str, served: Sequence[Augmenter], context: Context) -> Iterator[Augmenter]:
    """Yield a conversation's generators in a keyed order, repeatedly; those that use no seed come once.

    Missing generators are removed after the order is drawn, so that the others keep their places.
    """
    drawn = [served[place] for place in context.rng(row_id, "order").permutation(len(served))]
    present = [augmenter for augmenter in drawn if augmenter.generator is not None]
    yield from present
    yield from cycle(augmenter for augmenter in present if augmenter.keyed)


def _next(parent: Parent, count: int, context: Context) -> list[Attempt]:
    """Return the conversation's next attempts, at most `count`, and add them to `parent.attempts`."""
    fresh = []
    for number, augmenter in enumerate(islice(parent.sequence, count), len(parent.attempts) + 1):
        label = augmenter.config.label
        asked = {
            place: (
                turn["text"],
                int(context.rng(parent.row_id, label, number, place).integers(SEEDS)) if augmenter.keyed else 0,
            )
            for place, turn in enumerate(parent.turns)
            if rewritable(turn)
        }
        fresh.append(Attempt(number, augmenter, asked))
    parent.attempts += fresh
    return fresh


def _rewrite(
    tried: Sequence[tuple[Parent, Attempt]],
    config: AugmentConfig,
    scans: Sequence[ScrubConfig],
    score: Score,
    memo: Memo,
) -> None:
    """Write and check all attempts of a round; sets their `turns` and `reject`."""
    made: dict[tuple[str, Item], str | None] = {}
    for augmenter in {attempt.augmenter.config.label: attempt.augmenter for _, attempt in tried}.values():
        items = [item for _, attempt in tried if attempt.augmenter is augmenter for item in attempt.asked.values()]
        outputs = generate(augmenter.generator, items, memo) if augmenter.generator is not None else {}
        made |= {(augmenter.config.label, item): output for item, output in outputs.items()}
    outputs_of = [
        {place: (item[0], made[attempt.augmenter.config.label, item]) for place, item in attempt.asked.items()}
        for _, attempt in tried
    ]
    reasons = iter(judge([pair for outputs in outputs_of for pair in outputs.values()], config, scans, score))
    for (parent, attempt), rewritten in zip(tried, outputs_of, strict=True):
        reason_of = {place: next(reasons) for place in rewritten}
        attempt.turns = [
            {**turn, "text": rewritten[place][1]} if place in rewritten and reason_of[place] is None else {**turn}
            for place, turn in enumerate(parent.turns)
        ]
        attempt.reject = _verdict(parent, attempt, list(reason_of.values()))


def generate(generator: Generator, items: Iterable[Item], memo: Memo) -> dict[Item, str | None]:
    """Generate the output of each distinct item once; a neural generator's outputs are memoised.

    Args:
        items: texts with their seeds.
    """
    distinct = sorted(set(items))
    if not generator.neural:
        return _called(generator, distinct)
    known = memo.recall(generator.identity, distinct)
    missing = [item for item in distinct if item not in known]
    for at in range(0, len(missing), CHUNK):
        known |= memo.remember(generator.identity, _called(generator, missing[at : at + CHUNK]))
    return known


def _called(generator: Generator, items: Sequence[Item]) -> dict[Item, str | None]:
    if not items:
        return {}
    outputs = generator([text for text, _ in items], [seed for _, seed in items])
    return dict(zip(items, outputs, strict=True))


def _verdict(parent: Parent, attempt: Attempt, reasons: Sequence[str | None]) -> str | None:
    """Return the reason to reject a copy, or None; at least half of the rewritten turns must be fit."""
    failures = Counter(reason for reason in reasons if reason is not None)
    if 2 * failures.total() > len(reasons):
        return min(failures, key=lambda reason: (-failures[reason], REASONS.index(reason)))
    words = _words(attempt.turns)
    if words in parent.seen:
        return "not_new"
    parent.seen.add(words)
    return None


def _words(turns: Sequence[dict[str, Any]]) -> str:
    return "\x1f".join(fold(turn["text"] or "") for turn in turns if turn["role"] == "customer")


def _rows(rows: pd.DataFrame, attempts: Sequence[tuple[Parent, Attempt]]) -> pd.DataFrame:
    """Return the attempts as rows; their parents' rows are at `position` in `rows`."""
    copied = rows.iloc[[parent.position for parent, _ in attempts]].reset_index(drop=True)
    shown = [show(attempt.turns, parent.covered) for parent, attempt in attempts]
    values: dict[str, list[Any]] = {
        "row_id": [
            f"{parent.row_id}/{attempt.augmenter.config.label}-{attempt.number}" for parent, attempt in attempts
        ],
        "parent_id": [parent.row_id for parent, _ in attempts],
        "origin": [attempt.augmenter.config.origin for _, attempt in attempts],
        "turns": [turns for turns, _ in shown],
        "entities": [entities for _, entities in shown],
        "repeats": [1] * len(attempts),
        "weight": [1.0] * len(attempts),
        "reject": [attempt.reject for _, attempt in attempts],
    }
    return copied.assign(
        **{name: pd.Series(cells, dtype=copied[name].dtype) for name, cells in values.items() if name in copied}
    )
