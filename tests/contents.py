"""Read the contents of a file in any container: its bytes, and everything that they unpack to."""

import contextlib
import io
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

SEPARATOR = b"\x1f"  # between cells, so that two cells never form a word
DEPTH = 4  # maximum nesting of archives
FRAMES = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
COMPRESSED = {**FRAMES, b"BZh": "bz2", b"\x04\x22\x4d\x18": "lz4"}
SQLITE = b"SQLite format 3\x00"
LARGE = 1_000_000  # columns of smaller integers contain token ids or counts, and no personal numbers


def contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, then of everything in it, with archives, Parquet, Arrow and SQLite (and WAL) decoded.

    Content that cannot be decoded, such as a truncated file, is yielded as it is, followed by the readable part of each
    compressed frame in it.
    """
    raw = path.read_bytes()
    yield from unpacked(raw)
    if raw.startswith(SQLITE):
        yield from _database(path)


def unpacked(raw: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield `raw` and everything that it unpacks to."""
    yield raw
    if depth == DEPTH:
        return
    try:
        table = _table(raw)
        inner = list(_opened(raw, depth)) if table is None else []
    except (pa.ArrowException, OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError):
        table, inner = None, list(_frames(raw))
    for content in chain(inner, () if table is None else _columns(table)):
        yield from unpacked(content, depth + 1)


def _table(raw: bytes) -> pa.Table | None:
    """Read a table in Parquet or Arrow; return None for other formats."""
    if raw.startswith(b"PAR1"):
        return pq.read_table(io.BytesIO(raw))
    if raw.startswith(b"ARROW1"):
        return ipc.open_file(pa.BufferReader(raw)).read_all()
    if raw.startswith(b"\xff\xff\xff\xff"):
        return ipc.open_stream(pa.BufferReader(raw)).read_all()
    return None


def _opened(raw: bytes, depth: int) -> Iterator[bytes]:
    for magic, codec in COMPRESSED.items():
        if raw.startswith(magic):
            with pa.input_stream(pa.BufferReader(raw), compression=codec) as stream:
                yield stream.read()
    if raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from map(archive.read, archive.namelist())
    elif raw[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            yield from (file.read() for member in archive if (file := archive.extractfile(member)))
    elif raw.startswith(SQLITE) and depth:
        yield from _embedded(raw)


def _frames(raw: bytes) -> Iterator[bytes]:
    """Yield the readable beginnings of the compressed frames inside unreadable bytes."""
    for magic, codec in FRAMES.items():
        at = raw.find(magic)
        while at >= 0:
            pieces = []
            with contextlib.suppress(pa.ArrowException, OSError):
                stream = pa.input_stream(pa.BufferReader(raw[at:]), compression=codec)
                while piece := stream.read(256):
                    pieces.append(piece)
            yield b"".join(pieces)
            at = raw.find(magic, at + 1)


def _columns(table: pa.Table) -> Iterator[bytes]:
    for column in table.columns:
        for chunk in column.chunks:
            for leaf in _leaves(chunk):
                yield from _cells(leaf.to_pylist())


def _leaves(array: Any) -> Iterator[Any]:
    """Yield the arrays of text, bytes and large numbers in a nested array."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _leaves(array.storage)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(array.dictionary)
    elif pa.types.is_struct(kind):
        for part in array.flatten():
            yield from _leaves(part)
    elif pa.types.is_map(kind):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_nested(kind):
        yield from _leaves(array.flatten())
    elif pa.types.is_integer(kind):
        if (pc.max(array).as_py() or 0) >= LARGE:
            yield array.cast(pa.string())
    elif pa.types.is_floating(kind):
        array = array.cast(pa.float64())
        whole = pc.equal(pc.floor(array), array)
        yield from _leaves(array.filter(pc.and_(whole, pc.less(array, 2**53))).cast(pa.int64()))
    elif not pa.types.is_null(kind) and not pa.types.is_boolean(kind) and not pa.types.is_temporal(kind):
        yield array


def _cells(values: Iterable[Any]) -> Iterator[bytes]:
    """Yield the text of all cells joined, and each cell of bytes on its own, since it may be packed."""
    plain = []
    for value in values:
        if isinstance(value, bytes):
            yield value
        elif value is not None:
            plain.append(str(value).encode(errors="surrogatepass"))
    yield SEPARATOR.join(plain)


def _database(path: Path) -> Iterator[bytes]:
    """Yield every cell of every table in a copy, so that the original is not locked, changed or checkpointed."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", f"{folder}/copy{suffix}")
        with contextlib.closing(sqlite3.connect(f"{folder}/copy")) as database:
            yield from _tables(database)


def _embedded(raw: bytes) -> Iterator[bytes]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(raw[:18] + b"\x01\x01" + raw[20:])  # clears the WAL mode, since there is no WAL here
        yield from _tables(database)


def _tables(database: sqlite3.Connection) -> Iterator[bytes]:
    database.text_factory = bytes
    try:
        names = [row[0].decode() for row in database.execute("select name from sqlite_master where type = 'table'")]
        for name in names:
            quoted = name.replace('"', '""')
            for row in database.execute(f'select * from "{quoted}"'):
                for cell in _cells(row):
                    yield from unpacked(cell, 1)
    except sqlite3.DatabaseError:
        return  # a virtual table of a missing module, or a truncated file, whose bytes are searched in any case
