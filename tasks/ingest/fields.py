"""Find the fields and the format of the first records of a log."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from tasks.ingest.columnar import parquet_rows
from tasks.ingest.config import Columns, IngestConfig
from tasks.ingest.containers import container
from tasks.ingest.documents import json_records
from tasks.ingest.flat import Row
from tasks.ingest.formats import recognise
from tasks.ingest.hub_datasets import dataset_rows
from tasks.ingest.read import File
from tasks.ingest.record import Record
from tasks.ingest.separated import read_cells

LOOKED_AT = 500
TURNS = ("turns", "messages", "conversation", "conversations", "dialogue", "dialog", "utterances", "transcript")
CONTEXT, JSON, TABLE = "context_response", "json", "table"  # kinds of logs, beside the other formats


def field_names(file: File, config: IngestConfig) -> tuple[str, Counter[str]]:
    """Return (kind of most of the first records, how many records fill each field).

    The kind is a format; `json` for records without one; or `table` where several rows, or columns yet to be declared,
    make a conversation. Names are dotted, with `turns[].text` inside a list.
    """
    kind, columns = container(file), Columns()
    if kind == "csv":
        row = next(read_cells(file, config), None)
        header = row.cells if row is not None and row.reason is None else []
        names = Counter(cell.strip() for cell in header)
        return (CONTEXT if recognise(dict.fromkeys(names, "x"), columns) == CONTEXT else TABLE), names
    readers: dict[str, Callable[[File, IngestConfig], Iterator[Record | Row]]]
    readers = {"json": json_records, "parquet": parquet_rows, "dataset": dataset_rows}
    names, formats = Counter[str](), Counter[str | None]()
    for record in islice(readers[kind](file, config), LOOKED_AT):
        value = record.value or {}
        names.update(_paths(value))
        formats[recognise(value, columns)] += 1
    format = formats.most_common(1)[0][0] if formats else None
    return format or (JSON if kind == "json" or turn_list(names) else TABLE), names


def turn_list(names: Iterable[str]) -> str:
    """Return the field that holds a list of turns; empty if there is none."""
    lists = {name.partition("[].")[0] for name in names if "[]." in name}
    return next((name for name in TURNS if name in lists), "")


def _paths(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, cell in value.items():
        if cell not in (None, "", [], {}):
            yield prefix + name
            if isinstance(cell, dict) and not prefix:
                yield from _paths(cell, f"{name}.")
            if isinstance(cell, list) and isinstance(cell[0], dict) and not prefix:
                yield from (f"{name}[].{inner}" for inner in cell[0])
