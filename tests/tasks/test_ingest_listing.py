"""A folder as a source: every file is read by its own format, and none is skipped silently."""

import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, inputs
from tests.tasks.test_ingest import KEY, TURNS, collect, shape, write_lines
from tests.tasks.test_ingest_zendesk import USERS, ticket

SAID = [("customer", "hi", False), ("agent", "hello", True)]


def fill(folder: Path) -> None:
    """A file of each kind, and some of none."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".git").mkdir()
    write_lines(folder / "b.jsonl", [{"id": "b", "turns": TURNS}])
    (folder / "a.csv").write_text("customer,agent,id\nhi,hello,a\n")
    (folder / "deep" / "c.json.gz").write_bytes(gzip.compress(json.dumps([{"id": "c", "turns": TURNS}]).encode()))
    pq.write_table(pa.Table.from_pylist([{"id": "d", "turns": TURNS}]), folder / "deep" / "er" / "D.PARQUET")
    (folder / "e.json").write_text(json.dumps({"tickets": [ticket(7, requester=USERS[0])], "users": USERS}))
    write_lines(folder / "f.ndjson", [{"id": "f", "conversations": [{"from": "human", "value": "hi"}]}])
    (folder / "photo.png").write_bytes(b"canary")
    (folder / "deep" / "README").write_text("canary")
    (folder / "deep" / "notes.txt").write_text("canary")
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / ".DS_Store").write_bytes(b"canary")
    (folder / ".git" / "x.jsonl").write_bytes(b"canary")


def test_every_file_is_read_by_its_own_format_or_rejected(tmp_path: Path) -> None:
    fill(tmp_path / "exports")
    for path in ("exports", "exports/", str(tmp_path / "exports")):
        frame = collect(tmp_path, {"path": path})
        assert frame[["row_id", "reject"]].to_numpy().tolist() == [
            ["a", None],
            ["b", None],
            ["README:1", "unknown_file"],
            ["c", None],
            ["d", None],
            ["notes.txt:1", "unknown_file"],
            ["7", None],
            ["empty.jsonl:1", "empty_file"],
            ["f", None],
            ["photo.png:1", "unknown_file"],
        ]
        assert frame["raw"].isna().all()
        assert [turns for name, turns in shape(frame) if name in "abcd"] == [SAID] * 4
        assert frame["source"].tolist()[4] == "D"


def test_what_is_in_a_folder_is_in_its_digests(tmp_path: Path) -> None:
    fill(tmp_path / "exports")
    config = IngestConfig.model_validate({"sources": [{"path": "exports"}]}, context=tmp_path)
    context = Context("ingest", key=KEY)
    before = inputs(config, context)
    assert [name for name, _ in before] == [
        *("a.csv", "b.jsonl", "README", "c.json.gz", "D.PARQUET", "notes.txt", "e.json", "empty.jsonl", "f.ndjson"),
        "photo.png",
    ]
    (tmp_path / "exports" / "photo.png").write_bytes(b"other")  # its content is not read
    (tmp_path / "exports" / ".DS_Store").write_bytes(b"other")
    assert inputs(config, context) == before
    write_lines(tmp_path / "exports" / "b.jsonl", [{"id": "b2", "turns": TURNS}])
    (tmp_path / "exports" / "photo.png").unlink()
    assert {name for name, _ in set(before) - set(inputs(config, context))} == {"b.jsonl", "photo.png"}


def test_a_folder_behind_a_url(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/exports/day/x.jsonl", json.dumps({"id": "x", "turns": TURNS}).encode())
    memory.pipe("/exports/y.bin", b"canary")
    try:
        frame = collect(tmp_path, {"path": "memory://exports"})
    finally:
        memory.rm("/exports", recursive=True)
    assert frame[["row_id", "reject"]].to_numpy().tolist() == [["x", None], ["y.bin:1", "unknown_file"]]


def test_a_file_of_a_folder_that_is_read_by_another_source_too_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "exports")
    with pytest.raises(ConfigError, match=r"sources\[1\]: 'b\.jsonl' is already read by sources\[0\]"):
        collect(tmp_path, {"path": "exports"}, {"path": "exports/*.jsonl"})


@pytest.mark.parametrize("path", [".", "..", "logs/.."])
def test_the_folder_of_the_pipeline_itself_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "logs").mkdir()
    write_lines(tmp_path / "x.jsonl", [{"turns": TURNS}])
    with pytest.raises(ConfigError, match="also contains the pipeline file and its store"):
        collect(tmp_path, {"path": path})


def test_damage_in_a_folder_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "exports")
    (tmp_path / "exports" / "g.csv").write_text("x,y\n1,2\n")
    (tmp_path / "exports" / "h.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(ConfigError) as error:
        collect(tmp_path, {"path": "exports"})
    assert [problem.split(" ")[1] for problem in error.value.problems] == ["g.csv", "h.parquet"]
