"""Augment: copies of training conversations of rare intents, the customer's words rewritten, the agent's as they are.

A plan by intent says how many copies (`quota`), generators take turns in writing them (`generators`), each rewritten
turn is checked (`judge`), and unfit copies are rejected under their own id. Validation and test rows pass unchanged.
"""

import json
from functools import lru_cache

import pandas as pd

from deskloop.contract.errors import ConfigError
from deskloop.contract.extras import require_extra
from deskloop.contract.paths import written
from deskloop.contract.stage import Context, FittedStage
from deskloop.store.memo import Memo
from tasks import pretrained, scrub
from tasks.augment import generators
from tasks.augment.config import LEXICAL, AugmentConfig
from tasks.augment.copies import Augmenter, augmented
from tasks.augment.generators import Generator
from tasks.augment.generators.config import RewriterConfig
from tasks.augment.judge import scans_of
from tasks.augment.quota import ARTIFACT, fit
from tasks.augment.similarity import scorer

__all__ = ["STAGE", "AugmentConfig", "augment", "check", "equipment"]

REASONS = {  # of `judge`, in the words of the report
    "nothing_generated": "nothing came back",
    "not_new": "no new words",
    "placeholder_lost": "lost or changed a placeholder, link or number",
    "personal_data": "looked like personal data",
    "length": "far shorter or longer",
    "too_different": "strayed from the meaning",
    "too_similar": "hardly changed",
}


def augment(rows: pd.DataFrame, config: AugmentConfig, context: Context) -> pd.DataFrame:
    """Return the rows unchanged, with copies of those whose intent is in the plan.

    A copy's row_id is `<row_id>/<generator>-<number>`; it shares family, split, intent and everything else with its
    parent but the customer's turns, `entities`, `origin`, `parent_id`, and `repeats` and `weight`, which are 1. It is
    kept if at least half of the turns with words to rewrite were rewritten and passed; a turn that did not keeps its
    original words.

    Args:
        rows: (n, schema) with `split`, `family`, `intent`; not modified. `context.artifact` is the one of `fit`.
    Returns:
        (n + copies, schema + `reject`): first the n rows, unchanged, with a null `reject`; then the copies, whose
        `reject` is null or one of REASONS.
    Raises:
        DataError: scrub's detector takes too long on a text.
    """
    plan: dict[str, float] = json.loads(context.artifact[ARTIFACT])
    with Memo(context.memo) as memo:
        return augmented(rows, config, context, _augmenters(config), plan, scorer(config, memo), memo)


def check(config: AugmentConfig, context: Context) -> None:
    """Refuse models and files that are not available.

    Raises:
        ConfigError: with all of them.
    """
    problems: list[str] = []
    for generator in config.generators:
        try:
            generators.check(generator)
        except ConfigError as error:
            problems += error.problems
    if config.similarity != LEXICAL:
        try:
            require_extra("train", "similarity")
            pretrained.resolve(config.similarity, "similarity")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems, f"step {context.step!r}")


def equipment(config: AugmentConfig, context: Context) -> dict[str, str | None]:
    """Return the programs, files and models of the step: `<generator>: <name>` -> version; None: not installed."""
    versions = {
        f"{generator.label}: {name}": version
        for generator in config.generators
        for name, version in generators.equipment(generator).items()
    }
    if config.similarity != LEXICAL:
        versions[f"similarity: model {written(config.similarity)}"] = pretrained.resolve(config.similarity).version
    for scan in scans_of(context):
        versions |= {f"scan: {name}": version for name, version in scrub.equipment(scan, context).items()}
    return versions


def _augmenters(config: AugmentConfig) -> list[Augmenter]:
    """Return the declared generators; models stay loaded for the next partition."""
    neural = tuple(filter(generators.is_neural, config.generators))
    versions = tuple(tuple(generators.equipment(generator).items()) for generator in neural)
    loaded = dict(zip(neural, _neural(neural, versions), strict=True))
    return [
        Augmenter(declared, loaded[declared] if declared in loaded else generators.build(declared))
        for declared in config.generators
    ]


@lru_cache(maxsize=1)
def _neural(configs: tuple[RewriterConfig, ...], versions: tuple[object, ...]) -> tuple[Generator | None, ...]:
    """Build the generators that load models, once per process.

    Args:
        versions: of the models; other weights are other generators.
    """
    return tuple(map(generators.build, configs))


STAGE = FittedStage(
    name="augment",
    dataset="augmented",
    summary="Writes copies of rare training conversations with the customer's words changed; rejects unfit copies.",
    words=REASONS,
    added="copies added",
    rejected="copies rejected",
    suite="expectations.augmented",
    report="tasks.augment.report",
    config=AugmentConfig,
    run=augment,
    fit=fit,
    check=check,
    equipment=equipment,
    config_of=("scrub",),
    needs=frozenset({"split", "family", "intent"}),
    provides=frozenset({"augmented"}),
    libraries=("nlpaug", "phonenumbers", "presidio-analyzer", "torch", "transformers"),
)
