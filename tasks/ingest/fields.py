"""Which fields the first records of a log hold, and what kind of record they make."""

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
from tasks.ingest.hub import dataset_rows
from tasks.ingest.read import File
from tasks.ingest.record import Record
from tasks.ingest.separated import read_cells

LOOKED_AT = 500
TURNS = ("turns", "messages", "conversation", "conversations", "dialogue", "dialog", "utterances", "transcript")
CONTEXT, JSON, TABLE = "context_response", "json", "table"  # what a log is made of, beside the other formats


def field_names(file: File, config: IngestConfig) -> tuple[str, Counter[str]]:
    """(what most of the first records are, how often which field holds something).

    The first is a format, `json` for records of none of them, or `table` for rows of which several, or columns of a
    name to be told, make a conversation. Names are dotted, `turns[].text` inside a list.
    """
    kind, columns = container(file), Columns()
    if kind == "csv":
        row = next(read_cells(file, config), None)
        header = row.cells if row is not None and row.reason is None else []
        names = Counter(cell.strip() for cell in header)
        return (CONTEXT if recognise(dict.fromkeys(names, "x"), columns) == CONTEXT else TABLE), names
    readers = {"json": _values(json_records), "parquet": _values(parquet_rows), "dataset": _values(dataset_rows)}
    names, formats = Counter[str](), Counter[str | None]()
    for value in islice(readers[kind](file, config), LOOKED_AT):
        names.update(_paths(value))
        formats[recognise(value, columns)] += 1
    found = formats.most_common(1)[0][0] if formats else None
    return found or (JSON if kind == "json" or turn_list(names) else TABLE), names


def _values(
    read: Callable[[File, IngestConfig], Iterator[Record]] | Callable[[File, IngestConfig], Iterator[Row]],
) -> Callable[[File, IngestConfig], Iterator[dict[str, Any]]]:
    return lambda file, config: (record.value or {} for record in read(file, config))


def turn_list(names: Iterable[str]) -> str:
    """The field that holds a list of turns, empty if none does."""
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
