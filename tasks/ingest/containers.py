"""How a file is written, whatever its records look like: JSON, CSV, Parquet, or a data set to be loaded."""

from collections.abc import Iterator, Mapping
from typing import Literal

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context
from tasks.ingest.columnar import parquet_records, parquet_shape
from tasks.ingest.config import IngestConfig
from tasks.ingest.documents import json_records
from tasks.ingest.files import find_files, find_users
from tasks.ingest.formats import with_turns
from tasks.ingest.hub import dataset_digest, dataset_problems, dataset_records
from tasks.ingest.people import person
from tasks.ingest.read import File, digest, open_file
from tasks.ingest.record import Person, Record
from tasks.ingest.separated import csv_records, csv_shape

READERS = {"json": json_records, "csv": csv_records, "parquet": parquet_records, "dataset": dataset_records}
Users = Mapping[int, Mapping[str, Person]]  # source's index -> id -> user


def container(file: File) -> Literal["json", "csv", "parquet", "dataset"]:
    """What a file is, by its source's format, its ending, and where that says nothing by its first bytes."""
    format = file.source.format
    if file.source.is_dataset:
        return "dataset"
    if format == "csv" or (file.suffix in (".csv", ".tsv") and format in ("auto", "context_response", "instructions")):
        return "csv"
    if "parquet" in (format, file.suffix.removeprefix(".")) or (not file.suffix and _begins_as_parquet(file)):
        return "parquet"
    return "json"


def records(file: File, config: IngestConfig, users: Users) -> Iterator[Record]:
    """The records of a file with their turns; a file without any is one reject, one that cannot be read as well."""
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
    """The files, and whatever can be told of them without reading them: headers, schemas, whether a data set is there.

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
    """(name, digest) of everything that is read: the files by path within each source, then the files of users.

    Raises:
        ConfigError, InputError: what can be told without reading everything is wrong.
    """
    files = checked_files(config, context)
    digests = [(file.label, dataset_digest(file) if file.source.is_dataset else digest(file)) for file in files]
    return digests + [(f"users: {file.label}", digest(file)) for file in find_users(config, [])]


def read_users(config: IngestConfig) -> Users:
    """The users that the sources name, in memory: some 300 bytes each.

    Raises:
        InputError: something in a file of users is no user, whose name would then not be known to be one.
    """
    found: dict[int, dict[str, Person]] = {}
    for file in find_users(config, []):
        table = found.setdefault(file.index, {})
        for record in json_records(file, config):
            value = record.value or {}
            listed = value.get("users")
            for user in listed if isinstance(listed, list) else [value]:
                if not isinstance(user, dict) or isinstance(user.get("id"), bool | list | dict | None):
                    raise InputError(
                        f"{file.label}: record {record.number} is no user ({record.reason or 'no id'}); expected "
                        f'lines or a list of {{"id", "name", "email", "phone", "role"}}'
                    )
                table[str(user["id"]).strip()] = person(user)
    return found


def _problems(file: File, config: IngestConfig) -> list[str]:
    kind = container(file)
    try:
        if kind == "dataset":
            return dataset_problems(file, config)
        return (
            csv_shape(file, config)[1] if kind == "csv" else parquet_shape(file, config)[1] if kind == "parquet" else []
        )
    except InputError as error:
        return [str(error)]


def _begins_as_parquet(file: File) -> bool:
    with open_file(file) as stream:
        return stream.read(4) == b"PAR1"
