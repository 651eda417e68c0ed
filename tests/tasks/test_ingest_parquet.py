"""Parquet: records of any shape, pairs, rows for each turn; typed cells; files that are damaged."""

import gzip
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.schema import RAW_CONVERSATION, conversations, to_table
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, ingest
from tasks.ingest.identity import customer_keys
from tests.tasks.test_ingest import KEY, TURNS, collect, shape, write_lines
from tests.tasks.test_ingest_zendesk import USERS, ticket

SAID = [("customer", "hi", False), ("agent", "hello", True)]


def write(path: Path, rows: list[dict[str, Any]] | Mapping[str, Any], **options: Any) -> Path:
    table = pa.Table.from_pylist(rows) if isinstance(rows, list) else pa.table(dict(rows))
    pq.write_table(table, path, **options)
    return path


def test_a_row_of_typed_cells_becomes_a_whole_raw_conversation(tmp_path: Path) -> None:
    at = datetime(2024, 3, 1, 10, tzinfo=UTC)
    row = {
        "id": 4711,
        "turns": [{"role": "customer", "text": "hi", "at": at}, {"role": "agent", "text": "hello", "at": None}],
        "started_at": at.replace(tzinfo=None),
        "intent": "greeting",
        "rating": Decimal("4.50"),
        "customer": {"id": 900001.0, "name": "Ann Lee", "email": None},
        "day": date(2024, 3, 1),
        "shop": b"north",
        "score": float("nan"),
    }
    write(tmp_path / "log.parquet", [row])
    frame = collect(tmp_path, {"path": "log.parquet", "metadata": ["day", "shop", "score"]})
    expected = conversations(
        [
            {
                "conversation_id": "4711",
                "source": "log",
                "started_at": at,
                "customer_keys": customer_keys([("id", "900001")], KEY),
                "turns": [{"role": "customer", "text": "hi", "at": at}, {"role": "agent", "text": "hello"}],
                "intent": "greeting",
                "intent_source": "log",
                "intent_confidence": 1.0,
                "rating": 4.5,
                "metadata": {"day": "2024-03-01", "shop": "north"},
                "known": {"CUSTOMER_ID": ["900001"], "PERSON": ["Ann Lee"]},
            }
        ],
        RAW_CONVERSATION,
    ).assign(reject=pd.Series([None], dtype=object), raw=pd.Series([None], dtype=object))
    assert_frame_equal(frame, expected)


@pytest.mark.parametrize(
    "row",
    [
        {"turns": TURNS},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
        {"context": ["hi"], "response": "hello"},
        {"context": "hi", "context/0": None, "response": "hello"},
        {"instruction": "hi", "response": "hello"},
        {"customer": "hi", "agent": "hello"},
    ],
)
@pytest.mark.parametrize("format", ["auto", "parquet"])
def test_a_row_may_be_a_record_of_any_shape(tmp_path: Path, row: dict[str, object], format: str) -> None:
    write(tmp_path / "log.parquet", [{"id": "a", **row}, {"id": "b", **row}])
    assert shape(collect(tmp_path, {"path": "log.parquet", "format": format})) == [("a", SAID), ("b", SAID)]


def test_tickets_in_parquet_are_those_of_the_export(tmp_path: Path) -> None:
    fields = {"requester": USERS[0], "via": {"channel": "email"}, "custom_fields": [{"id": 1, "value": "x"}]}
    tickets = [ticket(n, **fields) for n in range(3)]
    write(tmp_path / "z.parquet", tickets)
    write_lines(tmp_path / "z.jsonl", tickets)
    assert_frame_equal(collect(tmp_path, {"path": "z.parquet"}), collect(tmp_path, {"path": "z.jsonl"}))


def test_rows_of_turns_are_joined_in_any_order(tmp_path: Path) -> None:
    columns = {
        "conversation_id": [7, 8, 7, None, 8],
        "role": ["user", "user", "agent", "user", "agent"],
        "text": ["hi", "hi", "hello", "lost", "hello"],
        "email": ["a@x.example", None, "b@x.example", None, None],
        "no": [False, False, None, False, True],
    }
    write(tmp_path / "log.parquet", columns, row_group_size=2)
    frame = collect(tmp_path, {"path": "log.parquet", "known": {"EMAIL_ADDRESS": "email"}, "opt_out": "no"})
    assert frame["row_id"].tolist() == ["7", "log.parquet:4", "log.parquet:2"]
    assert frame["reject"].tolist() == [None, "no_conversation_id", "opted_out"]
    assert shape(frame)[0] == ("7", SAID)
    assert frame["known"][0] == {"EMAIL_ADDRESS": ["a@x.example", "b@x.example"]}


def test_parquet_without_an_extension_is_detected_from_its_first_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "part-00000", [{"id": "a", "turns": TURNS}])
    assert shape(collect(tmp_path, {"path": "part-00000"})) == [("a", SAID)]
    (tmp_path / "log.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert shape(collect(tmp_path, {"path": "log.parquet.gz"})) == [("a", SAID)]


def test_missing_columns_are_named_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [{"ticket": 1, "role": "canary", "body": "canary"}])
    write(tmp_path / "b.parquet", [{"id": 1, "turns": TURNS, "customer": {"mail": "canary"}}])
    sources: list[dict[str, Any]] = [
        {"path": "a.parquet", "columns": {"conversation_id": "tickets", "text": "body"}},
        {"path": "b.parquet", "customer": {"email": "customer.mail"}, "opt_out": "no", "columns": {"text": "body"}},
    ]
    with pytest.raises(ConfigError) as error:
        collect(tmp_path, *sources)
    assert error.value.problems == [
        "sources[0]: a.parquet has no column 'tickets' (columns.conversation_id); the nearest is 'ticket'",
        "sources[1]: b.parquet has no column 'no' (opt_out)",
    ]
    with pytest.raises(ConfigError, match=r"needs columns for conversation_id, role and text.*set columns\.text"):
        collect(tmp_path, {"path": "a.parquet", "columns": {"conversation_id": "ticket"}})


def test_a_broken_row_is_rejected_and_the_others_are_read(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"\xff\xfe", b"c", b"d", b"", None, b"x" * 5_000]).view(pa.binary())
    broken = pa.StringArray.from_buffers(len(texts), *texts.buffers()[1:], texts.buffers()[0])
    columns = {"id": ["1", "2", "3", "1", "5", "6", "7"], "instruction": broken, "response": ["r"] * 6 + [""]}
    write(tmp_path / "x.parquet", columns)
    frame = collect(tmp_path, {"path": "x.parquet"}, max_record_bytes=2_000)
    assert frame["row_id"].tolist() == ["1", "x.parquet:2", "3", "x.parquet:4", "5", "6", "x.parquet:7"]
    assert frame["reject"].tolist() == [None, "invalid_encoding", None, "duplicate_id", None, None, "record_too_long"]
    to_table(frame, RAW_CONVERSATION)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"turns": [{"role": "ghost", "text": "a"}]}, "unknown_role"),
        ({"turns": [{"role": "user", "text": None}]}, "bad_turns"),
        ({"turns": []}, "no_turns"),
        ({"turns": None}, "no_turns"),
        ({"turns": [{"role": "user", "text": " "}]}, "empty_conversation"),
    ],
)
def test_a_broken_record_is_rejected_with_its_content(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    write(tmp_path / "x.parquet", [{"id": "ok", "turns": TURNS}, {"id": "no", **row}, {"id": "ok2", "turns": TURNS}])
    frame = collect(tmp_path, {"path": "x.parquet"})
    assert frame["row_id"].tolist() == ["ok", "x.parquet:2", "ok2"]
    assert frame["reject"].tolist() == [None, reason, None]
    assert frame["raw"][1].startswith(b'{"id":"no"')


def test_a_file_that_is_cut_off_or_something_else_is_refused_at_the_start(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.parquet", [{"id": "a", "turns": TURNS, "canary": "canary"}]).read_bytes()
    contents = [
        whole[:-20],
        whole[: len(whole) // 2],
        b"",
        b'{"id": "canary"}',
        whole[:-40] + b"\xff" * 32 + whole[-8:],
    ]
    for content in contents:
        (tmp_path / "x.parquet").write_bytes(content)
        with pytest.raises(ConfigError, match=r"x\.parquet (is not a complete Parquet file|cannot be read)") as error:
            collect(tmp_path, {"path": "x.parquet"})
        assert error.value.exit_code == 2
        assert "canary" not in str(error.value)


def test_pages_that_are_damaged_stop_the_run_because_their_rows_are_unknown(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "instruction": f"canary {n * 7919}", "response": "r"} for n in range(2_000)]
    path = write(tmp_path / "x.parquet", rows, compression="zstd", use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    damaged[4_000:4_400] = bytes(400)
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"x\.parquet") as error:
        collect(tmp_path, {"path": "x.parquet"})
    assert "canary" not in str(error.value)


def test_an_empty_table_is_one_reject(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([], pa.string()), "turns": pa.array([], pa.list_(pa.string()))}),
                   tmp_path / "x.parquet")  # fmt: skip
    frame = collect(tmp_path, {"path": "x.parquet"})
    assert frame[["row_id", "reject", "raw"]].to_numpy().tolist() == [["x.parquet:1", "empty_file", None]]


def test_a_large_row_group_streams(tmp_path: Path) -> None:
    rows = {"id": [f"n{n}" for n in range(1_500)], "instruction": ["x" * 40_000] * 1_500, "response": ["y"] * 1_500}
    write(tmp_path / "x.parquet", rows, use_dictionary=False, compression="none", data_page_size=1 << 20,
          write_batch_size=16)  # fmt: skip
    config = IngestConfig.model_validate({"sources": [{"path": "x.parquet"}]}, context=tmp_path)
    before = pa.total_allocated_bytes()
    most = 0
    tracemalloc.start()
    for frame in ingest(config, Context("ingest", key=KEY)):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(frame) <= 1_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 30_000_000  # of 60 MB in one row group
    assert peak < 90_000_000
