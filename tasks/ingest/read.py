"""Find the files of a source and read them as a stream of lines: local or any fsspec URL, compressed or not.

A line longer than the limit is skipped over without being held in memory.
"""

import bz2
import difflib
import gzip
import hashlib
import io
import lzma
import os
import posixpath
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import fsspec

from deskloop.errors import ConfigError, InputError
from deskloop.stage import Context
from tasks.ingest.config import IngestConfig, SourceConfig

BLOCK = 1 << 20
KEPT_OF_TOO_LONG = 1 << 16  # bytes of an overlong record that go to the quarantine
FORMAT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
LOG_NAME = re.compile(r"\.(jsonl|ndjson|json|csv|tsv|txt)(\.(gz|bz2|xz))?$")
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError)


@dataclass(frozen=True)
class File:
    """One file of a source. `label` names it in row ids and lineage, without the folder, unique within a run."""

    path: str
    filesystem: Any
    source: SourceConfig
    label: str
    index: int

    @property
    def suffix(self) -> str:
        """`.jsonl` of `log.jsonl.gz`, lower-case; empty where there is no known one."""
        end = os.path.splitext(self._bare)[1].lower()
        return end if end in FORMAT_SUFFIXES else ""

    @property
    def stem(self) -> str:
        """`log` of `log.jsonl.gz`."""
        return os.path.splitext(self._bare)[0] if self.suffix else self._bare

    @property
    def _bare(self) -> str:
        name = posixpath.basename(_shown(self.path))
        bare, end = os.path.splitext(name)
        return (bare if end.lower() in (".gz", ".bz2", ".xz") else name).encode("utf-8", "replace").decode()


class Line(NamedTuple):
    """One physical line with its newline. `data` is only the beginning where `too_long`."""

    number: int
    data: bytes
    too_long: bool


def find_files(config: IngestConfig, context: Context) -> list[File]:
    """Every file of every source: sources in the order of the config, the files of a glob in the order of their paths.

    Raises:
        ConfigError: missing files, folders, globs without a match, files matched twice; all at once.
    """
    files: list[File] = []
    problems: list[str] = []
    owners: dict[tuple[str, str], int] = {}
    for index, source in enumerate(config.sources):
        try:
            filesystem, path = fsspec.core.url_to_fs(_absolute(source.path, context.folder))
            found = _matches(filesystem, path, source.path)
        except (InputError, ValueError, ImportError, OSError) as error:
            reason = str(error) if isinstance(error, InputError) else f"cannot be opened: {_cause(error)}"
            problems.append(f"sources[{index}]: {_shown(source.path)!r} {reason}")
            continue
        except Exception as error:  # each remote filesystem has exceptions of its own
            problems.append(f"sources[{index}]: {_shown(source.path)!r} cannot be reached: {type(error).__name__}")
            continue
        for name in found:
            first = owners.setdefault((str(filesystem.protocol), name), index)
            if first != index:
                problems.append(f"sources[{index}]: {posixpath.basename(name)!r} is read by sources[{first}] already")
            files.append(File(name, filesystem, source, "", index))
    if problems:
        raise ConfigError(problems, where=f"step {context.step!r}")
    return [replace(file, label=label) for file, label in zip(files, _labels(files), strict=True)]


def digest(file: File) -> str:
    """BLAKE2b of a local file's bytes; of what the store says about its content (ETag and size) for a remote one.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if _is_local(file.filesystem):
            with open(file.path, "rb") as stream:
                return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
        info = file.filesystem.info(file.path)
        etag = info.get("ETag") or info.get("etag")
        known = f"{etag}\x1f{info.get('size')}" if etag else file.filesystem.ukey(file.path)
    except OSError as error:
        raise InputError(f"{file.label} cannot be read: {_cause(error)}") from None
    return hashlib.blake2b(known.encode(), digest_size=32).hexdigest()


@contextmanager
def open_file(file: File) -> Iterator[io.BufferedIOBase]:
    """The decompressed bytes. Compression is told by the first bytes, because suffixes lie after a download.

    Raises:
        InputError: the file cannot be opened, or is cut off or damaged.
    """
    try:
        with ExitStack() as stack:
            local = _is_local(file.filesystem)
            raw = open(file.path, "rb") if local else file.filesystem.open(file.path, "rb")  # noqa: SIM115
            stream = stack.enter_context(io.BufferedReader(raw, BLOCK))
            magic = stream.read(10)
            stream.seek(0)
            yield stack.enter_context(_decompressed(stream, magic))
    except DAMAGED as error:
        raise InputError(
            f"{file.label} cannot be read to its end ({_cause(error)}): what is missing is unknown. Deliver it again"
        ) from None


def _decompressed(stream: io.BufferedReader, magic: bytes) -> io.BufferedIOBase:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if magic.startswith(b"BZh") and magic.endswith(b"1AY&SY"):  # "BZh" alone may be text
        return bz2.BZ2File(stream)
    return lzma.LZMAFile(stream) if magic.startswith(b"\xfd7zXZ\x00") else stream


def lines(file: File, limit: int) -> Iterator[Line]:
    """The lines of a file, numbered from 1, at most `limit` bytes of one in memory.

    Raises:
        InputError: the file cannot be opened, or is cut off or damaged.
    """
    number = 0
    with open_file(file) as stream:
        while data := stream.readline(limit + 1):
            number += 1
            if number == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            too_long = len(data) > limit and not data.endswith(b"\n")
            if too_long:
                data = data[:KEPT_OF_TOO_LONG]
                while (rest := stream.readline(BLOCK)) and not rest.endswith(b"\n"):
                    pass
            if data:
                yield Line(number, data, too_long)


def _is_local(filesystem: Any) -> bool:
    return "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,))


def _cause(error: Exception) -> str:
    """An operating system's reason, or the type: messages of others may hold more than we know."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _absolute(path: str, folder: str) -> str:
    return path if "://" in path else os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _shown(path: str) -> str:
    """A URL without the credentials and signatures that some carry: names end up in logs and in the lineage."""
    path = re.sub(r"://[^/@]*@", "://", path)
    return path.partition("?")[0] if path.startswith(("http://", "https://")) else path


def _matches(filesystem: Any, path: str, written: str) -> list[str]:
    """The files that `path` means, sorted; a name that exists as it is written is no pattern."""
    if filesystem.isfile(path):
        return [path]
    if filesystem.isdir(path):
        endings = filter(None, map(LOG_NAME.search, sorted(filesystem.ls(path, detail=False))))
        raise InputError(f"is a folder; use {written.rstrip('/')}/*{''.join(end[0] for end in islice(endings, 1))}")
    found = sorted(name for name in filesystem.glob(path) if filesystem.isfile(name)) if _has_magic(path) else []
    if not found:
        wanted = "matches no file" if _has_magic(path) else "does not exist"
        raise InputError(f"{wanted}{_nearest(filesystem, path)}")
    return found


def _has_magic(path: str) -> bool:
    return any(character in path for character in "*?[")


def _nearest(filesystem: Any, path: str) -> str:
    """`; the nearest is 'x'`, at the deepest level that exists."""
    parent, name = posixpath.split(path.rstrip("/"))
    while parent and parent != posixpath.dirname(parent) and (_has_magic(parent) or not filesystem.isdir(parent)):
        parent, name = posixpath.split(parent)
    try:
        names = [posixpath.basename(entry.rstrip("/")) for entry in filesystem.ls(parent, detail=False)]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"; the nearest name there is {near[0]!r}" if near else "; a path starts at the pipeline file's folder"


def _labels(files: Sequence[File]) -> list[str]:
    """Base names, with as many parent folders as it takes to tell them apart."""
    parts = [_shown(file.path).encode("utf-8", "replace").decode().strip("/").split("/") for file in files]
    depth = 1
    labels = [names[-1] for names in parts]
    while len(set(labels)) < len(labels) and depth < max(map(len, parts)):
        depth += 1
        twice = {label for label in labels if labels.count(label) > 1}
        labels = [
            "_".join(names[-depth:]) if label in twice else label for names, label in zip(parts, labels, strict=True)
        ]
    return labels if len(set(labels)) == len(labels) else [f"{number}_{name}" for number, name in enumerate(labels, 1)]
