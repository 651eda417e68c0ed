"""Ingest: turn every record of every source into a conversation or reject it, as a stream in bounded memory.

A record that cannot be used is rejected with a reason, and its bytes go to the raw quarantine. The bytes are not
stored for an opted-out or deleted record, for an older record of an erased person, or for a duplicate id.
"""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import ConfigError
from deskloop.contract.extras import require_extra
from deskloop.contract.schema import DEFAULTS, RAW_CONVERSATION
from deskloop.contract.stage import Context, SourceStage
from deskloop.contract.terminal import visible
from tasks.ingest.config import IN_TURNS, Columns, Customer, IngestConfig, SourceConfig, declared_paths
from tasks.ingest.containers import checked_files, inputs, read_users, records
from tasks.ingest.conversation import Reader
from tasks.ingest.erasure import ERASED, is_erased
from tasks.ingest.identity import content_id, conversation_id
from tasks.ingest.misread import Misread
from tasks.ingest.read import File
from tasks.ingest.record import ODD_VALUE, Record, is_true, lookup

__all__ = ["STAGE", "Columns", "Customer", "IngestConfig", "SourceConfig", "ingest", "inputs"]

CHUNK_RECORDS = 1_000
CHUNK_BYTES = 32 << 20
KEEPS_NO_BYTES = frozenset(["opted_out", "duplicate_id", "empty_file", "deleted_ticket", ERASED])


logger = logging.getLogger("deskloop.ingest")


def ingest(config: IngestConfig, context: Context) -> Iterator[pd.DataFrame]:
    """Read all sources.

    Yields:
        (up to 1,000, RAW_CONVERSATION + `reject`, `raw`): `reject` is a reason or None, `raw` the bytes of a broken
        record or None. A rejected row has ids of the form `<file>:<line>` and no other content.
    Raises:
        ConfigError: a file is missing, or a table lacks a declared column; reports all problems at once.
        InputError: a file is truncated, damaged or larger than its limits, or most of a source was misread.
    """
    files = checked_files(config, context)
    users = read_users(config)
    admission = Admission(config, context, frozenset(file.label for file in files))
    rows: list[dict[str, Any]] = []
    size = 0
    stream = ((file, record) for file in files for record in records(file, config, users))
    for file, record in islice(stream, context.sample):
        rows.append(admission.admit(file, record))
        size += len(record.raw)
        if len(rows) == CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield frame(rows)
            rows, size = [], 0
    for misread in admission.misread:
        misread.check()
    if rows:
        yield frame(rows)
    admission.warn_of_absent_fields()


def check(config: IngestConfig, context: Context) -> None:
    """Check files, folders, Parquet schemas, data sets and declared columns before anything is read.

    Raises:
        ConfigError: with all problems of all sources.
    """
    if any(source.path.startswith(("s3://", "s3a://")) for source in config.sources):
        require_extra("s3", "sources")
    checked_files(config, context)


class Admission:
    """Decides on each record of a run; remembers the ids that it has read and the declared fields not seen yet."""

    def __init__(self, config: IngestConfig, context: Context, labels: frozenset[str]) -> None:
        if not context.key:
            raise ConfigError("ingest needs the project's key to hash customers' ids, but got none")
        self.key, self.labels, self.erased = context.key, labels, context.erased
        self.readers = [Reader(source, config, context.key) for source in config.sources]
        self.misread = [Misread(index, source, config.max_misread) for index, source in enumerate(config.sources)]
        self.seen: set[str] = set()
        self.occurrences: dict[str, int] = {}
        self.absent = [
            {path for key, path in declared_paths(source).items() if key not in IN_TURNS} for source in config.sources
        ]

    def admit(self, file: File, record: Record) -> dict[str, Any]:
        """Return the row of a record, which holds either a conversation or the reason why it was rejected.

        Raises:
            InputError: so few records of a source can be read that its options must be wrong.
        """
        row = self._admit(file, record)
        reason = row.get("reject")
        roles = self.readers[file.index].unknown_roles(record) if reason == "unknown_role" else ()
        self.misread[file.index].note(file, record, reason, roles)
        return row

    def _admit(self, file: File, record: Record) -> dict[str, Any]:
        reader = self.readers[file.index]
        value = record.value or {}
        for path in [path for path in self.absent[file.index] if lookup(value, path) is not None]:
            self.absent[file.index].discard(path)
        opt_out = file.source.opt_out
        conversation = record.reason or _read(reader, record)
        reason = ""
        if self.erased is not None and is_erased(self.erased, reader, record, conversation):
            reason = ERASED
        elif opt_out is not None and is_true(lookup(value, opt_out)):
            reason = "opted_out"
        if isinstance(conversation, str):
            return _reject(file, record, reason or conversation)
        name = self._id(conversation, file)
        if not reason and name in self.seen:
            reason = "duplicate_id"
        self.seen.add(name)
        if reason:
            return _reject(file, record, reason)
        conversation["row_id"] = conversation["conversation_id"] = name
        conversation["source"] = file.source.source or conversation["source"] or file.stem
        return conversation

    def warn_of_absent_fields(self) -> None:
        """Log declared fields that no record has: in JSON a misspelt `opt_out` or `known` would go unnoticed."""
        for index, paths in enumerate(self.absent):
            if paths:
                logger.warning("sources[%d]: no record has %s", index, ", ".join(map(visible, sorted(paths))))

    def _id(self, row: dict[str, Any], file: File) -> str:
        if row["source_id"]:
            personal = [value for values in row["known"].values() for value in values]
            # An id such as "log.jsonl:3" could be mistaken for that of a reject.
            is_taken = row["source_id"].rpartition(":")[0] in self.labels
            return conversation_id(row["source_id"], self.key, personal, hide=is_taken)
        content = [
            row[name] for name in ("turns", "started_at", "customer_keys", "intent", "rating", "metadata", "known")
        ]
        first = content_id(content, 1, self.key)
        self.occurrences[first] = self.occurrences.get(first, 0) + 1
        return content_id(content, self.occurrences[first], self.key)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Build a DataFrame with the types that `schema.to_frame` gives; `reject` and `raw` are objects."""
    columns: dict[str, Any] = {}
    for field in RAW_CONVERSATION:
        cells = [row.get(field.name) for row in rows]
        if pa.types.is_nested(field.type):
            empty = dict if pa.types.is_map(field.type) else list
            columns[field.name] = pd.Series([cell or empty() for cell in cells], dtype=object)
        else:
            default = DEFAULTS.get(field.name)
            filled = [default if cell is None else cell for cell in cells]
            columns[field.name] = pa.array(filled, type=field.type).to_pandas()
    has_intent = columns["intent"].notna()
    columns["intent_source"] = columns["intent_source"].mask(has_intent, "log")
    columns["intent_confidence"] = columns["intent_confidence"].mask(has_intent, 1.0)
    for name in ("reject", "raw"):
        columns[name] = pd.Series([row.get(name) for row in rows], dtype=object)
    return pd.DataFrame(columns)


def _reject(file: File, record: Record, reason: str) -> dict[str, Any]:
    name = f"{file.label}:{record.number}"
    raw = None if reason in KEEPS_NO_BYTES else record.raw or None
    return {"row_id": name, "conversation_id": name, "reject": reason, "raw": raw}


def _read(reader: Reader, record: Record) -> dict[str, Any] | str:
    """Return the conversation that a record holds, or the reason for its rejection, also for unrepresentable values."""
    try:
        return reader.read(record)
    except ODD_VALUE:
        return "bad_cell"


STAGE = SourceStage(
    name="ingest",
    dataset="ingested",
    summary="Reads the logs; unreadable records are rejected and logged with file, line and reason.",
    words={"duplicate_id": "id seen before", "no_turns": "without a message"},
    suite="expectations.ingested",
    config=IngestConfig,
    inputs=inputs,
    read=ingest,
    check=check,
    provides=frozenset(["conversation_id", "turns", "intent", "customer_keys", "started_at", "source", "known"]),
)
