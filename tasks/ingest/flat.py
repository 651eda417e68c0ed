"""Tables with one row per turn (joined by conversation), per pair, or per record."""

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tasks.ingest.config import IN_TURNS, IngestConfig, SourceConfig, declared_paths
from tasks.ingest.formats import pair
from tasks.ingest.identity import scalar
from tasks.ingest.read import KEPT_OF_TOO_LONG
from tasks.ingest.record import Record, is_true

WHOLE = ("conversations", "openai", "sharegpt", "zendesk", "context_response")  # formats with one row per record


class Row(NamedTuple):
    """A row with the line or position where it begins, and a `reason` if it is broken.

    `value` holds the readable cells that are not empty, by column.
    """

    number: int
    value: dict[str, Any]
    reason: str | None
    raw: bytes


class Shape(NamedTuple):
    """The unit that a row represents, and the columns that hold the text."""

    kind: Literal["record", "pair", "turn"]
    id: str = ""
    texts: tuple[str, str] = ("", "")


@dataclass
class Group:
    """The rows of one conversation read so far.

    Of each column, only the first cell counts; of a personal one every distinct cell, and of `opt_out` any true cell.
    """

    number: int
    first: dict[str, Any] = field(default_factory=dict)
    people: dict[str, dict[Any, None]] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    raw: bytearray = field(default_factory=bytearray)

    def add(self, row: Row, source: SourceConfig, personal: set[str], limit: int) -> None:
        """Add a row; `personal` are the columns of which every distinct cell counts."""
        self.reason = self.reason or row.reason
        self.turns.append(row.value)
        self.raw += row.raw
        for name, cell in row.value.items():
            if name in personal and not isinstance(cell, dict | list):
                self.people.setdefault(name, {})[cell] = None
            elif name not in self.first or (name == source.opt_out and is_true(cell)):
                self.first[name] = cell
        if len(self.raw) > limit or self.reason == "record_too_long":
            self.reason, self.turns, self.people = "record_too_long", [], {}
            del self.raw[KEPT_OF_TOO_LONG:]

    def record(self) -> Record:
        """Return the conversation as one record."""
        value: dict[str, Any] = {**self.first, **{name: list(cells) for name, cells in self.people.items()}}
        return Record(self.number, value, self.reason, bytes(self.raw), self.turns)


def too_wide(label: str, count: int, config: IngestConfig) -> str:
    """Return the message for a table with more columns than `max_columns`."""
    return f"{label} has {count:,} columns; at most {config.max_columns:,} are allowed (`max_columns`)"


def table_shape(
    label: str, header: Sequence[str], nested: Collection[str], source: SourceConfig
) -> tuple[Shape, list[str]]:
    """Determine the shape of a table from its header.

    Args:
        nested: the columns that hold lists or objects.
    Returns:
        (shape, problems): a problem names a missing column and the nearest one of the header.
    """
    columns = source.columns
    lists = [columns.turns] if columns.turns else ["turns", "messages", "conversations", "comments"]
    is_whole = source.format in WHOLE or any(name in nested for name in lists)
    shape, lacking = (Shape("record"), list[str]()) if is_whole else _flat_shape(header, source)
    inside = IN_TURNS if shape.kind == "record" else ()
    problems = [
        f"{label} has no column {path!r} ({key}){_nearest(path, header)}"
        for key, path in declared_paths(source).items()
        if path not in header and not (path.partition(".")[0] in nested or key in inside)
    ]
    if len(set(filter(None, header))) < sum(map(bool, header)):
        problems.append(f"{label} has two columns with the same name")
    if lacking and not problems:
        problems = [
            f"{label} needs columns for conversation_id, role and text, for customer and agent, or for context and "
            f"response; set columns.{', columns.'.join(lacking)}{_nearest(lacking[0], header)}"
        ]
    return shape, problems


def table_records(
    rows: Callable[[], Iterator[Row]], shape: Shape, source: SourceConfig, limit: int
) -> Iterator[Record]:
    """Yield every conversation, pair, record and broken row of a table.

    Args:
        rows: starts reading from the first row; called twice if there is one row per turn.
        limit: bytes of one conversation.
    """
    if shape.kind == "turn":
        yield from _conversations(rows, shape, source, limit)
        return
    for row in rows():
        record = Record(row.number, row.value, row.reason, row.raw)
        if shape.kind == "pair" and row.reason is None:
            turns = pair(row.value.get(shape.texts[0], ""), row.value.get(shape.texts[1], ""), source.columns)
            record = record._replace(turns=turns) if isinstance(turns, list) else record._replace(reason=turns)
        yield record


def _flat_shape(header: Sequence[str], source: SourceConfig) -> tuple[Shape, list[str]]:
    """Return (shape, our names of the columns that it needs and that are missing)."""
    columns = source.columns
    name = {ours: getattr(columns, ours) or ours for ours in ("role", "text", "customer", "agent", "context")}
    pairs = (name["customer"], name["agent"]), (columns.instruction or "instruction", columns.response or "response")
    for texts in pairs:
        if set(texts) <= set(header) and not columns.text:
            return Shape("pair", texts=texts), []
    contexts = {name["context"], f"{name['context']}/0"}
    if not contexts.isdisjoint(header) and (columns.response or "response") in header and not columns.text:
        return Shape("record"), []
    id_column = columns.conversation_id or ("conversation_id" if "conversation_id" in header else "id")
    needed = {"conversation_id": id_column, "role": name["role"], "text": name["text"]}
    lacking = [ours for ours, theirs in needed.items() if theirs not in header]
    return Shape("turn", id_column, (name["role"], name["text"])), lacking


def _conversations(
    rows: Callable[[], Iterator[Row]], shape: Shape, source: SourceConfig, limit: int
) -> Iterator[Record]:
    """Join rows by their id, in any order. Reads them twice, so that only incomplete conversations are in memory."""
    last = {scalar(row.value.get(shape.id)): row.number for row in rows()}
    personal = {path for key, path in declared_paths(source).items() if key.startswith(("customer.", "known."))}
    groups: dict[str, Group] = {}
    for row in rows():
        name = scalar(row.value.get(shape.id))
        if not name:
            yield Record(row.number, row.value, row.reason or "no_conversation_id", row.raw)
            continue
        group = groups.setdefault(name, Group(row.number))
        group.add(row, source, personal, limit)
        if row.number == last[name]:
            del groups[name]
            yield group.record()


def _nearest(name: str, header: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
    return f"; the nearest is {near[0]!r}" if near else ""
