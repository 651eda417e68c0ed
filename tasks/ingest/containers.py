"""Choose the reader of a file by its container: JSON, CSV, Parquet, or a data set."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context
from tasks.ingest.columnar import parquet_records, parquet_shape
from tasks.ingest.config import IngestConfig
from tasks.ingest.discovery import find_files, find_users
from tasks.ingest.documents import json_records
from tasks.ingest.formats import with_turns
from tasks.ingest.hub_datasets import dataset_digest, dataset_problems, dataset_records
from tasks.ingest.participants import person
from tasks.ingest.read import File, digest, open_file
from tasks.ingest.record import Person, Record
from tasks.ingest.separated import csv_records, csv_shape

READERS = {"json": json_records, "csv": csv_records, "parquet": parquet_records, "dataset": dataset_records}
CHECKS: dict[str, Callable[[File, IngestConfig], list[str]]] = {
    "json": lambda file, config: [],
    "csv": lambda file, config: csv_shape(file, config)[1],
    "parquet": lambda file, config: parquet_shape(file, config)[1],
    "dataset": dataset_problems,
}
Users = Mapping[int, Mapping[str, Person]]  # source's index -> id -> user


def container(file: File) -> Literal["json", "csv", "parquet", "dataset"]:
    """Determine a file's container from its source's format, its extension, or else its first bytes."""
    format = file.source.format
    if file.source.is_dataset:
        return "dataset"
    if format == "csv" or (file.suffix in (".csv", ".tsv") and format in ("auto", "context_response", "instructions")):
        return "csv"
    if "parquet" in (format, file.suffix.removeprefix(".")) or (not file.suffix and _begins_as_parquet(file)):
        return "parquet"
    return "json"


def records(file: File, config: IngestConfig, users: Users) -> Iterator[Record]:
    """Yield the records of a file with their turns; an empty or unknown file yields one reject."""
    if file.skipped:
        yield Record(1, None, "unknown_file", b"")
        return
    empty = True
    for record in READERS[container(file)](file, config):
        empty = False
        yield with_turns(record, file.source, users.get(file.index, {}))
    if empty:
        yield Record(1, None, "empty_file", b"")


def checked_files(config: IngestConfig, context: Context) -> list[File]:
    """Return the files of all sources after checking headers, schemas and the availability of data sets.

    Raises:
        ConfigError: with all problems of all sources.
    """
    files = find_files(config, context)
    problems = [
        f"sources[{file.index}]: {problem}" for file in files if not file.skipped for problem in _problems(file, config)
    ]
    if problems:
        raise ConfigError(problems, where=f"step {context.step!r}")
    return files


def inputs(config: IngestConfig, context: Context) -> list[tuple[str, str]]:
    """Return (name, digest) of everything that is read: the files by path within each source, then files of users.

    Raises:
        ConfigError, InputError: a source is missing, unreadable or does not match its options.
    """
    files = checked_files(config, context)
    digests = [(file.label, dataset_digest(file) if file.source.is_dataset else digest(file)) for file in files]
    return digests + [(f"users: {file.label}", digest(file)) for file in find_users(config, [])]


def read_users(config: IngestConfig) -> Users:
    """Load the users of the sources into memory, at about 300 bytes each.

    Raises:
        InputError: a record is not a user; reading on would leave that person's name unscrubbed.
    """
    tables: dict[int, dict[str, Person]] = {}
    for file in find_users(config, []):
        table = tables.setdefault(file.index, {})
        for record in json_records(file, config):
            value = record.value or {}
            listed = value.get("users")
            for user in listed if isinstance(listed, list) else [value]:
                if not isinstance(user, dict) or isinstance(user.get("id"), bool | list | dict | None):
                    raise InputError(
                        f"{file.label}: record {record.number} is not a user ({record.reason or 'no id'}); expected "
                        f'lines or a list of {{"id", "name", "email", "phone", "role"}}'
                    )
                table[str(user["id"]).strip()] = person(user)
    return tables


def _problems(file: File, config: IngestConfig) -> list[str]:
    try:
        return CHECKS[container(file)](file, config)
    except InputError as error:
        return [str(error)]


def _begins_as_parquet(file: File) -> bool:
    with open_file(file) as stream:
        return stream.read(4) == b"PAR1"
