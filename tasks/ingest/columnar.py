"""Stream Parquet files with one row per record, pair or turn, without loading whole row groups.

A few kilobytes of Parquet can decode to gigabytes of text. Columns therefore stay dictionary-encoded until a few rows
at a time are converted to Python objects, and the decoded size is checked against the size of the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deskloop.contract.errors import ConfigError, InputError
from tasks.ingest.cells import decoded_bytes, table_rows
from tasks.ingest.config import IngestConfig
from tasks.ingest.flat import Row, Shape, table_records, table_shape, too_wide
from tasks.ingest.read import File, open_file, size
from tasks.ingest.record import Record

BATCH_ROWS = 100
CHECKED_ROWS = 10_000  # rows that are decoded together to check their size
BATCH_BYTES = 32 << 20  # encoded bytes that are decoded together
BUFFER_BYTES = 1 << 20  # read-ahead of each column
TEXT = ("NONE", "STRING", "ENUM", "JSON", "BSON")  # logical types of columns that a dictionary may encode


def parquet_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Yield every record (or conversation of several rows) of a Parquet file.

    Raises:
        ConfigError: a column that the config names is missing.
        InputError: the file is not Parquet, is truncated or damaged, or exceeds its limits once decoded.
    """
    shape, problems = parquet_shape(file, config)
    if problems:
        raise ConfigError(problems)
    yield from table_records(lambda: parquet_rows(file, config), shape, file.source, config.max_record_bytes)


def parquet_shape(file: File, config: IngestConfig) -> tuple[Shape, list[str]]:
    """Return (shape, problems), from the schema alone.

    Raises:
        InputError: the file is not Parquet, is truncated or damaged, or has more columns than `max_columns`.
    """
    with _opened(file) as stream:
        metadata = pq.read_metadata(stream)
        _check_width(metadata, file, config)
        schema = metadata.schema.to_arrow_schema()
    nested = {field.name for field in schema if pa.types.is_nested(field.type)}
    return table_shape(file.label, schema.names, nested, file.source)


def parquet_rows(file: File, config: IngestConfig) -> Iterator[Row]:
    """Yield every row; a row with invalid UTF-8 or an unrepresentable cell has only its number and a reason.

    Raises:
        InputError: the file is not Parquet, is truncated or damaged, or exceeds its limits once decoded.
    """
    with _opened(file) as stream:
        _check_width(pq.read_metadata(stream), file, config)
    yield from islice(_rows(file, config), file.most_rows)


def _rows(file: File, config: IngestConfig) -> Iterator[Row]:
    number = 1
    for batch in parquet_batches(file):
        yield from table_rows(batch, number, config.max_record_bytes)
        number += batch.num_rows


def parquet_batches(file: File) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in small batches, with dictionary-encoded text.

    Checks the decoded size of each row group before its first row.

    Raises:
        InputError: as `parquet_rows`.
    """
    stored, decoded = size(file), 0
    with _opened(file) as stream:
        metadata = pq.read_metadata(stream)
        options: dict[str, Any] = {"metadata": metadata, "buffer_size": BUFFER_BYTES, "pre_buffer": False}
        with pq.ParquetFile(stream, read_dictionary=_texts(metadata), **options) as parquet:
            for group in range(metadata.num_row_groups):
                most = _batch_rows(metadata.row_group(group), file)
                for batch in parquet.iter_batches(most, row_groups=[group], use_threads=False):
                    decoded += decoded_bytes(batch)
                    file.limits.check(file.label, decoded, stored)
                yield from parquet.iter_batches(min(most, BATCH_ROWS), row_groups=[group], use_threads=False)


def _check_width(metadata: Any, file: File, config: IngestConfig) -> None:
    if metadata.num_columns > config.max_columns:
        raise InputError(too_wide(file.label, metadata.num_columns, config))


def _texts(metadata: Any) -> list[str]:
    columns = [metadata.schema.column(number) for number in range(metadata.num_columns)]
    return [
        column.path for column in columns if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in TEXT
    ]


def _batch_rows(group: Any, file: File) -> int:
    """Return how many rows of a row group to decode together: the longer the rows, the fewer."""
    columns = [group.column(number) for number in range(group.num_columns)]
    for column in columns:
        file.limits.check(file.label, column.total_uncompressed_size, column.total_compressed_size)
    total = sum(column.total_uncompressed_size for column in columns)
    return int(max(1, min(CHECKED_ROWS, BATCH_BYTES * max(group.num_rows, 1) // max(total, 1))))


@contextmanager
def _opened(file: File) -> Iterator[Any]:
    try:
        with open_file(file) as stream:
            yield stream
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InputError(
            f"{file.label} is not a complete Parquet file ({type(error).__name__}). Replace it with a complete copy"
        ) from None
