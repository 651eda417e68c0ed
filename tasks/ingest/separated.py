"""Read the rows of CSV and other delimited files.

A stray quote must not consume the rows after it: an unreadable row loses only its first line, and reading starts again
at the next one.
"""

import csv
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from deskloop.contract.errors import ConfigError, InputError
from tasks.ingest.config import IngestConfig
from tasks.ingest.flat import Row, Shape, table_records, table_shape, too_wide
from tasks.ingest.read import File, Line, lines
from tasks.ingest.record import Record

MAX_LINES = 10_000  # of one row: bounds the lines read again after a stray quote


class Cells(NamedTuple):
    """A row with the line where it begins; a broken one has a `reason` and its readable cells."""

    number: int
    cells: list[str]
    reason: str | None
    raw: bytes


def csv_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Yield every conversation, pair and broken row of a CSV.

    Raises:
        ConfigError: the header lacks a column that the config names.
    """
    shape, problems = csv_shape(file, config)
    if problems:
        raise ConfigError(problems)
    if shape is not None:
        yield from table_records(lambda: _rows(file, config), shape, file.source, config.max_record_bytes)


def csv_shape(file: File, config: IngestConfig) -> tuple[Shape | None, list[str]]:
    """Return (shape, problems): no shape for an empty file; a problem names a column and its nearest match."""
    first = next(read_cells(file, config), None)
    if first is None:
        return None, []
    if first.reason:
        return None, [f"{file.label}: line {first.number}, the header, cannot be read: {first.reason}"]
    header = [name.strip() for name in first.cells]
    shape, problems = table_shape(file.label, header, (), file.source)
    return shape, problems


def read_cells(file: File, config: IngestConfig) -> Iterator[Cells]:
    """Yield every row including the header, without blank lines.

    Raises:
        InputError: the header has more columns than `max_columns`, or as `lines`.
    """
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
        if not width and len(cells) > config.max_columns:
            raise InputError(too_wide(file.label, len(cells), config))
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
        yield Cells(
            head.number, cells, reason or (None if fits else "bad_csv_row"), b"".join(line.data for line in taken)
        )


class _RecordTooLongError(Exception):
    """A record exceeds the limit."""


class _Feed:
    """Feeds lines to csv.reader and remembers those of the current row, so that they can be read again."""

    def __init__(self, file: File, config: IngestConfig) -> None:
        self.taken: list[Line] = []
        self.source = lines(file, config.max_record_bytes, may_skip=lambda: not self.taken)
        self.encoding, self.limit = file.source.encoding, config.max_record_bytes
        self.pending: deque[Line] = deque()
        self.begin()

    def begin(self) -> None:
        """Start a row: forget the previous one and the blank lines that it returned."""
        while self.pending and self.pending[0].data.isspace():
            self.pending.popleft()
        self.taken = []
        self.undecodable: set[int] = set()
        self.size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.pending.popleft() if self.pending else next(self.source)
        self.taken.append(line)
        self.size += len(line.data)
        if line.too_long or self.size > self.limit or len(self.taken) > MAX_LINES:
            raise _RecordTooLongError
        try:
            return line.data.decode(self.encoding)
        except UnicodeDecodeError:
            self.undecodable.add(line.number)
            return line.data.decode(self.encoding, "replace")


def _rows(file: File, config: IngestConfig) -> Iterator[Row]:
    rows = read_cells(file, config)
    header = [name.strip() for name in next(rows).cells]
    for row in islice(rows, file.most_rows):
        value = {name: cell for name, cell in zip(header, row.cells, strict=False) if cell.strip()}
        yield Row(row.number, value, row.reason, row.raw)


def _delimiter(header: Line) -> str:
    """Return the delimiter that splits the header into the most columns; a comma by default."""
    text = header.data.decode("latin-1")
    return max(",;\t|", key=lambda delimiter: text.count(delimiter))
