"""Creation of a backup: a store is streamed into one encrypted file, which appears only when it is complete."""

import fcntl
import hashlib
import os
import sqlite3
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import orjson

from deskloop import __version__
from deskloop.backup.contents import Entry, entries
from deskloop.backup.sealed import Lock, sealing
from deskloop.contract.errors import ConfigError, DataError
from deskloop.store import zones
from deskloop.store.durable import sync_folder
from deskloop.store.store import Store

HEAD, MANIFEST, INSIDE = "deskloop.json", "manifest.json", "store/"
FORMAT = 1
SNAPSHOT = ".backup.db"  # copy of the registry, which other processes may write to during the backup
Tell = Callable[[int, int], None]  # bytes written, bytes in total


def survey(store: Store, parts: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return part -> number of files and bytes of a backup."""
    files, sizes = Counter[str](), Counter[str]()
    with zones.allow_raw("backup"):
        for entry in entries(store.root, parts):
            files[entry.part] += 1
            sizes[entry.part] += entry.size
    return {part: {"files": files[part], "bytes": sizes[part]} for part in parts}


def backup(
    store: Store, target: Path, lock: Lock, parts: Sequence[str], overwrite: bool = False, tell: Tell | None = None
) -> dict[str, Any]:
    """Write a backup; the caller holds the store's lock.

    Args:
        parts: from `parts_of`.
        overwrite: replace an existing file, as soon as the new one is complete.
        tell: called with the number of bytes written so far and in total.
    Returns:
        Counts by part, and the size of the file in bytes.
    Raises:
        ConfigError: the file already exists, is inside the store, or cannot be created.
        DataError: writing failed, or a file of the store changed during the backup.
    """
    if target.resolve().is_relative_to(store.root.resolve()):
        raise ConfigError(f"{target} is inside the store; write the backup somewhere else", "the command")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} already exists; choose another name, or add --overwrite", "the command")
    counts = survey(store, parts)
    total = sum(count["bytes"] for count in counts.values())
    with zones.allow_raw("backup"), _replacing(target) as file:
        with sealing(file, lock) as stream, tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            _write(store, tar, parts, lambda done: tell(done, total) if tell else None)
        size = file.tell()
    return {"parts": counts, "bytes": size}


def _write(store: Store, tar: tarfile.TarFile, parts: Sequence[str], tell: Callable[[int], None]) -> None:
    head = {
        "format": FORMAT,
        "store": store.root.name,
        "made_at": datetime.now(UTC).isoformat(),
        "deskloop": __version__,
        "key_id": store.key()[0],
        "parts": list(parts),
    }
    _add(tar, HEAD, orjson.dumps(head))
    manifest: dict[str, tuple[int, str]] = {}
    done = 0
    with _registry_snapshot(store.root, parts) as snapshot:
        for entry in entries(store.root, parts):
            if entry.part == "registry" and snapshot is not None:
                entry = replace(entry, path=snapshot, size=snapshot.stat().st_size)
            manifest[entry.name] = (entry.size, _copy(tar, entry))
            done += entry.size
            tell(done)
    _add(tar, MANIFEST, orjson.dumps({"files": manifest}))


def _copy(tar: tarfile.TarFile, entry: Entry) -> str:
    """Add a file and return the SHA-256 hash of its contents."""
    member = tarfile.TarInfo(INSIDE + entry.name)
    status = entry.path.stat()
    member.size, member.mtime, member.mode = entry.size, int(status.st_mtime), status.st_mode & 0o777
    with entry.path.open("rb") as file:
        hashed = _Hashed(file)
        try:
            tar.addfile(member, hashed)
        except OSError as error:
            if error.errno is None:  # raised by tarfile itself: the file has become shorter
                raise DataError(f"{entry.name} changed while it was read; try again") from None
            raise
        if file.read(1):
            raise DataError(f"{entry.name} changed while it was read; try again")
    return hashed.digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, BytesIO(content))


class _Hashed:
    """A file whose contents are hashed while they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase`."""
        content = self.file.read(size)
        self.digest.update(content)
        return content


@contextmanager
def _registry_snapshot(root: Path, parts: Sequence[str]) -> Iterator[Path | None]:
    """Copy MLflow's database consistently, since a promotion does not take the store's lock."""
    database, copy = root / "mlflow.db", root / SNAPSHOT
    if "registry" not in parts or not database.exists():
        yield None
        return
    copy.unlink(missing_ok=True)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as sink:
            source.backup(sink)
        yield copy
    except sqlite3.DatabaseError:
        raise DataError(f"{database} is damaged, so that the registry cannot be copied") from None
    finally:
        copy.unlink(missing_ok=True)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """Open a file with mode 0600 that gets its name when its contents are complete and on disk."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}", "the command") from None
    with os.fdopen(handle, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another backup is being written to {target}", "the command") from None
        try:
            os.fchmod(handle, 0o600)
            file.truncate()
            yield file
            file.flush()
            os.fsync(handle)
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    sync_folder(target.parent)
