"""Parts: Parquet files that workers stage, verified by the checksum of their bytes in memory."""

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
    """A Parquet file that a worker wrote and that no commit includes yet."""

    path: str
    rows: int
    checksum: str


def write_rows(folder: Path, table: pa.Table) -> Part:
    """Write rows, including their hashes, as one Parquet file; its checksum is computed from the bytes in memory."""
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
    """Read the rows of a staged part.

    Raises:
        DataError: the file differs from what the worker wrote.
    """
    import pyarrow.parquet as pq

    path = Path(part.path)
    content = path.read_bytes() if path.is_file() else b""
    if checksum(content) != part.checksum:
        raise DataError(
            f"{path} differs from what was just written: the disk or its memory is failing. No version was published; "
            "check the disk and run again"
        )
    return pq.read_table(pa.BufferReader(content), columns=list(columns), use_threads=False)


def as_stream(parts: Sequence[Part], schema: pa.Schema, deleted: Sequence[str]) -> pa.RecordBatchReader:
    """Return staged rows and deletions as one stream with the column `_gone`.

    Raises:
        DataError: a staged file differs from what was written; raised before the commit.
    """
    full = schema.append(pa.field("_gone", pa.bool_()))
    staged = [part for part in parts if part.rows]
    for part in staged:
        read_part(part, ["row_id"])  # an error inside the stream would surface as one of the library's own

    def batches() -> Iterator[pa.RecordBatch]:
        for part in staged:
            table = read_part(part, schema.names).select(schema.names).cast(schema)
            table = table.append_column("_gone", pa.array([False] * table.num_rows))
            yield from table.cast(full).to_batches()
        if deleted:
            columns: Mapping[str, pa.Array] = {"row_id": pa.array(deleted), "_gone": pa.array([True] * len(deleted))}
            arrays = [columns.get(field.name, pa.nulls(len(deleted), field.type)) for field in full]
            yield pa.RecordBatch.from_arrays(arrays, schema=full)

    # Delta requests batches in its own thread, where the permission to open the raw zone must hold too.
    context, rest = copy_context(), batches()

    def stream() -> Iterator[pa.RecordBatch]:
        while (batch := context.run(next, rest, None)) is not None:
            yield batch

    return pa.RecordBatchReader.from_batches(full, stream())
