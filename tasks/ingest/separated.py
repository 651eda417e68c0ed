"""CSV: a row for each turn, or a row for each pair.

A stray quote must not swallow the rows after it: a row that cannot be read gives up its first line only, and the lines
after it are read afresh.
"""

import csv
import difflib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deskloop.errors import ConfigError
from tasks.ingest.config import IngestConfig, SourceConfig, declared_paths
from tasks.ingest.formats import Record, is_true, pair
from tasks.ingest.read import KEPT_OF_TOO_LONG, File, Line, lines


class Row(NamedTuple):
    """A row and the line where it begins; `reason` where it is broken, with as many cells as could be told."""

    number: int
    cells: list[str]
    reason: str | None
    raw: bytes


@dataclass
class Group:
    """The rows of one conversation read so far: the first cell of every column, but all the different ones where they
    identify a person, and of `opt_out` the one that says so."""

    number: int
    first: dict[str, str] = field(default_factory=dict)
    people: dict[str, dict[str, None]] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    raw: bytearray = field(default_factory=bytearray)

    def add(self, row: Row, value: dict[str, str], source: SourceConfig, personal: set[str], limit: int) -> None:
        """Join a row; `personal` are the columns of which every different cell is kept."""
        self.reason = self.reason or row.reason
        self.turns.append(value)
        self.raw += row.raw
        for name, cell in value.items():
            if name in personal:
                self.people.setdefault(name, {})[cell] = None
            elif name not in self.first or (name == source.opt_out and is_true(cell)):
                self.first[name] = cell
        if len(self.raw) > limit or self.reason == "record_too_long":
            self.reason, self.turns, self.people = "record_too_long", [], {}
            del self.raw[KEPT_OF_TOO_LONG:]

    def record(self) -> Record:
        """The conversation as one record."""
        value: dict[str, Any] = {**self.first, **{name: list(cells) for name, cells in self.people.items()}}
        return Record(self.number, value, self.reason, bytes(self.raw), self.turns)


class Shape(NamedTuple):
    """The header, and which of its columns carry the text. `id` is None for a row for each pair."""

    header: list[str]
    id: str | None
    texts: tuple[str, str]


def csv_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every conversation (or pair, or broken row) of a CSV.

    Raises:
        ConfigError: the header lacks a column that the config names.
    """
    shape, problems = read_shape(file, config)
    if problems:
        raise ConfigError(problems)
    if shape is not None:
        yield from _pairs(file, config, shape) if shape.id is None else _conversations(file, config, shape)


def read_shape(file: File, config: IngestConfig) -> tuple[Shape | None, list[str]]:
    """(shape, problems): no shape for an empty file; a problem names the column and the nearest one of the header."""
    first = next(read_rows(file, config), None)
    if first is None:
        return None, []
    if first.reason:
        return None, [f"{file.label}: line {first.number}, the header, cannot be read: {first.reason}"]
    header = [name.strip() for name in first.cells]
    problems = [
        f"{file.label} has no column {path!r} ({key}){_nearest(path, header)}"
        for key, path in declared_paths(file.source).items()
        if path not in header
    ]
    problems += [
        f"{file.label} has two columns of one name"
        for _ in range(any(header.count(name) > 1 for name in header if name))
    ]
    columns = file.source.columns
    name = {ours: getattr(columns, ours) or ours for ours in ("role", "text", "customer", "agent")}
    pairs = (name["customer"], name["agent"]), (columns.instruction or "instruction", columns.response or "response")
    for texts in pairs:
        if set(texts) <= set(header) and not columns.text:
            return Shape(header, None, texts), problems
    id_column = columns.conversation_id or ("conversation_id" if "conversation_id" in header else "id")
    needed = {"conversation_id": id_column, "role": name["role"], "text": name["text"]}
    lacking = [ours for ours, theirs in needed.items() if theirs not in header]
    if lacking and not problems:
        problems.append(
            f"{file.label} needs columns for conversation_id, role and text, or for customer and agent; "
            f"set columns.{', columns.'.join(lacking)}{_nearest(lacking[0], header)}"
        )
    return Shape(header, id_column, (name["role"], name["text"])), problems


def read_rows(file: File, config: IngestConfig) -> Iterator[Row]:
    """Every row, the header included; blank lines are none."""
    feed = _Feed(file, config)
    first = next((line for line in feed.source if not line.data.isspace()), None)
    if first is None:
        return
    feed.pending.append(first)
    reader = csv.reader(feed, delimiter=_delimiter(first), strict=True)
    width = 0
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _RecordTooLongError):
            cells = []
        head, *rest = feed.taken
        if not rest and (head.data.isspace() or (cells and not any(map(str.strip, cells)))):
            continue
        width = width or len(cells)
        fits = bool(cells) and len(cells) == width
        if not fits and rest:
            feed.pending.extendleft(reversed(rest))
            rest, cells = [], []
        taken = (head, *rest)
        undecodable = any(line.number in feed.undecodable for line in taken)
        reason = "record_too_long" if head.too_long else "invalid_encoding" if undecodable else None
        yield Row(
            head.number, cells, reason or (None if fits else "bad_csv_row"), b"".join(line.data for line in taken)
        )


class _RecordTooLongError(Exception):
    """A record that goes on beyond the limit."""


class _Feed:
    """The lines that csv.reader takes for one row, remembered so that they can be given back."""

    def __init__(self, file: File, config: IngestConfig) -> None:
        self.source = lines(file, config.max_record_bytes)
        self.encoding, self.limit = file.source.encoding, config.max_record_bytes
        self.pending: deque[Line] = deque()
        self.begin()

    def begin(self) -> None:
        """Forget the row before."""
        self.taken: list[Line] = []
        self.undecodable: set[int] = set()
        self.size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.pending.popleft() if self.pending else next(self.source)
        self.taken.append(line)
        self.size += len(line.data)
        if line.too_long or self.size > self.limit:
            raise _RecordTooLongError
        try:
            return line.data.decode(self.encoding)
        except UnicodeDecodeError:
            self.undecodable.add(line.number)
            return line.data.decode(self.encoding, "replace")


def _pairs(file: File, config: IngestConfig, shape: Shape) -> Iterator[Record]:
    rows = read_rows(file, config)
    next(rows)
    for row in rows:
        value = _fields(row, shape)
        turns = pair(value.get(shape.texts[0], ""), value.get(shape.texts[1], ""), file.source.columns)
        yield Record(row.number, value, row.reason, row.raw, turns if isinstance(turns, list) else None)


def _conversations(file: File, config: IngestConfig, shape: Shape) -> Iterator[Record]:
    """Rows joined by their id wherever they stand: read twice, so that only unfinished conversations are in memory."""
    id_column = shape.id or ""
    last = {_fields(row, shape).get(id_column, ""): row.number for row in read_rows(file, config)}
    declared = declared_paths(file.source).items()
    personal = {path for key, path in declared if key.startswith(("customer.", "known."))}
    groups: dict[str, Group] = {}
    rows = read_rows(file, config)
    next(rows)
    for row in rows:
        value = _fields(row, shape)
        name = value.get(id_column, "")
        if not name:
            yield Record(row.number, value, row.reason or "bad_csv_row", row.raw)
            continue
        group = groups.setdefault(name, Group(row.number))
        group.add(row, value, file.source, personal, config.max_record_bytes)
        if row.number == last[name]:
            del groups[name]
            yield group.record()


def _fields(row: Row, shape: Shape) -> dict[str, str]:
    """The cells that are not empty, by column."""
    return {name: cell for name, cell in zip(shape.header, row.cells, strict=False) if cell.strip()}


def _delimiter(header: Line) -> str:
    """The one that gives the most columns; a comma where none does."""
    text = header.data.decode("latin-1")
    return max(",;\t|", key=lambda delimiter: text.count(delimiter))


def _nearest(name: str, header: list[str]) -> str:
    near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
    return f"; the nearest is {near[0]!r}" if near else ""
