"""Stream data sets of the Hugging Face Hub, or local folders with their layout, with the library `datasets`."""

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
from tasks.ingest.listing import files_below
from tasks.ingest.local import check_dataset_files
from tasks.ingest.read import File
from tasks.ingest.record import Record

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
BATCH_ROWS = 100
LOOKED_AT = 100  # rows that determine the columns
SECONDS = 10.0  # time-out of a request to the Hub


def dataset_problems(file: File, config: IngestConfig) -> list[str]:
    """Check before reading that a data set, its subset and split exist, and that its files are regular and within the
    limits; return the problems."""
    try:
        if _is_local(file):
            check_dataset_files(file, config)
        _splits(file)
    except InputError as error:
        return [f"{_described(file)} {error}" if str(error).startswith("contains ") else str(error)]
    except ConfigError as error:
        return error.problems
    return []


def dataset_digest(file: File) -> str:
    """Return the commit of a data set on the Hub; for a local folder, a digest of its files' names and bytes.

    Raises:
        ConfigError: it is not available.
    """
    if not _is_local(file):
        return _commit(file)
    total = hashlib.blake2b(digest_size=32)
    for path in files_below(file.path, file.source.follow_links):
        with open_regular(path) as stream:
            part = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32))
        name = os.path.relpath(path, file.path)
        total.update(f"{name}\x1f{part.hexdigest()}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def dataset_records(file: File, config: IngestConfig) -> Iterator[Record]:
    """Yield every record (or conversation of several rows) of one split.

    Raises:
        ConfigError: the data set, its subset or split is not available, or lacks a column that the config names.
        InputError: it cannot be read to its end.
    """
    stream = _splits(file)[file.source.split]  # pinned to one commit, even if it is read twice
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
    """Yield every row of one split.

    Raises:
        ConfigError: the data set, its subset or split is not available.
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
    except Exception as error:  # from a file reader, the network, or Arrow, whose message may quote a row
        raise InputError(
            f"{file.label} cannot be read beyond about record {number:,} ({type(error).__name__})"
        ) from None


def _splits(file: File) -> dict[str, Callable[[], Any]]:
    """Return name -> function that starts streaming that split; reads nothing yet.

    Raises:
        ConfigError: the data set, its subset or the declared split is not available.
    """
    commit = None if _is_local(file) else _commit(file)
    splits = _opened(file, commit)
    if file.source.split not in splits:
        names = ", ".join(splits) or "none"
        raise ConfigError(f"{_described(file)} has no split {file.source.split!r}; it has: {names}. Set `split`")
    return splits


def _opened(file: File, commit: str | None) -> dict[str, Callable[[], Any]]:
    try:
        with _silence():
            return (_saved(file) if _is_local(file) else {}) or _loaded(file, commit)
    except Exception as error:  # from several libraries, some of which quote the data
        raise ConfigError(
            f"{_described(file)} cannot be loaded ({type(error).__name__}); check `name` and `data_files`"
            f"{_subsets(file, commit)}"
        ) from None


def _saved(file: File) -> dict[str, Callable[[], Any]]:
    """Return the splits in a folder written by `save_to_disk`; empty for any other folder."""
    import datasets

    if os.path.exists(os.path.join(file.path, datasets.config.DATASET_STATE_JSON_FILENAME)):
        whole = datasets.load_from_disk(file.path)
        return {file.source.split: lambda: whole}
    if os.path.exists(os.path.join(file.path, datasets.config.DATASETDICT_JSON_FILENAME)):
        parts = datasets.load_from_disk(file.path)
        return {str(name): lambda part=part: part for name, part in parts.items()}  # type: ignore[misc]
    return {}


def _loaded(file: File, commit: str | None) -> dict[str, Callable[[], Any]]:
    """Return the splits of a data set whose layout the library recognises, local or on the Hub."""
    import datasets

    source = file.source
    builder = datasets.load_dataset_builder(
        file.path, source.name, data_files=list(paths_of(source.data_files)) or None, revision=commit
    )
    names = [str(name) for name in builder.config.data_files or builder.info.splits or ()]
    return {name: lambda name=name: builder.as_streaming_dataset(split=name) for name in names}  # type: ignore[misc]


def _subsets(file: File, commit: str | None) -> str:
    """Return a sentence with the valid values of `name`; empty if they are unknown."""
    import datasets

    try:
        with _silence():
            names = datasets.get_dataset_config_names(file.path, revision=commit)
    except Exception:  # the original error is then the only information
        return ""
    return f". Its subsets: {', '.join(names)}"


def _commit(file: File) -> str:
    """Resolve a data set's revision on the Hub to a commit, with one request and no retries.

    Raises:
        ConfigError: the data set does not exist, or the Hub is not reachable.
    """
    if HUB_ID.fullmatch(file.path) is None:
        raise ConfigError(f"{_described(file)} is neither a local folder nor a data set's id (ORG/NAME)")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(file.path, revision=file.source.revision, timeout=SECONDS).sha
    except GatedRepoError:
        problem = "is gated: accept its terms on huggingface.co and log in with `hf auth login`"
    except RevisionNotFoundError:
        problem = "does not have the declared `revision`"
    except RepositoryNotFoundError:
        problem = "is not on the Hub, or is private: log in with `hf auth login`"
    except Exception as error:  # from the network and its libraries
        problem = f"is not available: no local folder of that name, and the Hub did not answer ({type(error).__name__})"
    else:
        if commit:
            return commit
        problem = "has no commit on the Hub"
    raise ConfigError(f"{_described(file)} {problem}")


def _is_local(file: File) -> bool:
    return os.path.isabs(file.path)


def _described(file: File) -> str:
    return f"data set {(os.path.basename(file.path) if _is_local(file) else file.path)!r}"


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress the library's progress bars, and its log lines, which quote unreadable rows."""
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
