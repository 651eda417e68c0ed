"""Read the records of a JSON file.

JSON Lines are streamed. A file that is one JSON document (an array, or `{"train": [...], ...}`) is read into memory,
up to a limit.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

from deskloop.contract.errors import InputError
from tasks.ingest.config import IngestConfig, SourceConfig
from tasks.ingest.formats import recognise
from tasks.ingest.read import KEPT_OF_TOO_LONG, File, lines, open_file
from tasks.ingest.record import Person, Record, dump
from tasks.ingest.zendesk import page

# A document begins with "[", with "{" alone on its line, or with an object whose first value is a list.
DOCUMENT = re.compile(rb"\s*(\[|\{\s*$|\{\s*\"[^\"]*\"\s*:\s*\[)")
BYTES_OF_A_VALUE = 72  # in memory: an empty object in a list; most other values take less
SURROGATE = re.compile("[\ud800-\udfff]")


def json_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Yield every record of a JSON Lines file or a JSON document.

    Raises:
        InputError: a document over `max_document_bytes` or `max_document_memory`, or a damaged file.
    """
    document = _document(file, config)
    if document is not None:
        elements, people = _elements(document, file.source)
        for number, element in enumerate(elements, 1):
            yield _record(number, element, dump(element)[:KEPT_OF_TOO_LONG], people)
        return
    for line in lines(file, config.max_record_bytes):
        if line.too_long:
            yield Record(line.number, None, "record_too_long", line.data)
        elif not line.data.isspace():
            value, reason = parse(line.data, file.source.encoding)
            tickets = None if reason else page(value, file.source.format)
            if tickets is not None:
                for number, element in enumerate(tickets.elements, 1):
                    yield _record(f"{line.number}.{number}", element, dump(element), tickets.people)
            else:
                yield Record(line.number, None, reason, line.data) if reason else _record(line.number, value, line.data)


def parse(data: bytes, encoding: str) -> tuple[Any, str | None]:
    """Parse JSON as (value, None) or (None, reason).

    Extensions of Python's parser are replaced: NaN by null, a lone surrogate by U+FFFD. Integers of any length are
    exact in the fields of a record and of the objects in it.
    """
    with suppress(ValueError):  # Python's parser below finds out the reason
        value = orjson.loads(data if encoding == "utf-8" else data.decode(encoding))
        if not _has_rounded_number(value):
            return value, None
    try:
        return _harmless(json.loads(data.decode(encoding))), None
    except UnicodeDecodeError:
        return None, "invalid_encoding"
    except RecursionError:
        return None, "too_deep"
    except ValueError:
        return None, "invalid_json"


def _record(number: int | str, value: Any, raw: bytes, people: Mapping[str, Person] | None = None) -> Record:
    if isinstance(value, dict):
        return Record(number, value, None, raw, people=people or {})
    return Record(number, None, "not_an_object", raw)


def _document(file: File, config: IngestConfig) -> dict[str, Any] | list[Any] | None:
    """Read a file that is one JSON document (empty: an empty list); return None for JSON Lines."""
    content = (line for line in lines(file, config.max_record_bytes) if line.too_long or line.data.strip())
    first = next(content, None)
    if first is None:
        return []
    if not first.too_long:
        value, reason = parse(first.data, file.source.encoding)
        if reason is None:
            alone = next(content, None) is None
            return value if alone and isinstance(value, dict | list) else None
    if not DOCUMENT.match(first.data):
        return None
    limit = config.max_document_bytes
    with open_file(file) as stream:
        data = stream.read(limit + 1).removeprefix(b"\xef\xbb\xbf")
    problem = document_problem(data, config)
    if problem and file.suffix not in (".jsonl", ".ndjson"):
        raise InputError(f"{file.label} {problem}")
    value, reason = (None, "too_large") if problem else parse(data, file.source.encoding)
    return value if reason is None and isinstance(value, dict | list) else None


def document_problem(data: bytes, config: IngestConfig) -> str:
    """Explain why a JSON document is too large to be read into memory; empty if it is not.

    Args:
        data: at most one byte more than `max_document_bytes`.
    """
    advice = "write it as JSON Lines (one object per line, extension .jsonl), or raise"
    if len(data) > config.max_document_bytes:
        return (
            f"is a single JSON document of more than {config.max_document_bytes:,} bytes; {advice} `max_document_bytes`"
        )
    memory = len(data) + BYTES_OF_A_VALUE * sum(map(data.count, (b",", b":", b"[", b"{")))
    if memory > config.max_document_memory:
        return (
            f"is a single JSON document that would take about {memory:,} bytes in memory, more than "
            f"{config.max_document_memory:,}; {advice} `max_document_memory`"
        )
    return ""


def _elements(document: dict[str, Any] | list[Any], source: SourceConfig) -> tuple[list[Any], Mapping[str, Person]]:
    """Return (records, people) of a document: an array, a page of tickets, or an object of lists such as
    `{"train": [...], "test": [...]}`."""
    if isinstance(document, list):
        return document, {}
    tickets = page(document, source.format)
    if tickets is not None:
        return tickets.elements, tickets.people
    lists = [part for part in document.values() if isinstance(part, list) and (not part or isinstance(part[0], dict))]
    is_record = recognise(document, source.columns) is not None
    return ([document] if is_record or not lists else [element for part in lists for element in part]), {}


def _has_rounded_number(value: Any) -> bool:
    """Check for a field, or a field of an object in it, that may be an integer of over 64 bits. orjson rounds those to
    floats, so two ids could become equal."""
    if not isinstance(value, dict):
        return False
    for cell in value.values():
        for part in cell.values() if isinstance(cell, dict) else (cell,):
            if isinstance(part, float) and abs(part) >= 2.0**63:
                return True
    return False


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_harmless(part) for part in value]
    if isinstance(value, dict):
        return {_harmless(name): _harmless(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
