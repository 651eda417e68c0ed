"""CSV and its like: from lines to the rows of a table.

A stray quote must not swallow the rows after it: a row that cannot be read gives up its first line only, and the lines
after it are read afresh.
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

MAX_LINES = 10_000  # of one row: a stray quote must not hold up millions of short ones


class Cells(NamedTuple):
    """A row and the line where it begins; `reason` where it is broken, with as many cells as could be told."""

    number: int
    cells: list[str]
    reason: str | None
    raw: bytes


def csv_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every conversation (or pair, or broken row) of a CSV.

    Raises:
        ConfigError: the header lacks a column that the config names.
    """
    shape, problems = csv_shape(file, config)
    if problems:
        raise ConfigError(problems)
    if shape is not None:
        yield from table_records(lambda: _rows(file, config), shape, file.source, config.max_record_bytes)


def csv_shape(file: File, config: IngestConfig) -> tuple[Shape | None, list[str]]:
    """(shape, problems): no shape for an empty file; a problem names the column and the nearest one of the header."""
    first = next(read_cells(file, config), None)
    if first is None:
        return None, []
    if first.reason:
        return None, [f"{file.label}: line {first.number}, the header, cannot be read: {first.reason}"]
    header = [name.strip() for name in first.cells]
    shape, problems = table_shape(file.label, header, (), file.source)
    return shape, problems


def read_cells(file: File, config: IngestConfig) -> Iterator[Cells]:
    """Every row, the header included; blank lines are none.

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
    """A record that goes on beyond the limit."""


class _Feed:
    """The lines that csv.reader takes for one row, remembered so that they can be given back."""

    def __init__(self, file: File, config: IngestConfig) -> None:
        self.taken: list[Line] = []
        self.source = lines(file, config.max_record_bytes, may_skip=lambda: not self.taken)
        self.encoding, self.limit = file.source.encoding, config.max_record_bytes
        self.pending: deque[Line] = deque()
        self.begin()

    def begin(self) -> None:
        """Forget the row before, and blank lines that it gave back."""
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
    """The one that gives the most columns; a comma where none does."""
    text = header.data.decode("latin-1")
    return max(",;\t|", key=lambda delimiter: text.count(delimiter))
