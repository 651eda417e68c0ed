"""The conversation: its Arrow schema, and conversion between Arrow and pandas.

Nested columns (`turns`, `entities`, `customer_keys`, `metadata`, `known`) are plain Python lists and dicts inside a
DataFrame; everything else has pandas' own types.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

SCHEMA_VERSION = 1
ROLES = ("customer", "agent", "system")
SPLITS = ("train", "validation", "test")
ORIGINS = ("log", "back_translation", "paraphrase", "noise", "synthetic", "feedback")

TIMESTAMP = pa.timestamp("us", tz="UTC")
TURN = pa.struct([("role", pa.string()), ("text", pa.string()), ("at", TIMESTAMP), ("supervise", pa.bool_())])
ENTITY = pa.struct([("turn", pa.int32()), ("start", pa.int32()), ("end", pa.int32()), ("type", pa.string())])

CONVERSATION = pa.schema(
    [
        ("row_id", pa.string()),  # unique: the conversation, its copy, its window ("HD-1", "HD-1/noise-1", "HD-1/w2")
        ("conversation_id", pa.string()),
        ("batch", pa.int32()),  # arrival number of the conversation, 1 for the first load
        ("source", pa.string()),
        ("started_at", TIMESTAMP),
        ("customer_keys", pa.list_(pa.string())),  # HMAC-SHA256 of id, e-mail, phone; hex
        ("language", pa.string()),  # ISO 639-1, "und" where unknown
        ("turns", pa.list_(TURN)),
        ("intent", pa.string()),
        ("intent_source", pa.string()),  # log, rule, model, human
        ("intent_confidence", pa.float32()),
        ("entities", pa.list_(ENTITY)),  # placeholders, as offsets into the text of this very row
        ("rating", pa.float32()),
        ("origin", pa.string()),
        ("parent_id", pa.string()),
        ("family", pa.string()),
        ("split", pa.string()),
        ("repeats", pa.int32()),
        ("weight", pa.float32()),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("schema_version", pa.int32()),
    ]
)

# Raw zone only: what the source itself knows to be personal, by entity type.
RAW_CONVERSATION = CONVERSATION.append(pa.field("known", pa.map_(pa.string(), pa.list_(pa.string()))))

# One training window: input_ids, and labels with -100 wherever the loss must not look (Hugging Face's convention).
ENCODED = pa.schema(
    [
        ("row_id", pa.string()),
        ("conversation_id", pa.string()),
        ("batch", pa.int32()),
        ("family", pa.string()),
        ("split", pa.string()),
        ("intent", pa.string()),
        ("repeats", pa.int32()),
        ("weight", pa.float32()),
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("supervised_tokens", pa.int32()),
        ("supervised_bytes", pa.int32()),  # UTF-8 bytes of the supervised agent text, stop tokens not counted
    ]
)

DEFAULTS: dict[str, object] = {
    "batch": 0,
    "source": "",
    "language": "und",
    "origin": "log",
    "repeats": 1,
    "weight": 1.0,
    "schema_version": SCHEMA_VERSION,
}


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert Arrow to pandas, nested columns as lists and dicts (never NumPy arrays of dicts).

    Args:
        table: (n, any columns).
    Returns:
        (n, same columns), a fresh RangeIndex.
    """
    columns: dict[str, object] = {}
    for field in table.schema:
        column = table.column(field.name)
        if pa.types.is_map(field.type):
            columns[field.name] = pd.Series(
                [None if cell is None else dict(cell) for cell in column.to_pylist()], dtype=object
            )
        elif pa.types.is_nested(field.type):
            columns[field.name] = pd.Series(column.to_pylist(), dtype=object)
        else:
            columns[field.name] = column.to_pandas()
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def to_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Convert pandas to Arrow in exactly `schema`: missing columns get their default or null, others are removed.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: a cell does not fit its column.
    """
    arrays = []
    for field in schema:
        if field.name not in frame.columns:
            arrays.append(pa.array([DEFAULTS.get(field.name)] * len(frame), type=field.type))
        elif pa.types.is_map(field.type):
            cells = [None if not isinstance(cell, dict) else list(cell.items()) for cell in frame[field.name]]
            arrays.append(pa.array(cells, type=field.type))
        elif pa.types.is_nested(field.type):
            arrays.append(pa.array(list(frame[field.name]), type=field.type))
        else:
            array = pa.Array.from_pandas(frame[field.name], type=field.type)
            arrays.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    return pa.Table.from_arrays(arrays, schema=schema)


def conversations(rows: Iterable[Mapping[str, Any]], schema: pa.Schema = CONVERSATION) -> pd.DataFrame:
    """Complete rows given as dicts to whole conversations; `row_id` defaults to `conversation_id`.

    Turns may leave out `at` (null) and `supervise` (true for agents). Meant for sources and tests.
    """
    complete = []
    for row in rows:
        filled = {field.name: row.get(field.name, DEFAULTS.get(field.name)) for field in schema}
        filled["row_id"] = row.get("row_id", row.get("conversation_id"))
        filled["turns"] = [
            {
                "role": turn["role"],
                "text": turn["text"],
                "at": turn.get("at"),
                "supervise": turn.get("supervise", turn["role"] == "agent"),
            }
            for turn in row.get("turns") or []
        ]
        for name in ("customer_keys", "entities"):
            filled[name] = row.get(name) or []
        filled["metadata"] = row.get("metadata") or {}
        if "known" in schema.names:
            filled["known"] = row.get("known") or {}
        complete.append(filled)
    columns = {field.name: [row[field.name] for row in complete] for field in schema}
    arrays = [
        pa.array([list(cell.items()) for cell in cells] if pa.types.is_map(field.type) else cells, type=field.type)
        for field, cells in zip(schema, columns.values(), strict=True)
    ]
    return to_frame(pa.Table.from_arrays(arrays, schema=schema))
