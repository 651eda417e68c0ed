"""Where a backup is unpacked, and how it takes the place of a store: at once, or not at all.

    .NAME.restoring    beside the store: the unpacked backup; after the exchange what was there before
    .NAME.replaced     what was there before, on a file system that cannot exchange two folders

Both hold raw rows. A process that is killed leaves them, for their owner alone; whatever locks the store next removes
them, if no restore is going on.
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
    """Where a backup of this store is unpacked."""
    return root.with_name(f".{root.name}.restoring")


@contextmanager
def unpacking(root: Path) -> Iterator[Path]:
    """An empty folder beside the store, removed at the end with whatever is in it then.

    Raises:
        ConfigError: another restore is going on, or the folder cannot be made.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    folder = restoring(root)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigError(f"another restore is working on {root}; wait for it to end", "the store") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}", "the store") from None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_leftovers(root: Path) -> None:
    """Remove what a restore that was killed has left, unless one is going on."""
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


@contextmanager
def held(root: Path) -> Iterator[None]:
    """The lock of a store that may be damaged, if there is a store.

    Raises:
        ConfigError: a run is working on it.
    """
    if not root.is_dir():
        yield
        return
    with (root / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another run is working on {root}; wait for it to end", "the store") from None
        yield


def is_empty(root: Path) -> bool:
    """Whether a store's folder holds no file but its lock."""
    return not any(path.name != ".lock" for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


def put(folder: Path, root: Path) -> None:
    """Let a folder take the place of another, if there is one; killed anywhere, either of them is there, whole."""
    os.sync()
    if not root.exists():
        folder.rename(root)
    elif not _exchange(folder, root):
        replaced = root.with_name(f".{root.name}.replaced")
        root.rename(replaced)
        folder.rename(root)
        shutil.rmtree(replaced, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the file system cannot."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code))
