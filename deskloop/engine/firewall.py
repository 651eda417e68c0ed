"""The exception firewall: the one place where exceptions of other libraries become ours.

Their messages may quote a conversation, so none is ever printed: only the kind of the problem is taken from them (an
error number, SQLite's result code, a known phrase), and a path only where it lies in a folder that the user named.
"""

import errno
import os
import re
import resource
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deskloop.contract.errors import DeskloopError, MachineError, StepError
from deskloop.contract.extras import missing_extra

# errno -> (what happened, what to do); {place} is a path, or a general word for it.
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
_PASSING = frozenset(
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


def translated(error: BaseException, step: str, ids: Sequence[str] = (), store: Path | None = None) -> DeskloopError:
    """Our error in place of a foreign one that ended a step.

    Args:
        ids: rows of the batch.
        store: root of the store that was worked on; its paths may be named.
    """
    problem = explain(error, store)
    if problem is None:
        return StepError(step, type(error).__name__, ids)
    return MachineError(f"step {step!r}: {problem}", is_passing(error))


def is_passing(error: BaseException) -> bool:
    """Whether what led to an error may be over in a moment, so that another attempt can help."""
    return any(
        one.passing if isinstance(one, MachineError) else isinstance(one, OSError) and one.errno in _PASSING
        for one in _chain(error)
    )


@contextmanager
def guarded(step: str, ids: Sequence[str] = (), store: Path | None = None) -> Iterator[None]:
    """Let no foreign exception out: its message may quote a conversation, and Prefect would keep it.

    Raises:
        StepError, MachineError: in place of any exception that is not ours; arguments as of `translated`.
        KeyboardInterrupt, TerminationSignal: in place of what failed while one of them ended the run.
    """
    try:
        yield
    except Exception as error:
        signal = next(filter(_is_signal, _chain(error)), None)
        if signal is not None:  # it was ending the run, and something failed on the way out
            raise signal from None
        if isinstance(error, DeskloopError) or os.environ.get("DESKLOOP_DEBUG"):
            raise
        raise translated(error, step, ids, store) from None


def explain(error: BaseException, store: Path | None = None) -> str | None:
    """What stopped the command and what to do; None where the cause is not known.

    Args:
        store: root of the store that was worked on; its paths may be named.
    """
    for one in _chain(error):
        if isinstance(one, MachineError):
            return str(one)
        if problem := missing_extra(one) or _of_prefect(one) or _of_machine(one, store):
            return problem
    return None


def withheld(error: BaseException) -> str:
    """The line for an exception whose cause is not known."""
    return (
        f"unexpected {type(error).__name__}; its message is withheld, as it may quote a conversation. "
        "`deskloop --debug ...` shows it."
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, the outermost first; each once."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
            waiting += [*inner, getattr(one, "orig", None), one.__cause__, one.__context__]


def _is_signal(error: BaseException) -> bool:
    """Ctrl-C, our own handlers' exception, or that of Prefect's handler of SIGTERM."""
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal"


def _of_machine(error: BaseException, store: Path | None) -> str | None:
    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return "an SQLite database (Prefect's or MLflow's) is damaged. Restore it from a backup and run again"
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return (
                "an SQLite database (Prefect's or MLflow's) stayed locked by another process. Run again when it ended"
            )
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
        words = {"place": str(place) if place else "a folder in use", "setting": _setting(place, store),
                 "user": _user(), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}  # fmt: skip
        return f"{happened}. {remedy}".format(**words)
    if _is_native(error) and _DAMAGED.search(str(error)):
        return "a file of the store is damaged. `deskloop data verify` names it, and how to repair or restore it"
    return None


def _is_native(error: BaseException) -> bool:
    # pyarrow raises OSError without a number, torch RuntimeError.
    return type(error).__module__.split(".")[0] in _NATIVE or type(error) in (OSError, RuntimeError, Exception)


def _from_text(error: BaseException) -> int | None:
    """The error number in the text of a native library's exception."""
    if not _is_native(error):
        return None
    text = str(error)
    if found := _NUMBER.search(text):
        return int(found[1] or found[2])
    return next((number for phrase, number in _PHRASES.items() if phrase in text), None)


def _roots(store: Path | None) -> dict[str, Path]:
    """What to change -> the folder it names; the narrowest first."""
    home = Path(os.environ.get("HOME") or Path.home())
    roots = {"set `store` in the pipeline file to another folder": store} if store is not None else {}
    roots["set PREFECT_HOME to another folder"] = Path(os.environ.get("PREFECT_HOME") or home / ".prefect")
    roots["set TMPDIR to another folder"] = Path(os.environ.get("TMPDIR") or "/tmp")
    roots["set HOME to another folder"] = home
    return {name: Path(os.path.abspath(path)) for name, path in roots.items()}


def _named(error: BaseException, store: Path | None) -> Path | None:
    """The path of an OSError, if it is absolute and inside a known folder; no deeper than what exists there."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str) or not os.path.isabs(name):
        return None
    path = Path(os.path.abspath(name))
    if not any(path.is_relative_to(root) for root in _roots(store).values()):
        return None
    try:
        while not path.exists():
            path = path.parent
    except OSError:  # a folder on the way cannot be entered: then that folder is what to look at
        return next((one for one in reversed(path.parents) if not os.access(one, os.X_OK)), None)
    return path


def _suspect(number: int, store: Path | None) -> Path | None:
    """Which of the known folders is full or not writable, where the exception does not say."""
    for root in _roots(store).values():
        present = next((one for one in (root, *root.parents) if os.path.lexists(one)), root)
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
    return store  # it is written to most


def _setting(place: Path | None, store: Path | None) -> str:
    """What names the folder that a path lies in."""
    if place is not None:
        for setting, root in _roots(store).items():
            if place.is_relative_to(root) or root.is_relative_to(place):
                return setting
    return "use another folder"


def _user() -> str:
    return str(os.environ.get("USER") or os.geteuid())


def _of_prefect(error: BaseException) -> str | None:
    """An answer, or none, of Prefect's server."""
    url = _api_url()
    request = getattr(error, "_request", None) or getattr(error, "request", None) if _is_http(error) else None
    if url is None or request is None or not str(request.url).startswith(url.rstrip("/")):
        return None
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind = type(error).__name__
    if status in (401, 403):
        what = f"refused the request (HTTP {status}). Check PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
    elif status is not None:
        what = f"answered with HTTP {status}. Look at the server's log, and compare its version with `prefect version`"
    elif "Timeout" in kind:
        what = "does not answer in time. Check that it is well, and run again"
    else:
        what = "cannot be reached. Start it (docs/schedule.md), or correct or unset PREFECT_API_URL"
    return f"the Prefect server at {public(url)} {what}"


def _is_http(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("httpx", "prefect")


def _api_url() -> str | None:
    """URL of the Prefect server that this process talks to."""
    if "prefect.settings" not in sys.modules:
        return None
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def public(url: str) -> str:
    """A URL without user, password, query and fragment."""
    parts = urlsplit(url)
    place = parts.hostname or ""
    place = f"[{place}]" if ":" in place else place
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{place}{port}{parts.path}"
