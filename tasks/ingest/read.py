"""Read a file as a stream of bytes or lines: local or any fsspec URL, compressed or not.

The rest of a line longer than the limit is skipped in blocks, so memory stays bounded.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from deskloop.contract.errors import InputError
from deskloop.contract.files import open_regular
from tasks.ingest.config import SourceConfig
from tasks.ingest.unpack import NO_LIMITS, Limits, Unpacked

BLOCK = 1 << 20
KEPT_OF_TOO_LONG = 1 << 16  # bytes of an overlong record that go to quarantine
KNOWN_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
FORMAT_SUFFIXES = (*KNOWN_SUFFIXES, ".txt")
BLANK_LINES = 64  # consecutive; further ones are skipped in blocks
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError)


@dataclass(frozen=True)
class File:
    """One file of a source, or one data set.

    Attributes:
        path, filesystem: its location; a data set has no filesystem, and its id or local folder as path.
        source: the options of its source.
        label: its name in row ids and lineage, without the folder, unique within a run.
        index: number of the source, from 0.
        skipped: it is in a folder and its extension is unknown.
        limits: limits on its unpacked size.
        most_rows: how many rows of a table to read; None for all.
    """

    path: str
    filesystem: Any
    source: SourceConfig
    label: str
    index: int
    skipped: bool = False
    limits: Limits = NO_LIMITS
    most_rows: int | None = None

    @property
    def suffix(self) -> str:
        """The lower-case extension, `.jsonl` for `log.jsonl.gz`; empty if it is unknown."""
        end = os.path.splitext(self._bare)[1].lower()
        return end if end in FORMAT_SUFFIXES else ""

    @property
    def stem(self) -> str:
        """The name without extensions, `log` for `log.jsonl.gz`."""
        return os.path.splitext(self._bare)[0] if self.suffix else self._bare

    @property
    def _bare(self) -> str:
        name = posixpath.basename(shown(self.path))
        bare, end = os.path.splitext(name)
        return (bare if end.lower() in (".gz", ".bz2", ".xz") else name).encode("utf-8", "replace").decode()


class Line(NamedTuple):
    """One physical line with its newline. If it is `too_long`, `data` holds only its beginning."""

    number: int
    data: bytes
    too_long: bool


def digest(file: File) -> str:
    """Return the BLAKE2b digest of a local file's bytes; for a remote file, of its ETag and size.

    Raises:
        InputError: the file cannot be read.
    """
    if file.skipped:  # its content is never read
        return hashlib.blake2b(b"unknown_file", digest_size=32).hexdigest()
    try:
        if is_local(file.filesystem):
            with open_regular(file.path, file.label) as stream:
                return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
        info = file.filesystem.info(file.path)
        etag = info.get("ETag") or info.get("etag")
        state = f"{etag}\x1f{info.get('size')}" if etag else file.filesystem.ukey(file.path)
    except OSError as error:
        raise InputError(f"{file.label} cannot be read: {cause(error)}") from None
    return hashlib.blake2b(state.encode(), digest_size=32).hexdigest()


@contextmanager
def open_file(file: File) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading its decompressed bytes.

    Compression is detected from the first bytes, because the extension of a downloaded file may be wrong.

    Raises:
        InputError: the file cannot be opened, is not a regular file, is truncated or damaged, or exceeds its limits
            once unpacked.
    """
    try:
        with ExitStack() as stack:
            local = is_local(file.filesystem)
            raw = open_regular(file.path, file.label) if local else file.filesystem.open(file.path, "rb")
            stream = stack.enter_context(io.BufferedReader(raw, BLOCK))
            magic = stream.read(10)
            stream.seek(0)
            unpacked = _decompressed(stream, magic)
            if unpacked is stream:
                yield stream
            else:
                bounded = Unpacked(stack.enter_context(unpacked), stream, file.label, file.limits)
                yield stack.enter_context(io.BufferedReader(bounded, BLOCK))
    except DAMAGED as error:
        raise InputError(
            f"{file.label} cannot be read to its end ({cause(error)}). Replace it with a complete copy"
        ) from None


def lines(file: File, limit: int, may_skip: Callable[[], bool] = lambda: True) -> Iterator[Line]:
    """Yield the lines of a file, numbered from 1, with at most `limit` bytes of a line in memory.

    Args:
        may_skip: whether blank lines can be skipped at this point; long runs of them then are.
    Raises:
        InputError: as `open_file`.
    """
    number = blank = 0
    with open_file(file) as stream:
        while data := stream.readline(limit + 1):
            number += 1
            blank = blank + 1 if data.isspace() else 0
            if blank > BLANK_LINES and may_skip():
                number += _skip_blank(stream)
                continue
            if number == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            too_long = len(data) > limit and not data.endswith(b"\n")
            if too_long:
                data = data[:KEPT_OF_TOO_LONG]
                while (rest := stream.readline(BLOCK)) and not rest.endswith(b"\n"):
                    pass
            if data:
                yield Line(number, data, too_long)


def size(file: File) -> int:
    """Return the size of a file as stored, in bytes.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return os.stat(file.path).st_size if is_local(file.filesystem) else int(file.filesystem.size(file.path) or 0)
    except OSError as error:
        raise InputError(f"{file.label} cannot be read: {cause(error)}") from None


def is_local(filesystem: Any) -> bool:
    """Check that an fsspec filesystem is the local one."""
    return "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))


def cause(error: Exception) -> str:
    """Return the operating system's reason, or the exception's type: other messages may quote data."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def shown(path: str) -> str:
    """Strip credentials and signatures from a URL, because names appear in logs and lineage."""
    path = re.sub(r"://[^/@]*@", "://", path)
    return path.partition("?")[0] if path.startswith(("http://", "https://")) else path


def _decompressed(stream: io.BufferedReader, magic: bytes) -> io.BufferedIOBase:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if magic.startswith(b"BZh") and magic.endswith(b"1AY&SY"):  # "BZh" alone may be text
        return bz2.BZ2File(stream)
    return lzma.LZMAFile(stream) if magic.startswith(b"\xfd7zXZ\x00") else stream


def _skip_blank(stream: io.BufferedIOBase) -> int:
    """Skip the following blank lines and return their number."""
    skipped = 0
    while ahead := stream.peek():  # type: ignore[attr-defined]
        end = len(ahead) if ahead.isspace() else len(ahead) - len(ahead.lstrip())
        end = ahead.rfind(b"\n", 0, end) + 1
        skipped += ahead.count(b"\n", 0, end)
        stream.read(end)
        if not end or end < len(ahead):
            break
    return skipped
