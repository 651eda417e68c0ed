"""Parquet: a row for each record, pair or turn; row groups are streamed, never held whole.

A few kilobytes can stand for gigabytes of text. Columns stay encoded by their dictionaries until a few rows at a time
become Python objects, and what a file stands for is held against its size.
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
CHECKED_ROWS = 10_000  # that are decoded together to see how much they stand for
BATCH_BYTES = 32 << 20  # of encoded rows that are decoded together
BUFFER_BYTES = 1 << 20  # of each column that are read ahead
TEXT = ("NONE", "STRING", "ENUM", "JSON", "BSON")  # logical types of columns that a dictionary may encode


def parquet_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every record (or conversation of several rows) of a Parquet file.

    Raises:
        ConfigError: a column that the config names is missing.
        InputError: the file is no Parquet file, cut off or damaged, or stands for more than its limits allow.
    """
    shape, problems = parquet_shape(file, config)
    if problems:
        raise ConfigError(problems)
    yield from table_records(lambda: parquet_rows(file, config), shape, file.source, config.max_record_bytes)


def parquet_shape(file: File, config: IngestConfig) -> tuple[Shape, list[str]]:
    """(shape, problems), from the schema alone.

    Raises:
        InputError: the file is no Parquet file, cut off or damaged, or has more columns than `max_columns`.
    """
    with _opened(file) as stream:
        metadata = pq.read_metadata(stream)
        _check_width(metadata, file, config)
        schema = metadata.schema.to_arrow_schema()
    nested = {field.name for field in schema if pa.types.is_nested(field.type)}
    return table_shape(file.label, schema.names, nested, file.source)


def parquet_rows(file: File, config: IngestConfig) -> Iterator[Row]:
    """Every row; one that holds text that is no UTF-8, or a cell that nothing stands for, gives its number only.

    Raises:
        InputError: the file is no Parquet file, cut off or damaged, or stands for more than its limits allow.
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
    """The rows of a file in small batches, texts encoded by dictionaries. How much a row group stands for is checked
    before its first row is given.

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
    """How many rows of a row group are decoded together: fewer of long ones."""
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
            f"{file.label} is no whole Parquet file ({type(error).__name__}): cut off or damaged. Deliver it again"
        ) from None
