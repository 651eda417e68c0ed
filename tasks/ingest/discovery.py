"""Find the files of a source: a file, folder or glob, local or at any fsspec URL; or a data set."""

import difflib
import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import fsspec

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.files import kind_of
from deskloop.contract.paths import ConfigPath, is_folder, written
from deskloop.contract.stage import Context
from deskloop.contract.terminal import visible
from tasks.ingest.config import IngestConfig, SourceConfig
from tasks.ingest.listing import files_below, files_matching
from tasks.ingest.read import KNOWN_SUFFIXES, File, cause, is_local, shown


def find_files(config: IngestConfig, context: Context) -> list[File]:
    """Return the files of all sources, in the order of the config and, within a folder or glob, of their paths.

    Raises:
        ConfigError: missing files, empty folders, globs without a match, files matched twice; all at once.
    """
    files: list[File] = []
    problems: list[str] = []
    owners: dict[tuple[str, ...], int] = {}
    user_files = {file.path for file in find_users(config, problems)}
    for index, source in enumerate(config.sources):
        for file in _files(index, source, problems):
            if file.path in user_files and file.path != source.path:
                continue
            subset = (source.split, source.name or "") if source.is_dataset else ()
            first = owners.setdefault((str(getattr(file.filesystem, "protocol", "")), file.path, *subset), index)
            if first != index:
                problems.append(
                    f"sources[{index}]: {posixpath.basename(file.path)!r} is already read by sources[{first}]"
                )
            files.append(replace(file, limits=config.limits))
    if problems:
        raise ConfigError(problems, where=f"step {context.step!r}")
    return _labelled(files)


def find_users(config: IngestConfig, problems: list[str]) -> list[File]:
    """Return the files of users that the sources declare; appends what is wrong with them to `problems`."""
    user_files: list[File] = []
    for index, source in enumerate(config.sources):
        if source.users is not None:
            users = SourceConfig(path=source.users, encoding=source.encoding, follow_links=source.follow_links)
            files = _files(index, users, problems)
            user_files += [replace(file, limits=config.limits) for file in files if not file.skipped]
    return _labelled(user_files)


def _files(index: int, source: SourceConfig, problems: list[str]) -> list[File]:
    if source.is_dataset:
        name = written(source.path).removeprefix("hf://datasets/").rstrip("/")
        return [File(source.path if is_folder(source.path) else name, None, source, "", index)]
    try:
        filesystem, path = fsspec.core.url_to_fs(source.path)
        if filesystem.isdir(path):
            own_folder = source.path.folder if isinstance(source.path, ConfigPath) and is_local(filesystem) else ""
            if own_folder and os.path.commonpath([path, own_folder]) == path:
                raise InputError("also contains the pipeline file and its store; move the logs to a separate folder")
            names = _in_folder(filesystem, path, source.follow_links)
            return [File(name, filesystem, source, "", index, skipped=not _is_known(name)) for name in names]
        return [File(name, filesystem, source, "", index) for name in _matches(filesystem, path, source.follow_links)]
    except (InputError, ValueError, ImportError, OSError) as error:
        reason = str(error) if isinstance(error, InputError) else f"cannot be opened: {cause(error)}"
        problems.append(f"sources[{index}]: {shown(written(source.path))!r} {reason}")
    except Exception as error:  # each remote filesystem raises its own exceptions
        problems.append(f"sources[{index}]: {shown(written(source.path))!r} cannot be reached: {type(error).__name__}")
    return []


def _in_folder(filesystem: Any, path: str, follow_links: bool) -> list[str]:
    """Return all files below a folder, sorted, without hidden ones (`.DS_Store`, `.git/`)."""
    paths = files_below(path, follow_links) if is_local(filesystem) else sorted(filesystem.find(path))
    names = [name for name in paths if not re.search(r"(^|/)\.", posixpath.relpath(name, path))]
    if not any(map(_is_known, names)):
        raise InputError(f"is a folder without any {', '.join(sorted(KNOWN_SUFFIXES))} file, compressed or not")
    return names


def _is_known(name: str) -> bool:
    bare, end = os.path.splitext(name.lower())
    return (os.path.splitext(bare)[1] if end in (".gz", ".bz2", ".xz") else end) in KNOWN_SUFFIXES


def _matches(filesystem: Any, path: str, follow_links: bool) -> list[str]:
    """Return the files that match `path`, sorted; the name of an existing file is not treated as a pattern."""
    if filesystem.isfile(path):
        return [path]
    if is_local(filesystem) and os.path.exists(path):
        raise InputError(f"is {kind_of(os.stat(path).st_mode)}; only regular files are read")
    paths: list[str] = []
    if _has_magic(path) and is_local(filesystem):
        paths = files_matching(path, follow_links)
    elif _has_magic(path):
        paths = sorted(name for name in filesystem.glob(path) if filesystem.isfile(name))
    if not paths:
        problem = "matches no file" if _has_magic(path) else "does not exist"
        raise InputError(f"{problem}{_nearest(filesystem, path)}")
    return paths


def _has_magic(path: str) -> bool:
    return any(character in path for character in "*?[")


def _nearest(filesystem: Any, path: str) -> str:
    """Return `; the nearest name there is 'x'`, at the deepest existing level."""
    parent, name = posixpath.split(path.rstrip("/"))
    while parent and parent != posixpath.dirname(parent) and not filesystem.isdir(parent):
        parent, name = posixpath.split(parent)
    try:
        names = [posixpath.basename(entry.rstrip("/")) for entry in filesystem.ls(parent, detail=False)]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"; the nearest name there is {near[0]!r}" if near else "; paths are relative to the pipeline file"


def _labelled(files: Sequence[File]) -> list[File]:
    """Label files by base name, with as many parent folders as needed to distinguish them."""
    # Labels appear in row ids and messages, so they contain no control characters.
    parts = [[visible(part) for part in shown(file.path).strip("/").split("/")] for file in files]
    depth = 1
    labels = [names[-1] for names in parts]
    while len(set(labels)) < len(labels) and depth < max(map(len, parts)):
        depth += 1
        twice = {label for label in labels if labels.count(label) > 1}
        labels = [
            "_".join(names[-depth:]) if label in twice else label for names, label in zip(parts, labels, strict=True)
        ]
    if len(set(labels)) < len(labels):
        labels = [f"{number}_{name}" for number, name in enumerate(labels, 1)]
    return [replace(file, label=label) for file, label in zip(files, labels, strict=True)]
