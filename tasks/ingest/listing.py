"""List the regular files of a local folder or glob, without following links out of it."""

import glob
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence

from deskloop.contract.errors import InputError
from deskloop.contract.files import kind_of


def files_below(folder: str, follow_links: bool = False) -> list[str]:
    """Return all files below a folder, sorted, without hidden ones.

    Args:
        follow_links: also follow links that lead out of the folder.
    Raises:
        InputError: an entry is not a regular file, or is a link that is broken or leads out of the folder.
    """
    root = os.path.realpath(folder)
    paths = sorted(_walk(folder, root, follow_links, {root}))
    return _checked(paths, folder, root, follow_links)


def files_matching(pattern: str, follow_links: bool = False) -> list[str]:
    """Return all files that match a glob, sorted, without folders.

    The pattern begins after the deepest folder that exists under its name, which may contain wildcards (`log[1]/`).

    Raises:
        InputError: as `files_below`, of that folder.
    """
    folder = os.path.dirname(pattern)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    relative = os.path.relpath(pattern, folder)
    paths = glob.glob(os.path.join(glob.escape(folder), relative), recursive=True)
    paths = sorted(path for path in paths if not os.path.isdir(path))
    return _checked(paths, folder, os.path.realpath(folder), follow_links)


def _walk(folder: str, root: str, follow_links: bool, seen: set[str]) -> Iterator[str]:
    """Yield paths of files and of links to files; reads each linked folder once, if following it is allowed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and entry.is_dir():
                target = os.path.realpath(entry.path)
                if _is_inside(target, root):
                    continue  # its files are listed at their actual location
                if not follow_links:
                    raise InputError(_leads_out(entry.name))
                if target not in seen:
                    seen.add(target)
                    yield from _walk(entry.path, root, follow_links, seen)
            elif entry.is_dir():
                yield from _walk(entry.path, root, follow_links, seen)
            else:
                yield entry.path


def _checked(paths: Sequence[str], folder: str, root: str, follow_links: bool) -> list[str]:
    """Check paths and skip links to a file that is also listed itself."""
    targets = {os.path.realpath(path) for path in paths if not os.path.islink(path)}
    checked = []
    for path in paths:
        name = posixpath.relpath(path, folder)
        target = os.path.realpath(path)
        if os.path.islink(path) and target in targets:
            continue
        if not follow_links and not _is_inside(target, root):
            raise InputError(_leads_out(name))
        try:
            mode = os.stat(path).st_mode
        except OSError:
            raise InputError(f"contains {name!r}, a broken link") from None
        if not stat.S_ISREG(mode):
            raise InputError(f"contains {name!r}, {kind_of(mode)}; only regular files are read")
        targets.add(target)
        checked.append(path)
    return checked


def _is_inside(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root


def _leads_out(name: str) -> str:
    return f"contains {name!r}, a link that leads out of it; set `follow_links: true` to read such links"
