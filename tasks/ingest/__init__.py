"""Ingest: every record of every source becomes a conversation or a reject, in one stream of bounded memory.

Nothing vanishes: a record that cannot be used comes out once too, with a reason and its bytes for the raw quarantine.
Of an opted-out or deleted record, of an older one of a person who was erased, and of a second one with an id that was
there already, not even those are kept.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import ConfigError
from deskloop.contract.schema import DEFAULTS, RAW_CONVERSATION
from deskloop.contract.stage import Context, SourceStage
from deskloop.contract.terminal import visible
from tasks.ingest.config import Columns, Customer, IngestConfig, SourceConfig, declared_paths
from tasks.ingest.containers import checked_files, inputs, read_users, records
from tasks.ingest.conversation import Reader
from tasks.ingest.erased import ERASED, is_erased
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
        ConfigError: a file is missing, or a table lacks a declared column; all problems at once.
        InputError: a file is cut off, damaged or larger than its limits, or a source was read the wrong way.
    """
    files = checked_files(config, context)
    users = read_users(config)
    admission = Admission(config, context, frozenset(file.label for file in files))
    rows: list[dict[str, Any]] = []
    size = 0
    for file in files:
        for record in records(file, config, users):
            rows.append(admission.admit(file, record))
            size += len(record.raw)
            if len(rows) == CHUNK_RECORDS or size >= CHUNK_BYTES:
                yield frame(rows)
                rows, size = [], 0
            if admission.count == context.sample:
                break
        if admission.count == context.sample:
            break
    for misread in admission.misread:
        misread.check()
    if rows:
        yield frame(rows)
    admission.warn_of_absent_fields()


def check(config: IngestConfig, context: Context) -> None:
    """Refuse sources that are missing, empty folders, no Parquet, data sets that cannot be had, or tables that lack a
    declared column.

    Raises:
        ConfigError: with all problems of all sources.
    """
    checked_files(config, context)


class Admission:
    """What must be remembered across the records of a run: ids that were there, and fields not seen yet."""

    def __init__(self, config: IngestConfig, context: Context, labels: frozenset[str]) -> None:
        if not context.key:
            raise ConfigError("ingest needs the project's key to hide customers' ids; none was lent to it")
        self.key, self.labels, self.erased = context.key, labels, context.erased
        self.readers = [Reader(source, config, context.key) for source in config.sources]
        self.misread = [Misread(index, source, config.max_misread) for index, source in enumerate(config.sources)]
        self.count = 0
        self.seen: set[str] = set()
        self.occurrences: dict[str, int] = {}
        inside_turns = ("columns.role", "columns.text", "columns.at")
        self.absent = [
            {path for key, path in declared_paths(source).items() if key not in inside_turns}
            for source in config.sources
        ]

    def admit(self, file: File, record: Record) -> dict[str, Any]:
        """The row of a record: kept, or rejected with a reason.

        Raises:
            InputError: so few records of a source could be read that it was read the wrong way.
        """
        row = self._admit(file, record)
        reason = row.get("reject")
        roles = self.readers[file.index].unknown_roles(record) if reason == "unknown_role" else ()
        self.misread[file.index].note(file, record, reason, roles)
        self.count += 1
        return row

    def _admit(self, file: File, record: Record) -> dict[str, Any]:
        reader = self.readers[file.index]
        value = record.value or {}
        for path in [path for path in self.absent[file.index] if lookup(value, path) is not None]:
            self.absent[file.index].discard(path)
        opt_out = file.source.opt_out
        opted_out = opt_out is not None and is_true(lookup(value, opt_out))
        found = record.reason or _read(reader, record)
        if self.erased is not None and is_erased(self.erased, reader, record, found):
            if not isinstance(found, str):
                self.seen.add(self._id(found, file))
            return _reject(file, record, ERASED)
        if opted_out or isinstance(found, str):
            if opted_out and not isinstance(found, str):
                self.seen.add(self._id(found, file))
            return _reject(file, record, "opted_out" if opted_out else str(found))
        name = self._id(found, file)
        if name in self.seen:
            return _reject(file, record, "duplicate_id")
        self.seen.add(name)
        found["row_id"] = found["conversation_id"] = name
        found["source"] = file.source.source or found["source"] or file.stem
        return found

    def warn_of_absent_fields(self) -> None:
        """A misspelt `opt_out` or `known` would go unnoticed in JSON, where every field is optional."""
        for index, paths in enumerate(self.absent):
            if paths:
                logger.warning("sources[%d]: no record has %s", index, ", ".join(map(visible, sorted(paths))))

    def _id(self, row: dict[str, Any], file: File) -> str:
        if row["source_id"]:
            known = [value for values in row["known"].values() for value in values]
            # An id of the form of a reject's ("log.jsonl:3") could be mistaken for one.
            is_taken = row["source_id"].rpartition(":")[0] in self.labels
            return conversation_id(row["source_id"], self.key, known, hide=is_taken)
        content = [
            row[name] for name in ("turns", "started_at", "customer_keys", "intent", "rating", "metadata", "known")
        ]
        first = content_id(content, 1, self.key)
        self.occurrences[first] = self.occurrences.get(first, 0) + 1
        return content_id(content, self.occurrences[first], self.key)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame with the types that `schema.to_frame` gives, `reject` and `raw` as objects."""
    columns: dict[str, Any] = {}
    for field in RAW_CONVERSATION:
        cells = [row.get(field.name) for row in rows]
        default = DEFAULTS.get(field.name)
        if pa.types.is_map(field.type):
            columns[field.name] = pd.Series([cell or {} for cell in cells], dtype=object)
        elif pa.types.is_nested(field.type):
            columns[field.name] = pd.Series([cell or [] for cell in cells], dtype=object)
        else:
            filled = [default if cell is None else cell for cell in cells] if default is not None else cells
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
    """The conversation that a record holds, or a reason: also where one of its values is too odd for any of ours."""
    try:
        return reader.read(record)
    except ODD_VALUE:
        return "bad_cell"


STAGE = SourceStage(
    name="ingest",
    dataset="ingested",
    suite="expectations.ingested",
    config=IngestConfig,
    inputs=inputs,
    read=ingest,
    check=check,
    provides=frozenset(["conversation_id", "turns", "intent", "customer_keys", "started_at", "source", "known"]),
)
