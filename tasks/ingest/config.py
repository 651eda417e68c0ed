"""The options of `ingest` in a pipeline file: the sources, the names of their fields, and which fields are personal."""

import codecs
import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from deskloop.contract.paths import LocalPath, written
from deskloop.contract.stage import StageConfig
from tasks.ingest.unpack import Limits

SourcePath = Annotated[str, StringConstraints(min_length=1), LocalPath()]
Paths = Annotated[tuple[str, ...], Field(min_length=1)]
Format = Literal[
    "auto",
    "context_response",
    "conversations",
    "csv",
    "huggingface",
    "instructions",
    "openai",
    "parquet",
    "sharegpt",
    "zendesk",
]
# The columns that each format reads; for the other formats, the record's fields decide.
ALWAYS = ("conversation_id", "intent", "started_at", "rating")
COLUMNS_OF: dict[str, tuple[str, ...]] = {
    "conversations": ("turns", "role", "text", "at"),
    "openai": ("turns", "role", "text", "at"),
    "sharegpt": ("turns", "role", "text", "at"),
    "zendesk": ("text",),
    "instructions": ("instruction", "response"),
    "context_response": ("context", "response"),
    "csv": ("role", "text", "at", "customer", "agent", "instruction", "response", "context"),
}
IN_TURNS = ("columns.role", "columns.text", "columns.at")  # keys of paths inside a turn, not inside a record
# A longer path names a file in a data set, which fsspec opens.
HUB_DATASET = re.compile(r"hf://datasets/[\w.-]+/[\w.-]+/?")


class Columns(StageConfig):
    """Our column name -> the field's name in the source. Dots reach into objects (`customer.id`); a CSV uses its
    header."""

    conversation_id: str | None = Field(default=None, description="default: conversation_id, then id")
    turns: str | None = Field(
        default=None, description="list of turns; default: turns (openai: messages, sharegpt: conversations)"
    )
    role: str | None = Field(default=None, description="within a turn; default: role")
    text: str | None = Field(
        default=None, description="within a turn; default: text (openai: content, zendesk: plain_body)"
    )
    at: str | None = Field(default=None, description="within a turn; default: at, ts, timestamp")
    customer: str | None = Field(default=None, description="the customer's text in a CSV with one row per pair")
    agent: str | None = Field(default=None, description="the agent's text in a CSV with one row per pair")
    instruction: str | None = Field(default=None, description="default: instruction")
    response: str | None = Field(default=None, description="default: response")
    context: str | None = Field(default=None, description="the turns before the response; default: context")
    intent: str | None = Field(default=None, description="default: intent, then subflow")
    started_at: str | None = Field(
        default=None, description="default: started_at, created_at, then the first turn's time"
    )
    rating: str | None = Field(default=None, description="default: rating")


class Customer(StageConfig):
    """The fields that identify a record's customer; they become `customer_keys`."""

    id: str | Paths | None = Field(default=None, description="default: customer.id, customer_id")
    email: str | Paths | None = Field(default=None, description="default: customer.email, email")
    phone: str | Paths | None = Field(default=None, description="default: customer.phone, phone")


class SourceConfig(StageConfig):
    """One source and how to read it: a file, folder, glob, any fsspec URL or a data set of the Hugging Face Hub."""

    path: SourcePath = Field(
        description="relative to the pipeline file; compression is detected from the content. "
        "hf://datasets/ORG/NAME is a data set of the Hugging Face Hub",
    )
    format: Format = Field("auto", description="auto: by the file's extension and the fields of each record")
    source: str | None = Field(default=None, description="default: the record's own `source`, else the file's stem")
    columns: Columns = Columns()
    customer: Customer = Customer()
    known: str | dict[str, str | Paths] | None = Field(
        default=None, description="entity type -> paths of personal values, or the path of an object {type: [values]}"
    )
    opt_out: str | None = Field(
        default=None, description="a record with a truthy value in this field is rejected and its text is not stored"
    )
    metadata: tuple[str, ...] = Field((), description="paths stored as strings in `metadata`")
    encoding: str = Field("utf-8", description="must be a superset of ASCII; a UTF-8 byte order mark is skipped")
    follow_links: bool = Field(
        False, description="follow links that lead out of a folder or glob; a path that is itself a link is always read"
    )
    users: SourcePath | None = Field(
        default=None, description="zendesk: a file or glob of the users who wrote the comments"
    )
    separators: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="context_response: in a context of one text, the first one separates turns, the others lines"
    )
    split: str = Field("train", pattern=r"^\w+([.-]\w+)*$", description="huggingface: the split to read")
    name: str | None = Field(default=None, description="huggingface: the configuration (subset) of the data set")
    revision: str | None = Field(default=None, description="huggingface: branch, tag or commit; default: the newest")
    data_files: str | Paths | None = Field(default=None, description="huggingface: only these files of the data set")

    @model_validator(mode="after")
    def _has_options_of_its_format(self) -> "SourceConfig":
        """Refuse options that would have no effect."""
        foreign = set[str]() if self.is_dataset else {"split", "name", "revision", "data_files"}
        if self.format not in ("auto", "zendesk", "parquet", "huggingface"):
            foreign.add("users")
        if self.format not in ("auto", "context_response", "csv", "parquet", "huggingface"):
            foreign.add("separators")
        if self.is_dataset or self.format == "parquet" or self.path.lower().endswith(".parquet"):
            foreign.add("encoding")
        if "://" in self.path:
            foreign.add("follow_links")
        foreign &= self.model_fields_set
        columns = COLUMNS_OF.get(self.format)
        if columns is not None:
            foreign |= {f"columns.{name}" for name in self.columns.model_fields_set - {*ALWAYS, *columns}}
        if foreign:
            raise ValueError(f"{', '.join(sorted(foreign))} has no meaning for this format")
        return self

    @property
    def is_dataset(self) -> bool:
        """Whether the library `datasets` loads this source."""
        return self.format == "huggingface" or HUB_DATASET.fullmatch(written(self.path)) is not None

    @field_validator("encoding")
    @classmethod
    def _is_ascii_compatible(cls, encoding: str) -> str:
        """Refuse encodings such as UTF-16: lines are split before they are decoded."""
        try:
            name = codecs.lookup(encoding).name
            fits = name == "utf-8-sig" or '{"\n'.encode(name) == b'{"\n'
        except (LookupError, UnicodeError):
            raise ValueError("is not a text encoding of Python; utf-8, cp1252 and latin-1 are common") from None
        if not fits:
            raise ValueError("is not a superset of ASCII; convert the file to utf-8")
        return "utf-8" if name == "utf-8-sig" else name


class IngestConfig(StageConfig):
    """Read support logs."""

    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    roles: dict[str, Literal["customer", "agent", "system"]] = Field(
        {}, description="role in the source -> customer, agent or system; added to the built-in ones"
    )
    max_record_bytes: int = Field(10_000_000, ge=1_000, description="bytes; a longer record is rejected")
    max_turns: int = Field(10_000, ge=1, description="turns of a conversation; a longer one is rejected")
    max_document_bytes: int = Field(
        64_000_000, ge=1_000, description="bytes, decompressed, of a file that is one JSON array or object"
    )
    max_document_memory: int = Field(500_000_000, ge=1_000, description="estimated bytes in memory of such a document")
    max_ratio: int = Field(
        200, ge=1, description="largest ratio of unpacked to compressed size; 4 MB are always allowed"
    )
    max_unpacked_bytes: int = Field(100_000_000_000, ge=1_000, description="bytes of a compressed file once unpacked")
    max_columns: int = Field(2_000, ge=1, description="columns of a table")
    max_misread: float = Field(
        0.2,
        ge=0,
        le=1,
        description="largest share of a source's records rejected for reasons that suggest wrong options "
        "(invalid_encoding, unknown_role and the like); above it, with five or more of them, the run stops",
    )

    @property
    def limits(self) -> Limits:
        """Limits on the unpacked size of a compressed file."""
        return Limits(self.max_ratio, self.max_unpacked_bytes)


def paths_of(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return one path, several or none as a tuple."""
    return () if value is None else (value,) if isinstance(value, str) else value


def declared_paths(source: SourceConfig) -> dict[str, str]:
    """Return the paths that `source` declares, by the key that declares them (`columns.intent`)."""
    paths = {f"columns.{name}": path for name, path in source.columns if path is not None}
    for name, value in source.customer:
        paths |= {f"customer.{name}": path for path in paths_of(value)}
    if isinstance(source.known, dict):
        paths |= {f"known.{name}": path for name, value in source.known.items() for path in paths_of(value)}
    elif source.known is not None:
        paths["known"] = source.known
    if source.opt_out is not None:
        paths["opt_out"] = source.opt_out
    return paths | {f"metadata.{path}": path for path in source.metadata}
