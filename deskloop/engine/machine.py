"""What stopped the machine: from an exception's error number or a known phrase to a cause and a remedy."""

import errno
import os
import re
import resource
import shutil
import sqlite3
from pathlib import Path

# errno -> (cause, remedy); {place} is a path, or a general word for it.
_ERRNO = {
    errno.ENOSPC: ("no space is left on the device that holds {place}", "Free some space and run again"),
    errno.EDQUOT: ("the disk quota for {place} is used up", "Free some space or raise the quota, and run again"),
    errno.EFBIG: ("{place} reached the largest file size allowed", "Raise the limit (`ulimit -f`) and run again"),
    errno.EROFS: ("{place} is on a file system that is mounted read-only", "Mount it writable, or {setting}"),
    errno.EACCES: ("permission was denied for {place}", "Give user {user} read and write permission, or {setting}"),
    errno.EPERM: ("the system does not allow a change of {place}", "Check its owner and attributes, or {setting}"),
    errno.EMFILE: ("more than {files} files were open at once", "Raise the limit (`ulimit -n 4096`) and run again"),
    errno.ENFILE: ("the system has too many open files", "End other programs or raise fs.file-max, and run again"),
    errno.EIO: ("the device that holds {place} reports an input/output error", "Check the disk before you run again"),
    errno.ESTALE: ("the network file system that holds {place} has gone away", "Mount it again and run again"),
    errno.ETIMEDOUT: ("the network storage that holds {place} does not answer", "Check it and run again"),
    errno.EHOSTDOWN: ("the network storage that holds {place} does not answer", "Check it and run again"),
    errno.EHOSTUNREACH: ("the network storage that holds {place} cannot be reached", "Check it and run again"),
}  # fmt: skip
PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ENOTCONN, errno.ETIMEDOUT, errno.ECONNREFUSED,
     errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}
)  # fmt: skip
_MEMORY = (
    "memory ran out. Set fewer `workers` or a smaller `partition_rows` in the pipeline file (for training, a smaller "
    "`batch_tokens`), or end other programs, and run again"
)
_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}
# Libraries that report an operating-system error as text of an exception of their own.
_NATIVE = (
    "deltalake",
    "_internal",
    "pyarrow",
    "polars",
    "safetensors",
    "safetensors_rust",
    "tokenizers",
    "torch",
    "mlflow",
)
_NUMBER = re.compile(r"\((?:os error|errno) (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
_PHRASES = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    "Too many open files": errno.EMFILE,
    "Cannot allocate memory": errno.ENOMEM,
    "DefaultCPUAllocator: can't allocate memory": errno.ENOMEM,
    "CUDA out of memory": errno.ENOMEM,
}
_DAMAGED = re.compile(
    r"Parquet magic bytes|deserialize thrift|not a parquet file|Corrupt|Unexpected end of stream|InvalidHeader|"
    r"HeaderTooLarge|MetadataIncompleteBuffer|decompress|checksum",
    re.IGNORECASE,
)


def machine_problem(error: BaseException, store: Path | None) -> str | None:
    """Return what the machine could not do, and a remedy; None if the exception is of another kind.

    Args:
        store: root of the open store; its paths may be named.
    """
    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return "an SQLite database (Prefect's or MLflow's) is damaged. Restore it from a backup and run again"
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "an SQLite database (Prefect's or MLflow's) stayed locked by another process. Run again later"
        number = _SQLITE.get(code)
    elif isinstance(error, OSError) and error.errno is not None:
        if str(error.strerror).startswith("No usable temporary directory found"):
            return "no folder for temporary files can be written to. Set TMPDIR to a folder that can, with space in it"
        number = error.errno
    else:
        number = errno.ENOMEM if isinstance(error, MemoryError) else _from_text(error)
    if number == errno.ENOMEM:
        return _MEMORY
    if number in _ERRNO:
        happened, remedy = _ERRNO[number]
        place = (_named(error, store) or _suspect(number, store)) if "{place}" in happened else None
        words = {"place": str(place) if place else "one of its folders", "setting": _setting(place, store),
                 "user": _user(), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}  # fmt: skip
        return f"{happened}. {remedy}".format(**words)
    if _is_native(error) and _DAMAGED.search(str(error)):
        return "a file of the store is damaged. `deskloop data verify` names it, and how to repair or restore it"
    return None


def _is_native(error: BaseException) -> bool:
    # pyarrow raises OSError without a number, torch RuntimeError.
    return type(error).__module__.split(".")[0] in _NATIVE or type(error) in (OSError, RuntimeError, Exception)


def _from_text(error: BaseException) -> int | None:
    """Return the error number in the message of a native library's exception."""
    if not _is_native(error):
        return None
    text = str(error)
    if match := _NUMBER.search(text):
        return int(match[1] or match[2])
    return next((number for phrase, number in _PHRASES.items() if phrase in text), None)


def _roots(store: Path | None) -> dict[str, Path]:
    """Return setting -> the folder that it names, the narrowest first."""
    home = Path(os.environ.get("HOME") or Path.home())
    roots = {"set `store` in the pipeline file to another folder": store} if store is not None else {}
    roots["set PREFECT_HOME to another folder"] = Path(os.environ.get("PREFECT_HOME") or home / ".prefect")
    roots["set TMPDIR to another folder"] = Path(os.environ.get("TMPDIR") or "/tmp")
    roots["set HOME to another folder"] = home
    return {name: Path(os.path.abspath(path)) for name, path in roots.items()}


def _named(error: BaseException, store: Path | None) -> Path | None:
    """Return the path of an OSError as far as it exists, if it is absolute and inside a known folder."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str) or not os.path.isabs(name):
        return None
    path = Path(os.path.abspath(name))
    if not any(path.is_relative_to(root) for root in _roots(store).values()):
        return None
    try:
        while not path.exists():
            path = path.parent
    except OSError:  # a folder above it cannot be entered: name that folder
        return next((folder for folder in reversed(path.parents) if not os.access(folder, os.X_OK)), None)
    return path


def _suspect(number: int, store: Path | None) -> Path | None:
    """Return the known folder that is full or not writable, for an exception without a path."""
    for root in _roots(store).values():
        present = next((folder for folder in (root, *root.parents) if os.path.lexists(folder)), root)
        try:
            if number == errno.ENOSPC:
                usage = shutil.disk_usage(present)
                suspicious = usage.free < max(4 << 20, usage.total // 1000)
            elif number == errno.EROFS:
                suspicious = bool(os.statvfs(present).f_flag & os.ST_RDONLY)
            else:
                suspicious = not os.access(present, os.W_OK | os.X_OK)
        except OSError:
            continue
        if suspicious:
            return root
    return store  # most writes go there


def _setting(place: Path | None, store: Path | None) -> str:
    """Return the setting of the folder that a path lies in."""
    if place is not None:
        for setting, root in _roots(store).items():
            if place.is_relative_to(root) or root.is_relative_to(place):
                return setting
    return "use another folder"


def _user() -> str:
    return str(os.environ.get("USER") or os.geteuid())
