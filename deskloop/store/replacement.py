"""Replacement of a store by an unpacked backup, in one atomic step.

    .NAME.restoring    beside the store: the unpacked backup; after the exchange, the previous store
    .NAME.replaced     the previous store, on a file system that cannot exchange two folders

Both hold raw rows and are readable by their owner only. They remain if the process is killed; the next process that
locks the store removes them, unless a restore is running.
"""

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deskloop.contract.errors import ConfigError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def restoring(root: Path) -> Path:
    """Return the folder in which a backup of this store is unpacked."""
    return root.with_name(f".{root.name}.restoring")


@contextmanager
def unpacking(root: Path) -> Iterator[Path]:
    """Create an empty folder beside the store; it is deleted with its contents when the block ends.

    Raises:
        ConfigError: another restore is running, or the folder cannot be created.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    folder = restoring(root)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigError(f"another restore is working on {root}; wait for it to end", "the store") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be created: {error.strerror}", "the store") from None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_leftovers(root: Path) -> None:
    """Remove the folders of a restore that was killed, unless one is running."""
    replaced = root.with_name(f".{root.name}.replaced")
    if replaced.exists():
        if root.exists():
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            replaced.rename(root)
    folder = restoring(root)
    if not folder.exists():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(handle)


def is_empty(root: Path) -> bool:
    """Return whether a store's folder holds no file except its lock."""
    return not any(path.name != ".lock" for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


def put(folder: Path, root: Path) -> None:
    """Put a folder in place of another, if there is one; if the process is killed, either of them is complete."""
    os.sync()
    if not root.exists():
        folder.rename(root)
    elif not _exchange(folder, root):
        replaced = root.with_name(f".{root.name}.replaced")
        root.rename(replaced)
        folder.rename(root)
        shutil.rmtree(replaced, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names atomically; return False if the system or the file system does not support it."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code))
