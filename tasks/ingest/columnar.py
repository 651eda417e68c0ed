"""Parquet: a row for each record, pair or turn; row groups are streamed, never held whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deskloop.errors import ConfigError, InputError
from tasks.ingest.config import IngestConfig
from tasks.ingest.flat import Row, Shape, table_records, table_shape
from tasks.ingest.read import KEPT_OF_TOO_LONG, File, open_file
from tasks.ingest.record import Record, dump

BATCH_ROWS = 100
BUFFER_BYTES = 1 << 20  # of each column that are read ahead


def parquet_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every record (or conversation of several rows) of a Parquet file.

    Raises:
        ConfigError: a column that the config names is missing.
        InputError: the file is no Parquet file, cut off or damaged.
    """
    shape, problems = parquet_shape(file)
    if problems:
        raise ConfigError(problems)
    yield from table_records(lambda: parquet_rows(file, config), shape, file.source, config.max_record_bytes)


def parquet_shape(file: File) -> tuple[Shape, list[str]]:
    """(shape, problems), from the schema alone.

    Raises:
        InputError: the file is no Parquet file, cut off or damaged.
    """
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
    nested = {field.name for field in schema if pa.types.is_nested(field.type)}
    return table_shape(file.label, schema.names, nested, file.source)


def parquet_rows(file: File, config: IngestConfig) -> Iterator[Row]:
    """Every row; one that holds text that is no UTF-8 gives its number only.

    Raises:
        InputError: the file is no Parquet file, cut off or damaged.
    """
    number = 0
    with _opened(file) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, use_threads=False):
            for cells in _cells(batch):
                number += 1
                unreadable = Row(number, {}, "invalid_encoding", b"")
                yield row_of(number, cells, config.max_record_bytes) if cells is not None else unreadable


def plain(value: Any) -> Any:
    """A cell as JSON would hold it: times in ISO 8601, bytes as UTF-8, whole numbers as such, NaN as nothing.

    Raises:
        UnicodeDecodeError: bytes that are no UTF-8.
    """
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return None if isinstance(value, float) and value != value else value


def row_of(number: int, cells: dict[str, Any], limit: int) -> Row:
    """A row of any table of typed cells; `limit` is that of a record, in bytes of JSON."""
    try:
        value = {name: cell for name, cell in plain(cells).items() if cell is not None and cell != ""}
    except UnicodeDecodeError:
        return Row(number, {}, "invalid_encoding", b"")
    raw = dump(value)
    if len(raw) > limit:
        return Row(number, {}, "record_too_long", raw[:KEPT_OF_TOO_LONG])
    return Row(number, value, None, raw + b"\n")


@contextmanager
def _opened(file: File) -> Iterator[pq.ParquetFile]:
    try:
        with open_file(file) as stream, pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False) as parquet:
            yield parquet
    except pa.ArrowException as error:
        raise InputError(
            f"{file.label} is no whole Parquet file ({type(error).__name__}): cut off or damaged. Deliver it again"
        ) from None


def _cells(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch as dicts; None for one with a text that is no UTF-8."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist(maps_as_pydicts="lossy")[0]
            except UnicodeDecodeError:
                yield None
