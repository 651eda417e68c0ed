"""Parts: Parquet files that workers stage, which only the checksum of the bytes in memory vouches for."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from deskloop.contract.errors import DataError
from deskloop.store.checksums import checksum


@dataclass(frozen=True)
class Part:
    """A Parquet file that a worker wrote, not yet visible to anyone."""

    path: str
    rows: int
    checksum: str


def write_rows(folder: Path, table: pa.Table) -> Part:
    """Write rows that have their hashes as one Parquet file; its checksum is that of the bytes in memory."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_statistics=False)
    content = sink.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{uuid.uuid4().hex}.parquet"
    with path.open("wb") as file:
        file.write(content)
    return Part(str(path), table.num_rows, checksum(content))


def read_part(part: Part, columns: Sequence[str]) -> pa.Table:
    """Rows of a staged part.

    Raises:
        DataError: the file is not what the worker wrote.
    """
    import pyarrow.parquet as pq

    path = Path(part.path)
    content = path.read_bytes() if path.is_file() else b""
    if checksum(content) != part.checksum:
        raise DataError(
            f"{path} is not what was written there a moment ago: the disk or its memory is failing. Nothing was "
            "published; check the disk and run again"
        )
    return pq.read_table(pa.BufferReader(content), columns=list(columns), use_threads=False)


def as_stream(parts: Sequence[Part], schema: pa.Schema, deleted: Sequence[str]) -> pa.RecordBatchReader:
    """Staged rows and deletions as one stream with the column `_gone`.

    Raises:
        DataError: a staged file is not what was written; before anything is committed.
    """
    full = schema.append(pa.field("_gone", pa.bool_()))
    staged = [part for part in parts if part.rows]
    for part in staged:
        read_part(part, ["row_id"])  # an error inside of the stream would come out as the library's own

    def batches() -> Iterator[pa.RecordBatch]:
        for part in staged:
            table = read_part(part, schema.names).select(schema.names).cast(schema)
            table = table.append_column("_gone", pa.array([False] * table.num_rows))
            yield from table.cast(full).to_batches()
        if deleted:
            columns: Mapping[str, pa.Array] = {"row_id": pa.array(deleted), "_gone": pa.array([True] * len(deleted))}
            arrays = [columns.get(field.name, pa.nulls(len(deleted), field.type)) for field in full]
            yield pa.RecordBatch.from_arrays(arrays, schema=full)

    # Delta asks for batches in a thread of its own, where the permission to open the raw zone has to hold too.
    context, rest = copy_context(), batches()

    def stream() -> Iterator[pa.RecordBatch]:
        while (batch := context.run(next, rest, None)) is not None:
            yield batch

    return pa.RecordBatchReader.from_batches(full, stream())
