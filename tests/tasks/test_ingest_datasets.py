"""Data sets that the library `datasets` loads from local folders."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, check, inputs
from tests.tasks.test_ingest import KEY, TURNS, collect, shape, write_lines

RECORDS = [
    {"id": f"d{n}", "turns": TURNS, "intent": "greeting", "rating": 4.0, "customer": {"id": f"C-10{n}", "name": "Ann"},
     "started_at": "2024-03-01T10:00:00", "no": n == 2}
    for n in range(4)
]  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / ".cache")


def source(**options: object) -> dict[str, Any]:
    return {"path": "chats", "format": "huggingface", **options}


def listed(folder: Path, *sources: dict[str, Any]) -> list[tuple[str, str]]:
    config = IngestConfig.model_validate({"sources": sources}, context=folder)
    return inputs(config, Context("ingest", key=KEY))


def write_jsonl(folder: Path, split: str, records: Sequence[object]) -> None:
    folder.mkdir(exist_ok=True)
    write_lines(folder / f"{split}.jsonl", records)


def write_parquet(folder: Path, split: str, records: Sequence[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(records)), folder / f"{split}.parquet")


def save(folder: Path, split: str, records: Sequence[dict[str, Any]]) -> None:
    datasets.DatasetDict({split: datasets.Dataset.from_list(list(records))}).save_to_disk(str(folder))


def save_one(folder: Path, split: str, records: Sequence[dict[str, Any]]) -> None:
    datasets.Dataset.from_list(list(records)).save_to_disk(str(folder))


@pytest.mark.parametrize("write", [write_jsonl, write_parquet, save, save_one])
def test_a_data_set_gives_the_rows_that_its_records_give_as_lines(
    tmp_path: Path, write: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    datasets.disable_progress_bars()  # of what writes the data set here
    write(tmp_path / "chats", "train", RECORDS)
    datasets.enable_progress_bars()
    capfd.readouterr()
    write_lines(tmp_path / "chats.jsonl", RECORDS)
    found = collect(tmp_path, source(opt_out="no", metadata=["intent"]))
    expected = collect(tmp_path, {"path": "chats.jsonl", "opt_out": "no", "metadata": ["intent"]})
    assert expected["reject"].tolist() == [None, None, "opted_out", None]
    expected.loc[2, ["row_id", "conversation_id"]] = "chats:3"
    assert_frame_equal(found, expected)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
        {"context": "hi", "context/0": None, "response": "hello"},
        {"instruction": "hi", "response": "hello"},
        {"customer": "hi", "agent": "hello"},
    ],
)
def test_records_of_any_shape(tmp_path: Path, record: dict[str, object]) -> None:
    write_jsonl(tmp_path / "chats", "train", [{"id": "a", **record}])
    assert shape(collect(tmp_path, source())) == [("a", [("customer", "hi", False), ("agent", "hello", True)])]


def test_rows_for_each_turn_and_columns_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats" / "train.csv").write_text("ticket,who,body\n1,user,hi\n2,user,a\n1,agent,hello\n2,agent,b\n")
    columns = {"conversation_id": "ticket", "role": "who", "text": "body"}
    frame = collect(tmp_path, source(columns=columns))
    assert frame["row_id"].tolist() == ["1", "2"]
    assert shape(frame)[0] == ("1", [("customer", "hi", False), ("agent", "hello", True)])
    with pytest.raises(ConfigError, match=r"chats has no column 'boddy' \(columns\.text\); the nearest is 'body'"):
        collect(tmp_path, source(columns={**columns, "text": "boddy"}))


def test_splits_files_and_subsets_are_chosen(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "chats", "train", RECORDS[:1])
    write_jsonl(tmp_path / "chats", "test", RECORDS[1:2])
    assert collect(tmp_path, source())["row_id"].tolist() == ["d0"]
    both = collect(tmp_path, source(split="train"), source(split="test"))
    assert both[["row_id", "source"]].to_numpy().tolist() == [["d0", "chats"], ["d1", "chats"]]
    assert collect(tmp_path, source(data_files="test.jsonl"))["row_id"].tolist() == ["d1"]
    subsets = "- config_name: late\n  data_files: test.jsonl\n- config_name: early\n  data_files: train.jsonl\n"
    (tmp_path / "chats" / "README.md").write_text(f"---\nconfigs:\n{subsets}---\n")
    assert collect(tmp_path, source(name="late"))["row_id"].tolist() == ["d1"]
    with pytest.raises(ConfigError, match="Its subsets: late, early"):
        collect(tmp_path, source(name="middle"))


def test_a_split_in_many_files_is_read_in_their_order(tmp_path: Path) -> None:
    for number in range(20):
        write_jsonl(tmp_path / "chats", f"train-{number:05}-of-00020", [{"id": f"n{number}", "turns": TURNS}])
    assert collect(tmp_path, source())["row_id"].tolist() == [f"n{number}" for number in range(20)]


def test_a_folders_digest_follows_its_files(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "chats", "train", RECORDS)
    (tmp_path / "chats" / ".DS_Store").write_bytes(b"1")
    before = listed(tmp_path, source())
    assert [name for name, _ in before] == ["chats"]
    (tmp_path / "chats" / ".DS_Store").write_bytes(b"2")
    assert listed(tmp_path, source()) == before
    write_jsonl(tmp_path / "chats", "train", RECORDS[:3])
    assert listed(tmp_path, source()) != before


def test_all_unavailable_data_sets_are_reported_at_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "chats", "train", RECORDS)
    (tmp_path / "empty").mkdir()
    wrong = [
        source(path="./nowhere/at/all"),
        source(split="valid"),
        source(path="empty"),
        source(path="hf://datasets/org/name"),
    ]
    config = IngestConfig.model_validate({"sources": wrong}, context=tmp_path)
    start = time.monotonic()
    with pytest.raises(ConfigError) as error:
        check(config, Context("ingest", key=KEY))
    assert time.monotonic() - start < 15  # of which most is the import of the library
    assert error.value.exit_code == 2
    first, second, third, fourth = error.value.problems
    assert first == "sources[0]: data set './nowhere/at/all' is neither a local folder nor a data set's id (ORG/NAME)"
    assert second == "sources[1]: data set 'chats' has no split 'valid'; it has: train. Set `split`"
    assert third.startswith("sources[2]: data set 'empty' cannot be loaded (")
    assert fourth.startswith("sources[3]: data set 'org/name' ")
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b'{"id": "canary", "turns": ['],  # cut off
        [json.dumps(RECORDS[0]).encode(), b"canary"],
    ],
)
def test_a_data_set_that_breaks_off_stops_the_run_because_its_rest_is_unknown(
    tmp_path: Path, lines: list[bytes], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_jsonl(tmp_path / "chats", "train", lines)
    with pytest.raises((InputError, ConfigError), match=r"data set 'chats'|chats cannot be read beyond") as error:
        collect(tmp_path, source())
    assert error.value.exit_code == 2
    assert "canary" not in str(error.value)
    assert (capfd.readouterr(), caplog.text) == (("", ""), "")


def test_broken_records_are_rejected_and_the_others_are_read(tmp_path: Path) -> None:
    broken: list[dict[str, Any]] = [
        {"id": "x", "turns": [{"role": "ghost", "text": "boo"}]},
        {"id": "y", "turns": []},
        {"id": "z"},
        {"id": "w", "turns": [{"role": "user", "text": None}]},
        {"id": "v", "turns": "another type"},
        {"id": "d0", "turns": TURNS},
    ]
    write_jsonl(tmp_path / "chats", "train", [RECORDS[0], *broken, RECORDS[1]])
    frame = collect(tmp_path, source())
    reasons = [None, "unknown_role", "no_turns", "no_turns", "bad_turns", "bad_turns", "duplicate_id", None]
    assert frame["reject"].tolist() == reasons
    assert frame["row_id"].tolist() == ["d0", *(f"chats:{n}" for n in range(2, 8)), "d1"]


def test_a_cell_that_is_no_utf_8_rejects_its_row_alone(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "chats", "train", [*RECORDS[:2], b'{"id": "\xff"}'])
    assert collect(tmp_path, source())["reject"].tolist() == [None, None, "invalid_encoding"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "x.jsonl", "split": "train"}, "split has no meaning"),
        ({"path": "x.parquet", "encoding": "cp1252"}, "encoding has no meaning"),
        ({"path": "x", "format": "parquet", "encoding": "utf-8"}, "encoding has no meaning"),
        ({"path": "hf://datasets/a/b", "encoding": "cp1252"}, "encoding has no meaning"),
        ({"path": "s3://a/b", "follow_links": True}, "follow_links has no meaning"),
        ({"path": "x", "format": "openai", "columns": {"customer": "c"}}, r"columns\.customer has no meaning"),
        (
            {"path": "x", "format": "zendesk", "columns": {"role": "c", "turns": "t"}},
            r"columns\.role, columns\.turns has",
        ),
        ({"path": "x", "format": "csv", "columns": {"turns": "t"}}, r"columns\.turns has no meaning"),
        ({"path": "x", "format": "instructions", "columns": {"text": "t"}}, r"columns\.text has no meaning"),
        ({"path": "x.jsonl", "delimiter": ";"}, "delimiter"),
        ({"path": "x.jsonl", "sheet": "1"}, "sheet"),
        ({"path": "x", "format": "sharegpt", "users": "u"}, "users has no meaning"),
        ({"path": "x", "format": "zendesk", "separators": ["_"]}, "separators has no meaning"),
        ({"path": "x", "format": "huggingface", "split": "train[:5%]"}, "split"),
        ({"path": "x", "format": "huggingface", "data_files": []}, "data_files"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        IngestConfig.model_validate({"sources": [options]})


def test_a_file_in_a_data_set_of_the_hub_is_a_file() -> None:
    config = IngestConfig.model_validate({"sources": [{"path": "hf://datasets/org/name/data/x.jsonl"}]})
    assert not config.sources[0].is_dataset
