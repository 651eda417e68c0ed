"""Configs of the generators."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

import orjson
from pydantic import Field, StringConstraints, model_validator

from deskloop.contract.paths import LocalPath, ModelPath
from deskloop.contract.stage import StageConfig

Model = Annotated[str, StringConstraints(min_length=1), ModelPath()]
Noise = Literal["keyboard", "ocr", "swap", "drop", "lowercase", "punctuation"]
NOISES: tuple[Noise, ...] = get_args(Noise)


class RewriterConfig(StageConfig):
    """Options of every generator. `origin` is the schema's origin of its copies."""

    origin: ClassVar[str]

    kind: str
    name: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="its name in row ids; default: its kind; unique within the step",
    )
    languages: tuple[str, ...] = Field(
        ("en",), description="languages (ISO 639-1) of the conversations that it rewrites; empty: all"
    )
    protect: tuple[str, ...] = Field(
        (), description="words that must stay unchanged, such as product names, in any case"
    )

    @property
    def label(self) -> str:
        """Its name in row ids, unique within a step."""
        return self.name or self.kind

    def serves(self, language: str | None) -> bool:
        """Check whether it rewrites conversations in a language."""
        return not self.languages or language in self.languages

    def identity(self, versions: Mapping[str, str]) -> str:
        """Return everything that determines the generator's outputs besides text and seed, as one line of JSON.

        Args:
            versions: of the equipment and libraries that the output depends on.
        """
        settings = self.model_dump(mode="json", exclude={"name", "languages"})
        return orjson.dumps({"settings": settings, "versions": dict(versions)}, option=orjson.OPT_SORT_KEYS).decode()


class BackTranslationConfig(RewriterConfig):
    """Translation into another language and back."""

    origin: ClassVar[str] = "back_translation"

    kind: Literal["back_translation"]
    engine: Literal["apertium", "transformers"] = Field(
        "apertium", description="apertium: Debian's, by rules, no model; transformers: a pair of models (Marian, ...)"
    )
    pair: str = Field(
        "eng-spa",
        pattern=r"^[a-z]{2,3}-[a-z]{2,3}$",
        description="for apertium: the log's language and the one between, as in its modes; both directions are used",
    )
    forward: Model | None = Field(None, description="for transformers: model id or folder, from the log's language")
    backward: Model | None = Field(
        None, description="for transformers: model id or folder, back into the log's language"
    )
    forward_prefix: str = Field("", description="prefix of each sentence for `forward`, such as '>>spa<< '")
    backward_prefix: str = Field("", description="prefix of each sentence for `backward`")
    beams: int = Field(4, ge=1, le=64, description="for transformers: beams of the search; 1: greedy")
    max_new_tokens: int = Field(256, ge=1, le=4096, description="for transformers: most tokens of a sentence")
    batch_size: int = Field(32, ge=1, le=4096, description="for transformers: sentences translated together")

    @model_validator(mode="after")
    def _models(self) -> "BackTranslationConfig":
        if self.engine == "transformers" and (self.forward is None or self.backward is None):
            raise ValueError("engine transformers needs two models: set `forward` and `backward`")
        if self.engine == "apertium" and (self.forward is not None or self.backward is not None):
            raise ValueError("forward and backward are models: they need `engine: transformers`")
        return self


class ParaphraseConfig(RewriterConfig):
    """A paraphrase by a sequence-to-sequence or a chat model."""

    origin: ClassVar[str] = "paraphrase"

    kind: Literal["paraphrase"]
    model: Model = Field(description="model id or folder: T5, BART, Pegasus, or any chat model")
    architecture: Literal["auto", "seq2seq", "chat"] = Field("auto", description="auto: as the model's config says")
    prompt: str | None = Field(
        None,
        description="the model's input, with {text} in it; default: '{text}' after 'paraphrase: ', or a request "
        "to a chat model",
    )
    temperature: float = Field(0.8, ge=0, le=5, description="0: greedy")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling: probability mass to sample from")
    max_new_tokens: int = Field(256, ge=1, le=4096, description="most tokens of an answer")
    batch_size: int = Field(16, ge=1, le=4096, description="turns rewritten together")

    @model_validator(mode="after")
    def _prompt(self) -> "ParaphraseConfig":
        if self.prompt is not None and "{text}" not in self.prompt:
            raise ValueError("prompt has no {text}, the placeholder for the customer's words")
        return self


class SynonymsConfig(RewriterConfig):
    """A share of the words replaced by synonyms from WordNet."""

    origin: ClassVar[str] = "paraphrase"

    kind: Literal["synonyms"]
    share: float = Field(0.15, gt=0, le=1, description="share of a turn's words to replace, at least one")
    wordnet: Annotated[str, StringConstraints(min_length=1), LocalPath()] | None = Field(
        None, description="folder of WordNet 3.0's files; default: $WNSEARCHDIR, or Debian's place"
    )


class NoiseConfig(RewriterConfig):
    """Typos, OCR errors, missing capitals and punctuation."""

    origin: ClassVar[str] = "noise"

    kind: Literal["noise"]
    share: float = Field(0.1, gt=0, le=1, description="share of a turn's words to change, at least one")
    kinds: tuple[Noise, ...] = Field(
        ("keyboard", "swap", "drop", "lowercase", "punctuation"),
        min_length=1,
        description="which: keyboard and ocr (a letter mistaken), swap (two letters), drop (one letter), lowercase "
        "(no capitals in the turn), punctuation (none at the ends of its lines)",
    )


GeneratorConfig = Annotated[
    BackTranslationConfig | ParaphraseConfig | SynonymsConfig | NoiseConfig, Field(discriminator="kind")
]
