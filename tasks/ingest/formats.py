"""One format a function: from the lines of a file to records, and from a record to its raw turns.

JSON Lines stream. A file that is one JSON document (an array, or `{"train": [...], ...}`) is read whole, up to a limit.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from deskloop.errors import InputError
from tasks.ingest.config import Columns, IngestConfig
from tasks.ingest.read import KEPT_OF_TOO_LONG, File, lines, open_file

# What may begin a document rather than a line: "[", "{" alone on its line, or an object whose first value is a list.
DOCUMENT = re.compile(rb"\s*(\[|\{\s*$|\{\s*\"[^\"]*\"\s*:\s*\[)")
SURROGATE = re.compile("[\ud800-\udfff]")


class Record(NamedTuple):
    """One record as it was found.

    Attributes:
        number: line (or element of a document) where it begins, from 1.
        value: its fields, also those of a broken CSV row as far as they can be told; None if it cannot be read.
        reason: why it is rejected already, or None.
        raw: its bytes, at most the first 64 KiB of an overlong one.
        turns: the turns that the format has put together already (CSV), else None.
    """

    number: int
    value: dict[str, Any] | None
    reason: str | None
    raw: bytes
    turns: list[dict[str, Any]] | None = None


def json_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every record of a JSON Lines file or a JSON document.

    Raises:
        InputError: a document over `max_document_bytes`, or a damaged file.
    """
    elements = _document(file, config)
    if elements is not None:
        for number, element in enumerate(elements, 1):
            value, reason = (element, None) if isinstance(element, dict) else (None, "not_an_object")
            yield Record(number, value, reason, dump(element)[:KEPT_OF_TOO_LONG])
        return
    for line in lines(file, config.max_record_bytes):
        if line.too_long:
            yield Record(line.number, None, "record_too_long", line.data)
        elif not line.data.isspace():
            value, reason = parse(line.data, file.source.encoding)
            if reason is None and not isinstance(value, dict):
                value, reason = None, "not_an_object"
            yield Record(line.number, value, reason, line.data)


def parse(data: bytes, encoding: str) -> tuple[Any, str | None]:
    """JSON as (value, None) or (None, reason).

    What only Python's parser takes is made harmless: NaN becomes null, a lone surrogate U+FFFD. Integers of any
    length are exact in the fields of a record and of the objects in it.
    """
    with suppress(ValueError):  # of which Python's parser tells the kind
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


def raw_turns(record: Record, format: str, columns: Columns) -> list[Any] | str:
    """The turns of a record before they are checked, or the reason why there are none.

    `auto` goes by the fields of each record: turns, messages, or instruction and response.
    """
    if record.turns is not None:
        return record.turns
    value = record.value or {}
    turns, messages = lookup(value, columns.turns or "turns"), lookup(value, columns.turns or "messages")
    if format == "auto":
        format = "conversations" if turns is not None else "openai" if messages is not None else "instructions"
    if format == "instructions":
        instruction, response = columns.instruction or "instruction", columns.response or "response"
        return pair(lookup(value, instruction), lookup(value, response), columns)
    found = messages if format == "openai" else turns
    if found is None or found == []:
        return "no_turns"
    if not isinstance(found, list):
        return "bad_turns"
    return [_message(turn, columns) for turn in found] if format == "openai" else found


def pair(customer: object, agent: object, columns: Columns) -> list[Any] | str:
    """Instruction and response as a customer's and an agent's turn."""
    if customer is None and agent is None:
        return "no_turns"
    role, text = columns.role or "role", columns.text or "text"
    return [{role: "customer", text: customer}, {role: "agent", text: agent}]


def lookup(value: dict[str, Any], path: str) -> Any:
    """The field called `path`, else what the dotted path leads to, else None."""
    found: Any = value.get(path)
    if found is not None or "." not in path:
        return found
    found = value
    for name in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def is_true(value: object) -> bool:
    """Whether a flag is set. Anything but an explicit no counts: a doubt is decided for the person who opted out."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "f", "no", "n", "off", "none", "null", "nan")
    return any(map(is_true, value)) if isinstance(value, list) else bool(value)


def getter(paths: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """A function that returns the first of `paths` that is there."""
    if len(paths) == 1 and "." not in paths[0]:
        name = paths[0]
        return lambda value: value.get(name)
    return lambda value: next((found for path in paths if (found := lookup(value, path)) is not None), None)


def _message(message: Any, columns: Columns) -> Any:
    """An OpenAI chat message as a turn: only parts that are text; a bare tool call is an event without text."""
    if not isinstance(message, dict):
        return message
    content, role = lookup(message, columns.text or "content"), lookup(message, columns.role or "role")
    if isinstance(content, list):
        parts: list[Any] = [
            part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else 0 for part in content
        ]
        junk = any(not isinstance(part, str | None) for part in parts)
        content = None if junk else "\n".join(part for part in parts if part)
    elif content is None and (message.get("tool_calls") or message.get("function_call")):
        content, role = "", "tool"
    # OpenAI's fine-tuning format: weight 0 keeps an assistant message out of the loss.
    supervise = False if message.get("weight") == 0 else None
    return {columns.role or "role": role, columns.text or "text": content, "supervise": supervise}


def _document(file: File, config: IngestConfig) -> list[Any] | None:
    """The elements of a file that is one JSON document, None where it is JSON Lines."""
    content = (line for line in lines(file, config.max_record_bytes) if line.too_long or line.data.strip())
    first = next(content, None)
    if first is None:
        return []
    if not first.too_long:
        value, reason = parse(first.data, file.source.encoding)
        if reason is None:
            alone = next(content, None) is None
            return _elements(value, file.source.columns) if alone and isinstance(value, dict | list) else None
    if not DOCUMENT.match(first.data):
        return None
    limit = config.max_document_bytes
    with open_file(file) as stream:
        data = stream.read(limit + 1).removeprefix(b"\xef\xbb\xbf")
    if len(data) <= limit:
        value, reason = parse(data, file.source.encoding)
        return _elements(value, file.source.columns) if reason is None and isinstance(value, dict | list) else None
    if file.suffix in (".jsonl", ".ndjson"):
        return None
    raise InputError(
        f"{file.label} looks like one JSON document of more than {limit:,} bytes; write it as JSON Lines (one object a "
        f"line, name ending in .jsonl), or raise `max_document_bytes`"
    )


def _elements(value: dict[str, Any] | list[Any], columns: Columns) -> list[Any]:
    """The records of a document: of an array, or of every list of objects in `{"train": [...], "test": [...]}`."""
    if isinstance(value, list):
        return value
    own = (columns.turns or "turns", "messages", columns.instruction or "instruction")
    lists = [part for part in value.values() if isinstance(part, list) and (not part or isinstance(part[0], dict))]
    is_record = any(lookup(value, path) is not None for path in own)
    return [value] if is_record or not lists else [element for part in lists for element in part]


def _has_rounded_number(value: Any) -> bool:
    """Whether a field, or one of an object in it, may be an integer of over 64 bits: orjson makes floats of those, and
    two ids would become one."""
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


def dump(value: Any) -> bytes:
    """JSON again; empty where it is nested too deeply to be written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, or more than 254 levels
        try:
            return json.dumps(value).encode()
        except RecursionError:
            return b""
