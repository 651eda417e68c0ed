"""What a pipeline file may say about scrubbing."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from deskloop.contract.paths import LocalPath, ModelPath
from deskloop.contract.stage import StageConfig
from tasks.scrub.recognizers import PREDEFINED

EntityType = Annotated[str, StringConstraints(pattern=r"^[A-Z](?:[A-Z_]*[A-Z])?$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]

Detector = Annotated[
    str,
    StringConstraints(pattern=r"^(?:embedded|patterns|(?:spacy|transformers):.+)$"),
    ModelPath(("embedded", "patterns"), ("spacy", "transformers")),
]
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


# Other names of types, as sources use them.
SYNONYMS = {
    "EMAIL": "EMAIL_ADDRESS",
    "E_MAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "TELEPHONE": "PHONE_NUMBER",
    "CARD_NUMBER": "CREDIT_CARD",
    "IBAN": "IBAN_CODE",
    "SSN": "US_SSN",
}
# What the layers besides Presidio's recognizers find, whatever `entities` lists.
OTHERS = (
    "ABA_ROUTING_NUMBER", "ACCOUNT_NUMBER", "ADDRESS", "AGE", "BOOKING_NUMBER", "CARD_EXPIRY", "CLAIM_NUMBER",
    "CUSTOMER_ID", "DATE_OF_BIRTH", "LICENSE_PLATE", "LOCATION", "MEMBER_ID", "NATIONAL_ID", "ORDER_NUMBER", "PASSWORD",
    "PERSON", "PIN", "POLICY_NUMBER", "REFERENCE_NUMBER", "SECURITY_ANSWER", "STREET_ADDRESS", "USERNAME", "ZIP_CODE",
)  # fmt: skip
FINDABLE = frozenset([*PREDEFINED, *OTHERS])
DEFAULT_FLOOR = 0.6  # recall of each type


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
    recognizers: Annotated[str, LocalPath()] = Field(
        "", description="a YAML file in Presidio's format with recognizers of your own: patterns and deny lists"
    )
    keep: tuple[str, ...] = Field(
        (), description="regular expressions of what is not personal here, such as product codes: findings inside stay"
    )
    detector: Detector = Field(
        "embedded",
        description="what finds names and addresses: embedded, patterns (nothing), spacy:MODEL, transformers:MODEL",
    )
    dialogue: bool = Field(True, description="take what the agent asked for out of the customer's next answer")
    replace: dict[Literal["default"] | EntityType, Mode] = Field(
        default_factory=dict, description="entity type, or default: placeholder, pseudonym, mask, hash, keep"
    )
    min_recall: float = Field(
        0.8, ge=0.0, le=1.0, description="least share of planted identifiers that must be found, else the run stops"
    )
    min_recall_by_type: dict[Literal["default"] | EntityType, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(
        default_factory=dict,
        description="entity type, or default (0.6): least share of the planted identifiers of that type that must be "
        "found, else the run stops; judged by the upper end of the 95% interval, so that a few misses decide nothing",
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

    def floor(self, entity: str) -> float:
        """The least recall of a type."""
        return self.min_recall_by_type.get(entity, self.min_recall_by_type.get("default", DEFAULT_FLOOR))

    @field_validator("entities")
    @classmethod
    def _known_entities(cls, entities: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in entities if name not in PREDEFINED]
        if unknown:
            nearest = difflib.get_close_matches(unknown[0].upper(), PREDEFINED, n=1, cutoff=0.0)
            raise ValueError(f"no entity type {', '.join(unknown)}; did you mean {nearest[0]}?")
        return tuple(sorted(set(entities)))

    @model_validator(mode="after")
    def _replaced_types(self) -> "ScrubConfig":
        """Refuse the type that is a typo or another name: sources may declare types of their own, but not those."""
        own = {"default", *FINDABLE, *self.patterns, *self.deny}
        for name in self.replace.keys() - own:
            nearest = SYNONYMS.get(name) or next(iter(difflib.get_close_matches(name, FINDABLE, n=1, cutoff=0.85)), "")
            if nearest:
                raise ValueError(f"replace: nothing is found as {name}; did you mean {nearest}?")
        return self

    @model_validator(mode="after")
    def _floors_of_planted_types(self) -> "ScrubConfig":
        from tasks.scrub.quality import planted_types

        planted = planted_types(self)
        for name in self.min_recall_by_type:
            if name != "default" and name not in planted:
                raise ValueError(
                    f"min_recall_by_type: no {name} is planted, so that its floor has no effect; planted are "
                    f"{', '.join(planted) or 'none'}"
                )
        return self

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
