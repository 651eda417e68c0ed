"""Check a data set in a local folder before the library `datasets`, which enforces no limits, opens its files."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import replace

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from deskloop.contract.errors import InputError
from tasks.ingest.columnar import parquet_batches
from tasks.ingest.config import IngestConfig
from tasks.ingest.documents import document_problem
from tasks.ingest.listing import files_below
from tasks.ingest.read import BLOCK, File, open_file, size
from tasks.ingest.unpack import FREE

DECODED = 500_000_000  # bytes of a row group that can be decoded at once
UNBOUNDED = {b"\x28\xb5\x2f\xfd": "Zstandard", b"\x04\x22\x4d\x18": "LZ4", b"7z\xbc\xaf\x27\x1c": "7-Zip"}
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")


def check_dataset_files(file: File, config: IngestConfig) -> None:
    """Refuse a data set with a file that exceeds the limits once unpacked, or is not a regular file.

    Args:
        file: the data set.
    Raises:
        InputError: names the file and the limit.
    """
    filesystem = fsspec.filesystem("file")
    for path in files_below(file.path, file.source.follow_links):
        label = f"{file.label}/{os.path.relpath(path, file.path)}"
        part = replace(file, path=path, filesystem=filesystem, label=label)
        with open(path, "rb") as stream:
            head = stream.read(8)
        _check_of(head)(part, config)


def _check_of(head: bytes) -> Callable[[File, IngestConfig], None]:
    """Return the check for a file with these first bytes."""
    if head.startswith(tuple(UNBOUNDED)):
        return _refuse_packed
    if head.startswith(PACKED):
        return _check_packed
    if head.startswith(b"PK\x03\x04"):
        return _check_zip
    if head.startswith(b"PAR1"):
        return _check_parquet
    return _check_document if head.lstrip().startswith(b"[") else lambda file, config: None


def _refuse_packed(file: File, config: IngestConfig) -> None:
    raise InputError(f"{file.label}: the size of this archive cannot be bounded; unpack it, or compress it with gzip")


def _check_packed(file: File, config: IngestConfig) -> None:
    with open_file(file) as stream:
        while stream.read(BLOCK):
            pass


def _check_zip(file: File, config: IngestConfig) -> None:
    try:
        with zipfile.ZipFile(file.path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{file.label} is not a complete zip archive ({type(error).__name__}). Replace it with a complete copy"
        ) from None
    file.limits.check(file.label, total, size(file))


def _check_parquet(file: File, config: IngestConfig) -> None:
    """Check a file by decoding it, but only if its dictionaries could make it large."""
    try:
        metadata = pq.read_metadata(file.path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{file.label} is not a complete Parquet file ({type(error).__name__}). Replace it with a complete copy"
        ) from None
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if not any(_upper_bound(group) > DECODED for group in groups):
        return
    for _ in parquet_batches(file):
        pass


def _upper_bound(group: pq.RowGroupMetaData) -> int:
    """Return the most bytes that a row group can decode to: each cell could hold all stored bytes of its column."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(column.num_values * column.total_uncompressed_size for column in columns)


def _check_document(file: File, config: IngestConfig) -> None:
    stored = size(file)
    if stored <= FREE:
        return
    with open_file(file) as stream:
        problem = document_problem(stream.read(config.max_document_bytes + 1), config)
    if problem:
        raise InputError(f"{file.label} {problem}")
