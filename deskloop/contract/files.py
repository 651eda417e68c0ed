"""Open regular files only: a pipe, a device or a socket may block or never end."""

import io
import os
import stat
from pathlib import Path

from deskloop.contract.errors import InputError

KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
)


def kind_of(mode: int) -> str:
    """Return the kind of file of a mode of `os.stat`; "" for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "no regular file")


def open_regular(path: str | Path, name: str = "") -> io.BufferedReader:
    """Open a file for reading without waiting for anything.

    Args:
        name: name of the file in errors; default: its path.
    Raises:
        InputError: the path is not a regular file.
        OSError: it cannot be opened.
    """
    mode = os.stat(path).st_mode  # opening a device may already do something
    if not kind_of(mode):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(handle).st_mode
        if not kind_of(mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    raise InputError(f"{name or path} is {kind_of(mode)}; only regular files are read")


def read_small(path: str | Path, limit: int) -> bytes:
    """The content of a file that a person wrote, such as a pipeline file.

    Raises:
        InputError: it is not a regular file, or longer than `limit` bytes.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path} is longer than {limit:,} bytes, more than any file of its kind")
    return content
