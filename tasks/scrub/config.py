"""What a pipeline file may say about scrubbing."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from deskloop.stage import StageConfig
from tasks.scrub.recognizers import PREDEFINED

EntityType = Annotated[str, StringConstraints(pattern=r"^[A-Z](?:[A-Z_]*[A-Z])?$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]

Mode = Literal["placeholder", "pseudonym", "mask", "hash", "keep"]

# Presidio's, out of `PREDEFINED`. Dates and links are left out: they are seldom a person's, and an e-mail address
# inside a link is found by itself.
DEFAULT_ENTITIES = (
    "CREDIT_CARD",
    "CRYPTO",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "MEDICAL_LICENSE",
    "PHONE_NUMBER",
    "UK_NHS",
    "UK_NINO",
    "US_BANK_NUMBER",
    "US_DRIVER_LICENSE",
    "US_ITIN",
    "US_PASSPORT",
    "US_SSN",
)


class ScrubConfig(StageConfig):
    """What is taken for personal, and what happens to languages that nobody declared."""

    entities: tuple[str, ...] = Field(DEFAULT_ENTITIES, description="entity types to look for, by Presidio's names")
    threshold: float = Field(
        0.4,
        ge=0.0,
        le=1.0,
        description="least score of a finding; at 0.4 a bare run of digits counts only after a word such as 'account'",
    )
    patterns: dict[EntityType, str] = Field(
        default_factory=dict, description="entity type: regular expression, case ignored, such as ORDER_ID: 'HD-\\d{6}'"
    )
    deny: dict[EntityType, tuple[Value, ...]] = Field(
        default_factory=dict, description="entity type: values that are always personal, as whole words"
    )
    recognizers: str = Field(
        "", description="a YAML file in Presidio's format with recognizers of your own: patterns and deny lists"
    )
    keep: tuple[str, ...] = Field(
        (), description="regular expressions of what is not personal here, such as product codes: findings inside stay"
    )
    detector: str = Field(
        "embedded",
        pattern=r"^(?:embedded|patterns|(?:spacy|transformers):.+)$",
        description="what finds names and addresses: embedded, patterns (nothing), spacy:MODEL, transformers:MODEL",
    )
    dialogue: bool = Field(True, description="take what the agent asked for out of the customer's next answer")
    replace: dict[Literal["default"] | EntityType, Mode] = Field(
        default_factory=dict, description="entity type, or default: placeholder, pseudonym, mask, hash, keep"
    )
    min_recall: float = Field(
        0.8, ge=0.0, le=1.0, description="least share of planted identifiers that must be found, else the run stops"
    )
    languages: tuple[Language, ...] = Field(("en",), min_length=1, description="ISO 639-1 codes that are expected")
    unknown_language: Literal["scrub", "reject"] = Field(
        "scrub", description="conversations identified as another language: scrub them as well, or reject them"
    )

    @property
    def pattern_items(self) -> tuple[tuple[str, str], ...]:
        """(type, regular expression), ordered."""
        return tuple(sorted(self.patterns.items()))

    @property
    def deny_items(self) -> tuple[tuple[str, str], ...]:
        """(type, value), ordered."""
        return tuple(sorted((entity, value) for entity, values in self.deny.items() for value in values))

    @property
    def replace_items(self) -> tuple[tuple[str, str], ...]:
        """(type or `default`, mode), ordered."""
        return tuple(sorted(self.replace.items()))

    @field_validator("entities")
    @classmethod
    def _known_entities(cls, entities: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in entities if name not in PREDEFINED]
        if unknown:
            nearest = difflib.get_close_matches(unknown[0].upper(), PREDEFINED, n=1, cutoff=0.0)
            raise ValueError(f"no entity type {', '.join(unknown)}; did you mean {nearest[0]}?")
        return tuple(sorted(set(entities)))

    @field_validator("patterns")
    @classmethod
    def _usable_patterns(cls, patterns: dict[str, str]) -> dict[str, str]:
        for entity, expression in patterns.items():
            _check(f"the pattern of {entity}", expression)
        return patterns

    @field_validator("keep")
    @classmethod
    def _usable_keep(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        for number, expression in enumerate(keep):
            _check(f"number {number + 1}", expression)
        return keep


def _check(name: str, expression: str) -> None:
    """Refuse what is no regular expression, and what matches nothing at all."""
    import regex  # type: ignore[import-untyped]

    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise ValueError(f"{name} is not a regular expression: {error}") from None
    if compiled.match(""):
        raise ValueError(f"{name} matches the empty text: it would match everywhere")
