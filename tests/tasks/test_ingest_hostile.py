"""Files that would hang a run, fill its memory or lead it out of their folder are refused, naming file and limit."""

import bz2
import gzip
import lzma
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deskloop.contract.errors import ConfigError, DeskloopError
from tasks.ingest.look import pipeline_for
from tests.tasks.test_ingest import TURNS, collect, write_lines

GOOD = {"id": "a", "turns": TURNS}


def refusal(folder: Path, path: str, **options: Any) -> str:
    """The message of a run that is refused."""
    declared = options.pop("source", {})
    with pytest.raises(DeskloopError) as error:
        collect(folder, {"path": path, **declared}, **options)
    assert error.value.exit_code == 2
    return str(error.value)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(("make", "kind"), [(fifo, "a named pipe"), (device, "a device"), (unix_socket, "a socket")])
def test_what_is_no_regular_file_is_refused_without_being_opened(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    (tmp_path / "logs").mkdir()
    write_lines(tmp_path / "logs" / "a.jsonl", [GOOD])
    make(tmp_path / "logs" / "x.jsonl")
    assert f"is {kind}; only regular files are read" in refusal(tmp_path, "logs/x.jsonl")
    assert f"is {kind}; only regular files are read" in refusal(tmp_path, "a.jsonl", source={"users": "logs/x.jsonl"})
    for source in ("logs", "logs/*.jsonl"):
        told = refusal(tmp_path, source)
        assert "'x.jsonl', a link that leads out of it" in told if make is device else f"'x.jsonl', {kind};" in told
    with pytest.raises(ConfigError, match=f"is {kind}"):
        pipeline_for(str(tmp_path / "logs" / "x.jsonl"), tmp_path)
    assert f"'logs' contains 'x.jsonl', {'a link' if make is device else kind}" in refusal(
        tmp_path, "logs", source={"format": "huggingface"}
    )


@pytest.mark.parametrize("source", ["logs", "logs/*.jsonl", "logs/**/*.jsonl"])
def test_a_link_out_of_the_folder_is_read_only_on_request(tmp_path: Path, source: str) -> None:
    (tmp_path / "logs").mkdir()
    write_lines(tmp_path / "secret.jsonl", [{"id": "secret", "turns": TURNS}])
    write_lines(tmp_path / "logs" / "a.jsonl", [GOOD])
    (tmp_path / "logs" / "x.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert "'x.jsonl', a link that leads out of it; set `follow_links: true`" in refusal(tmp_path, source)
    frame = collect(tmp_path, {"path": source, "follow_links": True})
    assert frame["row_id"].tolist() == ["a", "secret"]
    assert collect(tmp_path, {"path": "logs/x.jsonl"})["row_id"].tolist() == ["secret"]  # named by itself


def test_a_folder_behind_a_link_is_read_only_on_request_and_once(tmp_path: Path) -> None:
    for name in ("logs", "elsewhere"):
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / f"{name}.jsonl", [{"id": name, "turns": TURNS}])
    (tmp_path / "logs" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs" / "round").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "latest.jsonl").symlink_to("logs.jsonl")
    assert "a link that leads out of it" in refusal(tmp_path, "logs")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    frame = collect(tmp_path, {"path": "logs", "follow_links": True})
    assert frame[["row_id", "reject"]].to_numpy().tolist() == [["elsewhere", None], ["logs", None]]


@pytest.mark.parametrize(
    ("name", "opened"),
    [("x.jsonl.gz", gzip.open), ("x.csv.gz", gzip.open), ("x.json.bz2", bz2.open), ("x.jsonl.xz", lzma.open)],
)  # fmt: skip
@pytest.mark.parametrize(
    "content", [b"\n" * 1_000_000, bytes(1_000_000), b"{}," * 300_000], ids=["newlines", "zeros", "objects"]
)
def test_an_archive_of_nothing_is_refused(tmp_path: Path, name: str, opened: Any, content: bytes) -> None:
    with opened(tmp_path / name, "wb") as file:
        for _ in range(5):
            file.write(content)
    assert f"{name} unpacks to more than 200 times its size" in refusal(tmp_path, name)
    assert "raise `max_ratio`" in refusal(tmp_path, name)
    told = refusal(tmp_path, name, max_ratio=10**9, max_unpacked_bytes=10**6)
    assert f"{name} unpacks to more than 1,000,000 bytes; if that is expected, raise `max_unpacked_bytes`" in told
    with pytest.raises(DeskloopError, match="unpacks to more than"):
        pipeline_for(str(tmp_path / name), tmp_path)


def test_a_log_that_packs_well_is_read(tmp_path: Path) -> None:
    text = {n: os.urandom(30).hex() * 40 for n in range(2_000)}
    lines = b"".join(b'{"id": "%d", "turns": [{"role": "user", "text": "%s"}]}\n' % (n, text[n].encode()) for n in text)
    packed = gzip.compress(lines)
    assert len(lines) > max(4_000_000, 25 * len(packed))
    (tmp_path / "x.jsonl.gz").write_bytes(packed)
    assert collect(tmp_path, {"path": "x.jsonl.gz"})["reject"].isna().all()


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_millions_of_blank_lines_are_passed_over(tmp_path: Path, name: str) -> None:
    rows = (
        b"id,role,text\n1,user,hi\n" if name == "x.csv" else b'{"id": "1", "turns": [{"role": "user", "text": "hi"}]}\n'
    )
    (tmp_path / name).write_bytes(rows + b" \r\n\n" * 3_000_000 + rows.splitlines()[-1] + b"x")
    frame = collect(tmp_path, {"path": name})
    expected = ["1"] if name == "x.csv" else ["1", "x.jsonl:6000002"]
    assert frame["row_id"].tolist() == expected
    assert [turn["text"] for turn in frame["turns"][0]] == (["hi", "hix"] if name == "x.csv" else ["hi"])


def test_a_stray_quote_before_millions_of_lines_loses_only_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'id,role,text\n"' + b"\n" * 2_000_000 + b"1,user,hi\n")
    assert collect(tmp_path, {"path": "x.csv"})["row_id"].tolist() == ["x.csv:2", "1"]


@pytest.mark.parametrize(
    "content", [b"[" + b"{}," * 300_000 + b"{}]", b"[" + b"[]," * 300_000 + b"{}]", b"[" * 300_000]
)
def test_a_document_that_would_fill_the_memory_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    told = refusal(tmp_path, "x.json", max_document_memory=20_000_000, max_record_bytes=100_000)
    assert "x.json is a single JSON document that would take about" in told
    assert "more than 20,000,000; write it as JSON Lines" in told
    assert "raise `max_document_memory`" in told
    assert "raise `max_document_bytes`" in refusal(
        tmp_path, "x.json", max_document_bytes=200_000, max_record_bytes=1_000
    )


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_table_of_too_many_columns_is_refused(tmp_path: Path, name: str) -> None:
    columns = [f"column{number}" for number in range(3_000)]
    if name == "x.csv":
        (tmp_path / name).write_text(",".join(columns) + "\n" + ",".join(columns) + "\n")
    else:
        pq.write_table(pa.table({column: ["x"] for column in columns}), tmp_path / name)
    assert f"{name} has 3,000 columns; at most 2,000 are allowed (`max_columns`)" in refusal(tmp_path, name)
    with pytest.raises(DeskloopError, match="has 3,000 columns"):
        pipeline_for(str(tmp_path / name), tmp_path)


def test_30_000_columns_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",".join(f"c{number}" for number in range(30_000)) + "\n")
    assert "has 30,000 columns" in refusal(tmp_path, "x.csv")
    assert "needs columns for" in refusal(tmp_path, "x.csv", max_columns=30_000)


@pytest.mark.parametrize(
    "columns",
    [
        {"instruction": ["x" * 1_000] * 100_000, "response": ["hello"] * 100_000},
        {"id": ["1"] * 500_000, "role": ["user"] * 500_000, "text": ["x"] * 500_000},
        {"turns": [[{"role": "user", "text": "x" * 500}]] * 20_000},
        {"instruction": ["x" * 5_000_000] * 3, "response": ["hello"] * 3},
        {"instruction": pa.nulls(2_000_000, pa.string()), "response": pa.nulls(2_000_000)},
    ],
)
def test_parquet_with_a_high_compression_ratio_is_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data" / "train.parquet", compression="zstd")
    assert "train.parquet unpacks to more than 200 times its size" in refusal(tmp_path, "data/train.parquet")
    with pytest.raises(DeskloopError, match="unpacks to more than 200 times"):
        pipeline_for(str(tmp_path / "data" / "train.parquet"), tmp_path)


def test_a_data_set_with_a_high_compression_ratio_is_refused(tmp_path: Path) -> None:
    options = {"source": {"format": "huggingface"}}
    data = tmp_path / "data"
    data.mkdir()
    pq.write_table(pa.table({"instruction": ["x" * 1_000] * 100_000}), data / "train.parquet")
    assert "data/train.parquet unpacks to more than 200 times its size" in refusal(tmp_path, "data", **options)
    (data / "train.parquet").unlink()
    (data / "train.jsonl.gz").write_bytes(gzip.compress(b"\n" * 20_000_000))
    assert "data/train.jsonl.gz unpacks to more than 200 times its size" in refusal(tmp_path, "data", **options)
    (data / "train.jsonl.gz").rename(data / "x")
    (data / "x").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(8))
    assert "data/x: the size of this archive cannot be bounded" in refusal(tmp_path, "data", **options)


def test_a_conversation_of_too_many_turns_is_rejected(tmp_path: Path) -> None:
    turns = [TURNS[0]] * 11
    write_lines(tmp_path / "x.jsonl", [GOOD, {"id": "b", "turns": turns}, {"id": "c", "turns": turns[1:]}])
    frame = collect(tmp_path, {"path": "x.jsonl"}, max_turns=10)
    assert frame["reject"].tolist() == [None, "too_many_turns", None]
