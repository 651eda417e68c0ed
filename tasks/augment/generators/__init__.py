"""Generators, which rewrite a customer's words and leave protected spans unchanged.

    back_translation   into another language and back: Apertium, or a pair of models
    paraphrase         in other words: a sequence-to-sequence or a chat model
    synonyms           some words replaced by synonyms from WordNet
    noise              typos, OCR errors, missing capitals and punctuation

`spans` defines the protected spans. The same text and seed give the same output in any batch.
"""

from collections.abc import Sequence
from typing import Protocol

from deskloop.contract.paths import written
from tasks import pretrained
from tasks.augment.generators import apertium, wordnet
from tasks.augment.generators.apertium import ApertiumTranslation
from tasks.augment.generators.config import (
    BackTranslationConfig,
    NoiseConfig,
    ParaphraseConfig,
    RewriterConfig,
    SynonymsConfig,
)
from tasks.augment.generators.noise import Noisy
from tasks.augment.generators.paraphrase import Paraphrase
from tasks.augment.generators.synonyms import Synonyms
from tasks.augment.generators.translation import ModelTranslation


class Generator(Protocol):
    """A generator that is ready to work.

    Attributes:
        identity: generator, settings, versions and digests; the key of its memoised outputs.
        keyed: its output depends on the seed.
        neural: its outputs are memoised.
    """

    identity: str
    keyed: bool
    neural: bool

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
        """Return one rewritten text for each text; None if it cannot be rewritten."""
        ...


def check(config: RewriterConfig) -> None:
    """Refuse a config whose models or files are not available.

    Raises:
        ConfigError: a model is neither a folder, nor in the local cache, nor on the hub, or is of the wrong kind; a
            declared folder lacks WordNet's files.
    """
    if isinstance(config, SynonymsConfig) and config.wordnet is not None:
        wordnet.check(config.wordnet, config.label)
    kind = config.architecture if isinstance(config, ParaphraseConfig) else "seq2seq"
    for field, model in _models(config):
        pretrained.check(model, f"{config.label}: {field}", kind)


def equipment(config: RewriterConfig) -> dict[str, str | None]:
    """Return programs, files and models: name -> version or digest; None: not installed."""
    if isinstance(config, SynonymsConfig):
        return {"WordNet": wordnet.version(config.wordnet)}
    if isinstance(config, BackTranslationConfig) and config.engine == "apertium":
        return {f"apertium {config.pair}": apertium.version(config.pair)}
    return {f"model {written(model)}": pretrained.resolve(model).version for _, model in _models(config)}


def build(config: RewriterConfig) -> Generator | None:
    """Build a generator; None if its equipment is missing.

    Models are loaded at the first call.
    """
    required = equipment(config)
    versions = {name: version for name, version in required.items() if version is not None}
    if len(versions) < len(required):
        return None
    if isinstance(config, SynonymsConfig):
        return Synonyms(config, versions)
    if isinstance(config, NoiseConfig):
        return Noisy(config)
    if isinstance(config, ParaphraseConfig):
        return Paraphrase(config, versions)
    if isinstance(config, BackTranslationConfig):
        return (ModelTranslation if config.engine == "transformers" else ApertiumTranslation)(config, versions)
    raise TypeError(f"no generator for {type(config).__name__}")


def is_neural(config: RewriterConfig) -> bool:
    """Check whether a generator loads models."""
    return bool(_models(config))


def _models(config: RewriterConfig) -> list[tuple[str, str]]:
    """Return [(field, model id or folder)] of the models that a generator loads."""
    named = {field: getattr(config, field, None) for field in ("forward", "backward", "model")}
    return [(field, model) for field, model in named.items() if model is not None]
