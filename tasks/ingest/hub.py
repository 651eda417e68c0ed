"""Data sets of the Hugging Face Hub, or a local folder laid out like one, streamed by the library `datasets`."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from deskloop.contract.errors import ConfigError, DeskloopError, InputError
from deskloop.contract.files import open_regular
from tasks.ingest.cells import table_rows
from tasks.ingest.config import IngestConfig, paths_of
from tasks.ingest.flat import Row, table_records, table_shape, too_wide
from tasks.ingest.local import check_dataset_files, dataset_files
from tasks.ingest.read import File
from tasks.ingest.record import Record

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
BATCH_ROWS = 100
LOOKED_AT = 100  # rows, to tell which columns there are
SECONDS = 10.0  # to wait for the Hub's answer about one data set


def dataset_problems(file: File, config: IngestConfig) -> list[str]:
    """What is wrong with a data set, before it is read: it is not there, has no such subset or split, or holds files
    that are no regular ones or stand for too much."""
    try:
        if _is_local(file):
            check_dataset_files(file, config)
        _splits(file)
    except InputError as error:
        return [f"{_called(file)} {error}" if str(error).startswith("holds ") else str(error)]
    except ConfigError as error:
        return error.problems
    return []


def dataset_digest(file: File) -> str:
    """The commit of a data set on the Hub; for a local folder the digest of its files' names and bytes.

    Raises:
        ConfigError: it cannot be had.
    """
    if not _is_local(file):
        return _commit(file)
    total = hashlib.blake2b(digest_size=32)
    for path in dataset_files(file.path, file.source.follow_links):
        with open_regular(path) as stream:
            part = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32))
        name = os.path.relpath(path, file.path)
        total.update(f"{name}\x1f{part.hexdigest()}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def dataset_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Every record (or conversation of several rows) of one split.

    Raises:
        ConfigError: the data set, its subset or split cannot be had, or has no column that the config names.
        InputError: it cannot be read to its end.
    """
    stream = _splits(file)[file.source.split]  # of one commit, however often it is read
    head = [row.value for row in islice(_rows(file, stream, config), LOOKED_AT)]
    header = list(dict.fromkeys(name for value in head for name in value))
    nested = {name for value in head for name, cell in value.items() if isinstance(cell, dict | list)}
    shape, problems = table_shape(file.label, header, nested, file.source)
    if problems and head:
        raise ConfigError(problems)
    yield from table_records(
        lambda: islice(_rows(file, stream, config), file.most_rows), shape, file.source, config.max_record_bytes
    )


def dataset_rows(file: File, config: IngestConfig) -> Iterator[Row]:
    """Every row of one split.

    Raises:
        ConfigError: the data set, its subset or split cannot be had.
        InputError: it cannot be read to its end.
    """
    yield from _rows(file, _splits(file)[file.source.split], config)


def _rows(file: File, stream: Callable[[], Any], config: IngestConfig) -> Iterator[Row]:
    number = 0
    try:
        with _silence():
            for table in stream().with_format("arrow").iter(batch_size=BATCH_ROWS):
                if table.num_columns > config.max_columns:
                    raise InputError(too_wide(file.label, table.num_columns, config))
                for batch in table.combine_chunks().to_batches():
                    yield from table_rows(batch, number + 1, config.max_record_bytes)
                    number += batch.num_rows
    except DeskloopError:
        raise
    except Exception as error:  # a reader's own, a network's, or Arrow's, whose message may quote a row
        raise InputError(
            f"{file.label} cannot be read beyond its record {number:,} or so ({type(error).__name__}); the rest is "
            f"unknown"
        ) from None


def _splits(file: File) -> dict[str, Callable[[], Any]]:
    """Name -> what starts streaming that split; nothing is read yet.

    Raises:
        ConfigError: the data set, its subset or the declared split cannot be had.
    """
    commit = None if _is_local(file) else _commit(file)
    found = _opened(file, commit)
    if file.source.split not in found:
        names = ", ".join(found) or "none"
        raise ConfigError(f"{_called(file)} has no split {file.source.split!r}; it has: {names}. Set `split`")
    return found


def _opened(file: File, commit: str | None) -> dict[str, Callable[[], Any]]:
    try:
        with _silence():
            return (_saved(file) if _is_local(file) else {}) or _loaded(file, commit)
    except Exception as error:  # of several libraries; some quote what they read
        raise ConfigError(
            f"{_called(file)} cannot be loaded ({type(error).__name__}); check `name` and `data_files`"
            f"{_subsets(file, commit)}"
        ) from None


def _saved(file: File) -> dict[str, Callable[[], Any]]:
    """The splits of what `save_to_disk` left in a folder, none where it did not."""
    import datasets

    if os.path.exists(os.path.join(file.path, datasets.config.DATASET_STATE_JSON_FILENAME)):
        whole = datasets.load_from_disk(file.path)
        return {file.source.split: lambda: whole}
    if os.path.exists(os.path.join(file.path, datasets.config.DATASETDICT_JSON_FILENAME)):
        parts = datasets.load_from_disk(file.path)
        return {str(name): lambda part=part: part for name, part in parts.items()}  # type: ignore[misc]
    return {}


def _loaded(file: File, commit: str | None) -> dict[str, Callable[[], Any]]:
    """The splits of a data set of files that the library knows, here or on the Hub."""
    import datasets

    source = file.source
    builder = datasets.load_dataset_builder(
        file.path, source.name, data_files=list(paths_of(source.data_files)) or None, revision=commit
    )
    names = [str(name) for name in builder.config.data_files or builder.info.splits or ()]
    return {name: lambda name=name: builder.as_streaming_dataset(split=name) for name in names}  # type: ignore[misc]


def _subsets(file: File, commit: str | None) -> str:
    """The names that `name` may have, where they can be told."""
    import datasets

    try:
        with _silence():
            names = datasets.get_dataset_config_names(file.path, revision=commit)
    except Exception:  # then the first error says all there is to say
        return ""
    return f". Its subsets: {', '.join(names)}"


def _commit(file: File) -> str:
    """The commit that a revision of a data set on the Hub is at; one request, no retries.

    Raises:
        ConfigError: there is no such data set, or no way to the Hub.
    """
    if HUB_ID.fullmatch(file.path) is None:
        raise ConfigError(f"{_called(file)} is no folder here, and no data set's id (ORG/NAME)")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(file.path, revision=file.source.revision, timeout=SECONDS).sha
    except GatedRepoError:
        problem = "is gated: accept its terms on huggingface.co and log in with `hf auth login`"
    except RevisionNotFoundError:
        problem = "has no such `revision`"
    except RepositoryNotFoundError:
        problem = "is not on the Hub, or is private: log in with `hf auth login`"
    except Exception as error:  # whatever the network and its libraries raise
        problem = f"cannot be had: no folder of that name here, and the Hub did not answer ({type(error).__name__})"
    else:
        if commit:
            return commit
        problem = "has no commit on the Hub"
    raise ConfigError(f"{_called(file)} {problem}")


def _is_local(file: File) -> bool:
    return os.path.isabs(file.path)


def _called(file: File) -> str:
    return f"data set {(os.path.basename(file.path) if _is_local(file) else file.path)!r}"


@contextmanager
def _silence() -> Iterator[None]:
    """No log lines of the library, which quote the rows that it cannot read, and no progress bars; for a while."""
    import datasets

    verbosity, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL + 1)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()
