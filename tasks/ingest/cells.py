"""Convert Arrow's typed cells to JSON values. An unrepresentable cell rejects its row, not the file."""

import warnings
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.flat import Row
from tasks.ingest.read import KEPT_OF_TOO_LONG
from tasks.ingest.record import dump

PART_BYTES = 32 << 20  # decoded bytes that are converted to Python objects at a time
BYTES_OF_A_ROW = 8  # the minimum, for a row of nulls


class OddCellError(ValueError):
    """A cell that neither JSON nor Python can represent."""


def table_rows(batch: pa.RecordBatch, first: int, limit: int) -> Iterator[Row]:
    """Yield the rows of a batch; a row with an unrepresentable cell has only its number and a reason.

    Args:
        first: number of the first row.
        limit: bytes of JSON of one row.
    """
    zoned = in_utc(batch)
    decoders = {field.name: decode for field in zoned.schema if (decode := _json_inside(field.type)) is not None}
    for offset, part in _parts(zoned, 0):
        if part.num_rows == 1 and decoded_bytes(part) > 4 * limit + PART_BYTES:
            yield Row(first + offset, {}, "record_too_long", b"")
            continue
        for number, cells in enumerate(_cells(part), first + offset):
            yield Row(number, {}, cells, b"") if isinstance(cells, str) else _row(number, cells, limit, decoders)


def _row(number: int, cells: dict[str, Any], limit: int, decoders: dict[str, Callable[[Any], Any]]) -> Row:
    """Convert a row of typed cells; `limit` is in bytes of JSON."""
    try:
        for name, decode in decoders.items():
            cells[name] = decode(cells[name])
        value = {name: cell for name, cell in plain(cells).items() if cell is not None and cell != ""}
        raw = dump(value)
    except UnicodeError:
        return Row(number, {}, "invalid_encoding", b"")
    except (ValueError, OverflowError, ArithmeticError, TypeError, RecursionError):
        return Row(number, {}, "bad_cell", b"")
    if len(raw) > limit:
        return Row(number, {}, "record_too_long", raw[:KEPT_OF_TOO_LONG])
    return Row(number, value, None, raw + b"\n")


def plain(value: Any) -> Any:
    """Convert a cell to a JSON value: times to ISO 8601, bytes to text, whole decimals to integers, NaN to null.

    Raises:
        UnicodeDecodeError: bytes that are not UTF-8.
        OddCellError: JSON cannot represent the cell.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, UUID):
        return str(value)
    raise OddCellError(type(value).__name__)


def decoded_bytes(data: pa.RecordBatch | pa.Array) -> int:
    """Return the bytes of a batch or column once decoded, counting a dictionary's value at each of its occurrences."""
    if isinstance(data, pa.RecordBatch):
        return BYTES_OF_A_ROW * data.num_rows + sum(decoded_bytes(column) for column in data.columns)
    if isinstance(data, pa.DictionaryArray):
        values = data.dictionary
        if values.type not in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary()) or not len(values):
            return int(data.nbytes)
        lengths = pc.fill_null(pc.take(pc.binary_length(values), data.indices), 0)
        return int(pc.sum(lengths).as_py() or 0) + 4 * len(data)
    if pa.types.is_struct(data.type):
        return sum(decoded_bytes(column) for column in data.flatten())
    if pa.types.is_list(data.type) or pa.types.is_large_list(data.type) or pa.types.is_fixed_size_list(data.type):
        return decoded_bytes(data.flatten()) + 4 * len(data)
    if pa.types.is_map(data.type):
        if not len(data):
            return 0
        begin, end = data.offsets[0].as_py(), data.offsets[len(data)].as_py()
        return decoded_bytes(data.keys[begin:end]) + decoded_bytes(data.items[begin:end])
    return int(data.nbytes)


def in_utc(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Convert time stamps to UTC, in which Arrow stores them; their zone is for display and may be unknown here."""
    fields = [_utc(field) for field in batch.schema]
    if all(new.type == old.type for new, old in zip(fields, batch.schema, strict=True)):
        return batch
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(batch.columns, fields, strict=True)], schema=pa.schema(fields)
    )


def _utc(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC"):
        return field.with_type(pa.timestamp(kind.unit, "UTC"))
    if pa.types.is_struct(kind):
        return field.with_type(pa.struct([_utc(kind.field(number)) for number in range(kind.num_fields)]))
    if pa.types.is_list(kind):
        return field.with_type(pa.list_(_utc(kind.value_field)))
    if pa.types.is_large_list(kind):
        return field.with_type(pa.large_list(_utc(kind.value_field)))
    return field


def _json_inside(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return a function that parses the JSON in a column's cells; None if its type contains no JSON."""
    if isinstance(kind, pa.JsonType):
        return lambda cell: None if cell is None else orjson.loads(cell)
    if pa.types.is_struct(kind):
        fields = {kind.field(number).name: _json_inside(kind.field(number).type) for number in range(kind.num_fields)}
        parsed = {name: decode for name, decode in fields.items() if decode is not None}
        if not parsed:
            return None
        return lambda cell: (
            cell and {name: parsed[name](part) if name in parsed else part for name, part in cell.items()}
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        decode = _json_inside(kind.value_type)
        return None if decode is None else lambda cell: cell and [decode(part) for part in cell]
    return None


def _parts(batch: pa.RecordBatch, offset: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Split a batch into parts that fit into memory as Python objects, each with the offset of its first row."""
    if batch.num_rows < 2 or decoded_bytes(batch) <= PART_BYTES:
        yield offset, batch
        return
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half), offset)
    yield from _parts(batch.slice(half), offset + half)


def _cells(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    """Yield the rows of a batch as dicts, or a reason for a row with a cell that Python cannot represent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning about a duplicate key quotes it
            rows = batch.to_pylist(maps_as_pydicts="lossy")
        yield from rows
        return
    except UnicodeDecodeError:
        reason = "invalid_encoding"
    except (ValueError, OverflowError, ArithmeticError, TypeError, LookupError, pa.ArrowException):
        reason = "bad_cell"
    if batch.num_rows == 1:
        yield reason
        return
    for index in range(batch.num_rows):
        yield from _cells(batch.slice(index, 1))
