"""Config of `augment`."""

from collections import Counter
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from deskloop.contract.paths import ModelPath
from deskloop.contract.stage import StageConfig
from tasks.augment.generators.config import (
    BackTranslationConfig,
    GeneratorConfig,
    NoiseConfig,
    SynonymsConfig,
)

LEXICAL = "lexical"
# (least, most) similarity of a rewritten turn to the original: less is another subject, more is a typo.
LEXICAL_BOUNDS = (0.4, 0.98)
EMBEDDED_BOUNDS = (0.7, 1.0)


class AugmentConfig(StageConfig):
    """Which intents get copies, which generators write them, and which copies are kept. They are always scanned for
    personal data."""

    target: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of the largest intent's training conversations that every intent is lifted towards",
    )
    max_copies: int = Field(3, ge=1, le=50, description="copies of one conversation, at most")
    intents: tuple[str, ...] | None = Field(None, min_length=1, description="only these intents; default: all")
    unlabelled: bool = Field(False, description="treat conversations without an intent as one intent")
    generators: tuple[GeneratorConfig, ...] = Field(
        (
            BackTranslationConfig(kind="back_translation"),
            SynonymsConfig(kind="synonyms"),
            NoiseConfig(kind="noise"),
        ),
        min_length=1,
        description="generators that rewrite the customer's turns, in alternation",
    )
    similarity: Annotated[str, StringConstraints(min_length=1), ModelPath(words=(LEXICAL,))] = Field(
        LEXICAL,
        description="similarity measure: `lexical` (character n-grams), or a sentence-embedding model's id or folder",
    )
    min_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description=f"least similarity to the original; default {LEXICAL_BOUNDS[0]}, embeddings {EMBEDDED_BOUNDS[0]}",
    )
    max_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description=f"most similarity to the original; default {LEXICAL_BOUNDS[1]}, embeddings {EMBEDDED_BOUNDS[1]:g}",
    )
    length: tuple[float, float] = Field(
        (0.5, 2.0), description="characters of a rewritten turn as a share of the original's: [least, most]"
    )

    @property
    def bounds(self) -> tuple[float, float]:
        """(least, most) similarity of a copy that is kept."""
        least, most = LEXICAL_BOUNDS if self.similarity == LEXICAL else EMBEDDED_BOUNDS
        return (
            least if self.min_similarity is None else self.min_similarity,
            most if self.max_similarity is None else self.max_similarity,
        )

    @field_validator("generators")
    @classmethod
    def _distinct(cls, generators: tuple[GeneratorConfig, ...], info: ValidationInfo) -> tuple[GeneratorConfig, ...]:
        labels = Counter(generator.label for generator in generators)
        taken = sorted(label for label, count in labels.items() if count > 1)
        if taken:
            raise ValueError(f"two generators are named {' and '.join(taken)}: give each its own `name`")
        return generators

    @field_validator("length")
    @classmethod
    def _ordered(cls, length: tuple[float, float]) -> tuple[float, float]:
        least, most = length
        if not 0 < least < 1 < most:
            raise ValueError("expected [least, most] with 0 < least < 1 < most, such as [0.5, 2.0]")
        return length

    @model_validator(mode="after")
    def _bounds(self) -> "AugmentConfig":
        least, most = self.bounds
        if least >= most:
            raise ValueError(f"min_similarity {least:g} is not below max_similarity {most:g}: no copy would be kept")
        return self
