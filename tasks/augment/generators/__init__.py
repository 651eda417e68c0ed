"""Generators: each rewrites a customer's words in its own way, and leaves protected spans exactly as they are.

    back_translation   there and back through another language: Apertium, or a pair of models
    paraphrase         in other words: a sequence-to-sequence or a chat model
    synonyms           some words replaced by synonyms from WordNet
    noise              slips of the finger, of a scanner, of haste

`shield` says which spans are protected. Same text and seed give the same output, whatever the batch around it.
"""

from collections.abc import Sequence
from typing import Protocol

from deskloop.contract.paths import written
from tasks.augment.generators.config import (
    BackTranslationConfig,
    GeneratorConfig,
    NoiseConfig,
    ParaphraseConfig,
    RewriterConfig,
    SynonymsConfig,
)

__all__ = [
    "BackTranslationConfig",
    "Generator",
    "GeneratorConfig",
    "NoiseConfig",
    "ParaphraseConfig",
    "RewriterConfig",
    "SynonymsConfig",
    "build",
    "check",
    "equipment",
    "is_neural",
]


class Generator(Protocol):
    """A generator that is ready to work.

    Attributes:
        identity: generator, settings, versions and digests: the key that its outputs are memoised under.
        keyed: whether the seed matters.
        neural: whether outputs are worth keeping in the memo.
    """

    identity: str
    keyed: bool
    neural: bool

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Rewritten texts, of the same length and in the same order; None: it could not."""
        ...

    def close(self) -> None:
        """Let go of processes and models."""
        ...


def check(config: RewriterConfig) -> None:
    """Refuse what can be told before anything runs.

    Raises:
        ConfigError: a model is neither a folder, nor in the local cache, nor can it be downloaded, or it is of the
            wrong kind; a declared folder lacks WordNet's files.
    """
    if isinstance(config, SynonymsConfig) and config.wordnet is not None:
        from tasks.augment.generators import wordnet

        wordnet.check(config.wordnet, config.label)
    if isinstance(config, BackTranslationConfig | ParaphraseConfig):
        from tasks.augment.generators import models

        kind = config.architecture if isinstance(config, ParaphraseConfig) else "seq2seq"
        for field, model in _models(config):
            models.check(model, f"{config.label}: {field}", kind)


def equipment(config: RewriterConfig) -> dict[str, str | None]:
    """Tools and files that decide the result: name to version or digest; None: not there."""
    if isinstance(config, SynonymsConfig):
        from tasks.augment.generators import wordnet

        return {"WordNet": wordnet.version(config.wordnet)}
    if isinstance(config, BackTranslationConfig) and config.engine == "apertium":
        from tasks.augment.generators import apertium

        return {f"apertium {config.pair}": apertium.version(config.pair)}
    from tasks.augment.generators import models

    return {f"model {written(model)}": models.resolve(model).version for _, model in _models(config)}


def build(config: RewriterConfig) -> Generator | None:
    """The generator, ready to work; None where its equipment is missing.

    Models are loaded at the first call.
    """
    found = equipment(config)
    if None in found.values():
        return None
    versions = {name: version for name, version in found.items() if version is not None}
    if isinstance(config, SynonymsConfig):
        from tasks.augment.generators.synonyms import Synonyms

        return Synonyms(config, versions)
    if isinstance(config, NoiseConfig):
        from tasks.augment.generators.noise import Noisy

        return Noisy(config)
    if isinstance(config, ParaphraseConfig):
        from tasks.augment.generators.paraphrase import Paraphrase

        return Paraphrase(config, versions)
    if isinstance(config, BackTranslationConfig) and config.engine == "transformers":
        from tasks.augment.generators.translation import ModelTranslation

        return ModelTranslation(config, versions)
    if isinstance(config, BackTranslationConfig):
        from tasks.augment.generators.apertium import ApertiumTranslation

        return ApertiumTranslation(config, versions)
    raise TypeError(f"no generator for {type(config).__name__}")


def is_neural(config: RewriterConfig) -> bool:
    """Check whether a generator loads models."""
    return bool(_models(config))


def _models(config: RewriterConfig) -> list[tuple[str, str]]:
    """[(field, model id or folder)] that a generator loads."""
    named = {field: getattr(config, field, None) for field in ("forward", "backward", "model")}
    return [(field, model) for field, model in named.items() if model is not None]
