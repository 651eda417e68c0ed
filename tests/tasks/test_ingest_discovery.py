"""Sources: files, globs, URLs, compression; and everything that is wrong with them at once."""

import bz2
import gzip
import logging
import lzma
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import fsspec
import pytest

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context
from tasks.ingest import STAGE, IngestConfig, inputs
from tests.tasks.test_ingest import KEY, TURNS, collect, write_lines

GOOD = b'{"id": "%d", "turns": [{"role": "user", "text": "canary"}]}\n'


def listed(folder: Path, *sources: Mapping[str, object]) -> list[tuple[str, str]]:
    config = IngestConfig.model_validate({"sources": sources}, context=folder)
    return inputs(config, Context(step="ingest", key=KEY))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.rm("/bucket", recursive=True)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_compression_is_detected_from_content(tmp_path: Path, name: str, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / name).write_bytes(compress(GOOD % 1 + GOOD % 2))
    frame = collect(tmp_path, {"path": name})
    assert frame["conversation_id"].tolist() == ["1", "2"]
    assert frame["source"].tolist() == ["x", "x"]


def test_a_glob_is_read_in_the_order_of_its_paths_without_folders(tmp_path: Path) -> None:
    (tmp_path / "log" / "b.jsonl").mkdir(parents=True)
    for number, name in enumerate(["c.jsonl", "a.jsonl", "d.txt"]):
        (tmp_path / "log" / name).write_bytes(GOOD % number)
    assert [name for name, _ in listed(tmp_path, {"path": "log/*.jsonl"})] == ["a.jsonl", "c.jsonl"]
    assert collect(tmp_path, {"path": "log/*.jsonl"})["conversation_id"].tolist() == ["1", "0"]


@pytest.mark.parametrize(
    "pattern", ["log/*.jsonl", "l*/*.jsonl", "../*/log/*.jsonl", "{folder}/log/?.jsonl", "**/*.jsonl"]
)
def test_wildcards_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "desk[1]*"
    (folder / "log").mkdir(parents=True)
    (folder / "log" / "a.jsonl").write_bytes(GOOD % 1)
    assert [name for name, _ in listed(folder, {"path": pattern.format(folder=folder)})] == ["a.jsonl"]
    with pytest.raises(ConfigError, match=r"matches no file; the nearest name there is 'a\.jsonl'"):
        listed(folder, {"path": "log/b?.jsonl"})


def test_digests_follow_the_bytes_and_names_carry_no_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log[1].jsonl").write_bytes(GOOD % 1)
    first = listed(tmp_path, {"path": "a/log[1].jsonl"})
    assert first[0][0] == "log[1].jsonl"
    assert first == listed(tmp_path, {"path": "b/log[1].jsonl"})
    (tmp_path / "a" / "log[1].jsonl").write_bytes(GOOD % 2)
    assert first != listed(tmp_path, {"path": "a/log[1].jsonl"})


def test_files_of_one_name_keep_their_rejects_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.jsonl").write_bytes(b"junk\n")
    frame = collect(tmp_path, {"path": "a/log.jsonl"}, {"path": "b/log.jsonl"})
    assert frame["row_id"].tolist() == ["a_log.jsonl:1", "b_log.jsonl:1"]


def test_a_url_is_read_like_a_file(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name, number in (("/bucket/b.jsonl.gz", 2), ("/bucket/a.jsonl.gz", 1)):
        with memory.open(name, "wb") as file:
            file.write(gzip.compress(GOOD % number))
    source = {"path": "memory://bucket/*.jsonl.gz"}
    assert collect(tmp_path, source)["conversation_id"].tolist() == ["1", "2"]
    before = listed(tmp_path, source)
    assert [name for name, _ in before] == ["a.jsonl.gz", "b.jsonl.gz"]
    assert before == listed(tmp_path, source)
    with memory.open("/bucket/a.jsonl.gz", "wb") as file:
        file.write(gzip.compress(GOOD % 3))
    after = listed(tmp_path, source)
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)
    with pytest.raises(ConfigError, match=r"matches no file; the nearest name there is 'a\.jsonl\.gz'"):
        listed(tmp_path, {"path": "memory://bucket/a*.json.gz"})


def test_all_problems_of_the_sources_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "none" / ".hidden").mkdir(parents=True)
    (tmp_path / "none" / ".hidden" / "log.jsonl").write_bytes(GOOD % 1)
    (tmp_path / "none" / "photo.png").write_bytes(b"canary")
    (tmp_path / "logs" / "support.jsonl.gz").write_bytes(gzip.compress(GOOD % 1))
    paths = ["logs/suport.jsonl.gz", "none", ".", "logs/*.csv", "log/x.jsonl", "nosuch://a/b", "logs/support*", "logs"]
    with pytest.raises(ConfigError) as error:
        collect(tmp_path, *[{"path": path} for path in paths])
    assert error.value.exit_code == 2
    assert [problem.split(": ", 1)[1] for problem in error.value.problems] == [
        "'logs/suport.jsonl.gz' does not exist; the nearest name there is 'support.jsonl.gz'",
        "'none' is a folder without any .csv, .json, .jsonl, .ndjson, .parquet, .tsv file, compressed or not",
        "'.' also contains the pipeline file and its store; move the logs to a separate folder",
        "'logs/*.csv' matches no file; paths are relative to the pipeline file",
        "'log/x.jsonl' does not exist; the nearest name there is 'logs'",
        "'nosuch://a/b' cannot be opened: ValueError",
        "'support.jsonl.gz' is already read by sources[6]",
    ]
    assert str(tmp_path) not in str(error.value)


def test_credentials_in_a_url_are_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        listed(tmp_path, {"path": "nosuch://ann:s3cret@host/x"}, {"path": "https://u:s3cret@127.0.0.1:9/x?sig=s3cret"})
    assert len(error.value.problems) == 2
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_archive_stops_the_run(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(b"".join(GOOD % number for number in range(5_000)))
    for damaged in (whole[: len(whole) // 2], whole[:40] + b"junk" * 20 + whole[120:]):
        (tmp_path / "x.jsonl.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"x\.jsonl\.gz cannot be read to its end") as error:
            collect(tmp_path, {"path": "x.jsonl.gz"})
        assert "canary" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(GOOD % 1)
    (tmp_path / "x.jsonl").chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        listed(tmp_path, {"path": "x.jsonl"})


def test_fields_that_no_record_has_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lines(tmp_path / "x.jsonl", [{"turns": TURNS, "a": 1}, {"turns": TURNS, "no_training": False}])
    with caplog.at_level(logging.WARNING):
        collect(tmp_path, {"path": "x.jsonl", "opt_out": "no_trainning", "metadata": ["a", "no_training"]})
    assert caplog.messages == ["sources[0]: no record has no_trainning"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "path"),
        ({"path": ""}, "path"),
        ({"path": "x", "fromat": "csv"}, "fromat"),
        ({"path": "x", "format": "xml"}, "format"),
        ({"path": "x", "columns": {"txt": "a"}}, "txt"),
        ({"path": "x", "encoding": "utf-16"}, "convert the file to utf-8"),
        ({"path": "x", "encoding": "klingon"}, "not a text encoding"),
        ({"path": "x", "customer": {"name": "a"}}, "name"),
    ],
)
def test_a_bad_config_is_refused_without_its_values(source: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        IngestConfig.model_validate({"sources": [source]})


def test_the_stage_declares_what_it_is() -> None:
    assert (STAGE.name, STAGE.dataset, STAGE.zone, STAGE.keyed) == (
        "ingest",
        "ingested",
        ("world", "raw"),
        True,
    )
