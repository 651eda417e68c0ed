"""The options of the scrub step."""

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

# Presidio's types, a subset of `PREDEFINED`. Dates and links are not among them: they rarely identify a person, and an
# e-mail address inside a link is detected on its own.
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


# Other names that sources use for our types.
SYNONYMS = {
    "EMAIL": "EMAIL_ADDRESS",
    "E_MAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "TELEPHONE": "PHONE_NUMBER",
    "CARD_NUMBER": "CREDIT_CARD",
    "IBAN": "IBAN_CODE",
    "SSN": "US_SSN",
}
# Types that the layers other than Presidio's recognizers detect, whatever `entities` lists.
OTHERS = (
    "ABA_ROUTING_NUMBER", "ACCOUNT_NUMBER", "ADDRESS", "AGE", "BOOKING_NUMBER", "CARD_EXPIRY", "CLAIM_NUMBER",
    "CUSTOMER_ID", "DATE_OF_BIRTH", "LICENSE_PLATE", "LOCATION", "MEMBER_ID", "NATIONAL_ID", "ORDER_NUMBER", "PASSWORD",
    "PERSON", "PIN", "POLICY_NUMBER", "REFERENCE_NUMBER", "SECURITY_ANSWER", "STREET_ADDRESS", "USERNAME", "ZIP_CODE",
)  # fmt: skip
FINDABLE = frozenset([*PREDEFINED, *OTHERS])
DEFAULT_FLOOR = 0.6  # recall of each type


class ScrubConfig(StageConfig):
    """Options of the scrub step: what to detect, how to replace it, and the recall that a run must reach."""

    entities: tuple[str, ...] = Field(DEFAULT_ENTITIES, description="entity types to look for, by Presidio's names")
    threshold: float = Field(
        0.4,
        ge=0.0,
        le=1.0,
        description="minimum score of a finding; at 0.4 a bare digit run counts only after a word such as 'account'",
    )
    patterns: dict[EntityType, str] = Field(
        default_factory=dict,
        description="entity type: case-insensitive regular expression, such as ORDER_ID: 'HD-\\d{6}'",
    )
    deny: dict[EntityType, tuple[Value, ...]] = Field(
        default_factory=dict, description="entity type: values that are always personal, matched as whole words"
    )
    recognizers: Annotated[str, LocalPath()] = Field(
        "", description="a YAML file in Presidio's format with your own recognizers: patterns and deny lists"
    )
    keep: tuple[str, ...] = Field(
        (), description="regular expressions for text that is not personal, such as product codes; findings inside stay"
    )
    detector: Detector = Field(
        "embedded",
        description="what detects names and addresses: embedded, patterns (none), spacy:MODEL, transformers:MODEL",
    )
    dialogue: bool = Field(True, description="detect what an agent asked for in the customer's next answers")
    replace: dict[Literal["default"] | EntityType, Mode] = Field(
        default_factory=dict, description="entity type, or default: placeholder, pseudonym, mask, hash, keep"
    )
    min_recall: float = Field(
        0.8, ge=0.0, le=1.0, description="minimum share of planted identifiers to detect; below it the run stops"
    )
    min_recall_by_type: dict[Literal["default"] | EntityType, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(
        default_factory=dict,
        description="entity type, or default (0.6): minimum share of the planted identifiers of that type to detect; "
        "the run stops if the upper end of the 95% interval is below it, so that a few misses alone do not stop a run",
    )
    languages: tuple[Language, ...] = Field(("en",), min_length=1, description="expected languages, as ISO 639-1 codes")
    unknown_language: Literal["scrub", "reject"] = Field(
        "scrub", description="whether to scrub or to reject conversations identified as any other language"
    )

    @property
    def pattern_items(self) -> tuple[tuple[str, str], ...]:
        """Sorted pairs of type and regular expression."""
        return tuple(sorted(self.patterns.items()))

    @property
    def deny_items(self) -> tuple[tuple[str, str], ...]:
        """Sorted pairs of type and value."""
        return tuple(sorted((entity, value) for entity, values in self.deny.items() for value in values))

    @property
    def replace_items(self) -> tuple[tuple[str, str], ...]:
        """Sorted pairs of type (or `default`) and mode."""
        return tuple(sorted(self.replace.items()))

    def floor(self, entity: str) -> float:
        """Return the minimum recall of a type."""
        return self.min_recall_by_type.get(entity, self.min_recall_by_type.get("default", DEFAULT_FLOOR))

    @field_validator("entities")
    @classmethod
    def _known_entities(cls, entities: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in entities if name not in PREDEFINED]
        if unknown:
            nearest = difflib.get_close_matches(unknown[0].upper(), PREDEFINED, n=1, cutoff=0.0)
            raise ValueError(f"unknown entity type {', '.join(unknown)}; did you mean {nearest[0]}?")
        return tuple(sorted(set(entities)))

    @model_validator(mode="after")
    def _replaced_types(self) -> "ScrubConfig":
        """Reject typos and synonyms of our types; any other name may be a type that a source declares."""
        detectable = {"default", *FINDABLE, *self.patterns, *self.deny}
        for name in self.replace.keys() - detectable:
            nearest = SYNONYMS.get(name) or next(iter(difflib.get_close_matches(name, FINDABLE, n=1, cutoff=0.85)), "")
            if nearest:
                raise ValueError(f"replace: no finding has the type {name}; did you mean {nearest}?")
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
    """Reject an invalid regular expression, and one that matches the empty text."""
    import regex  # type: ignore[import-untyped]

    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise ValueError(f"{name} is not a regular expression: {error}") from None
    if compiled.match(""):
        raise ValueError(f"{name} matches the empty text, so it would match everywhere")
