"""An unrepresentable cell rejects its row, in every format; the rows around it are read."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deskloop.contract.schema import RAW_CONVERSATION, to_table
from tests.tasks.test_ingest import TURNS, collect, write_lines
from tests.tasks.test_ingest_zendesk import ticket

BEYOND = 300_000_000_000  # seconds since 1970: the year 11476
ODD: dict[str, pa.Array] = {
    "beyond the year 9999": pa.array([0, BEYOND, 1], pa.timestamp("s")),
    "before the year 1": pa.array([0, -BEYOND, 1], pa.timestamp("s")),
    "beyond, with a zone": pa.array([0, BEYOND, 1], pa.timestamp("s", "UTC")),
    "beyond, in milliseconds": pa.array([0, BEYOND * 1000, 1], pa.timestamp("ms")),
    "a day beyond the year 9999": pa.array([0, 4_000_000, 1], pa.date32()),
    "a day beyond in milliseconds": pa.array([0, BEYOND * 1000, 86_400_000], pa.date64()),
    "a duration without end": pa.array([0, 2**62, 1], pa.duration("s")),
    "bytes that are no UTF-8": pa.array([b"a", b"\xff\xfe", b"b"], pa.binary()),
    "inside an object": pa.StructArray.from_arrays([pa.array([0, BEYOND, 1], pa.timestamp("s"))], ["at"]),
    "inside a list": pa.array([[0], [1, BEYOND], []], pa.list_(pa.timestamp("s"))),
}
FINE: dict[str, pa.Array] = {
    "an unknown zone": pa.array([0, 1, 2], pa.timestamp("us", "Mars/Olympus_Mons")),
    "an unknown zone inside": pa.StructArray.from_arrays([pa.array([0, 1, 2], pa.timestamp("us", "Nowhere"))], ["at"]),
    "an odd offset": pa.array([0, 1, 2], pa.timestamp("us", "+25:99")),
    "nanoseconds": pa.array([0, 1, 2], pa.timestamp("ns")),
    "times of day": pa.array([0, 1, 2], pa.time64("ns")),
    "durations": pa.array([timedelta(days=-1), None, timedelta(1)]),
    "decimals": pa.array([Decimal(10) ** 70, Decimal("0.5"), None], pa.decimal256(76, 2)),
    "half floats": pa.array([np.float16(1), np.float16("nan"), np.float16("inf")], pa.float16()),
    "huge numbers": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "infinite numbers": pa.array([float("inf"), float("-inf"), float("nan")]),
    "UUIDs": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.uuid4().bytes] * 3, pa.binary(16))),
    "a map": pa.array([[("a", 1), ("a", 2)], [], None], pa.map_(pa.string(), pa.int64())),
    "a dictionary": pa.array(["x", "y", "x"]).dictionary_encode(),
    "nulls": pa.nulls(3),
    "deep": pa.array([[[[[[[[1]]]]]]], [], None]),
    "other text types": pa.array(["x", "y", "z"], pa.large_string()),
}  # fmt: skip


def table(column: pa.Array) -> pa.Table:
    return pa.table({"id": ["a", "b", "c"], "turns": [TURNS] * 3, "extra": column, "rating": [1.0, 2.0, 3.0]})


def read(folder: Path, written: pa.Table, **source: Any) -> list[object]:
    (folder / "data").mkdir(exist_ok=True)
    pq.write_table(written, folder / "data" / "train.parquet", store_schema=True)
    frame = collect(folder, {"path": "data/train.parquet", "metadata": ["extra"], **source})
    to_table(frame[frame["reject"].isna()], RAW_CONVERSATION)
    reasons: list[object] = frame["reject"].tolist()
    return reasons


@pytest.mark.parametrize("what", ODD)
def test_an_odd_cell_rejects_its_row_of_parquet(tmp_path: Path, what: str) -> None:
    reason = "invalid_encoding" if "UTF-8" in what else "bad_cell"
    assert read(tmp_path, table(ODD[what])) == [None, reason, None]


@pytest.mark.parametrize("what", FINE)
def test_an_unusual_cell_is_read(tmp_path: Path, what: str) -> None:
    assert read(tmp_path, table(FINE[what])) == [None, None, None]


@pytest.mark.parametrize("what", ["beyond the year 9999", "a day beyond the year 9999", "an unknown zone"])
def test_an_odd_cell_rejects_its_row_of_a_data_set(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / ".cache")
    (tmp_path / "data").mkdir()
    pq.write_table(table((ODD | FINE)[what]), tmp_path / "data" / "train.parquet")
    frame = collect(tmp_path, {"path": "data", "format": "huggingface"})
    assert frame["reject"].tolist() == [None, "bad_cell" if what in ODD else None, None]


def test_an_odd_cell_of_a_row_for_each_turn_rejects_its_row(tmp_path: Path) -> None:
    columns = {
        "id": ["a", "a", "b"], "role": ["user", "agent", "user"], "text": ["hi", "hello", "bye"],
        "at": pa.array([0, BEYOND, 1], pa.timestamp("s")),
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    frame = collect(tmp_path, {"path": "x.parquet"})
    assert sorted(zip(frame["row_id"], frame["reject"], strict=True), key=str) == [
        ("a", None), ("b", None), ("x.parquet:2", "bad_cell")
    ]  # fmt: skip


ODD_VALUES = [
    "10000-01-01T00:00:00Z", "0000-00-00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2024-03-01T10:00:00 Mars/Olympus", 10**30, -(10**30), 1e308, -1e308, True, [], {}, [[1]], {"a": {"b": None}}, "",
    "nan",
    "\u0661\u0662", "9" * 5_000, "\x00", "\u202e",
]  # fmt: skip


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value)[:20])
def test_an_odd_value_in_any_field_of_a_record_ends_no_run(tmp_path: Path, value: object) -> None:
    names = ("id", "started_at", "rating", "intent", "source", "customer", "known", "known_pii", "metadata", "no")
    good: dict[str, Any] = {"id": "ok", "turns": TURNS}
    rows = [good, *({**good, "id": f"n-{name}", name: value} for name in names)]
    rows += [{"turns": [{**TURNS[0], name: value}, TURNS[1]]} for name in ("role", "text", "at", "supervise")]
    rows += [
        {"messages": value},
        {"conversations": value},
        {"context": value, "response": "x"},
        {"context/99999": value},
    ]
    write_lines(tmp_path / "x.jsonl", rows)
    source = {"path": "x.jsonl", "opt_out": "no", "metadata": ["metadata", "customer"]}
    frame = collect(tmp_path, source, max_misread=1.0)
    assert len(frame) == len(rows)
    assert frame["reject"][0] is None
    to_table(frame[frame["reject"].isna()], RAW_CONVERSATION)


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value)[:20])
def test_an_odd_value_in_any_field_of_a_ticket_ends_no_run(tmp_path: Path, value: object) -> None:
    whole = ticket(1)
    names = [*whole, "via", "tags", "custom_fields", "collaborator_ids", "satisfaction_rating", "status", "description"]
    rows = [whole, *({**whole, name: value} for name in names if name != "id")]
    rows += [
        {**whole, "comments": [{**whole["comments"][0], name: value}]}
        for name in (*whole["comments"][0], "via", "metadata")
    ]
    write_lines(tmp_path / "x.jsonl", [{**row, "id": n} for n, row in enumerate(rows)])
    frame = collect(tmp_path, {"path": "x.jsonl", "format": "zendesk"}, max_misread=1.0)
    assert len(frame) == len(rows)
    to_table(frame[frame["reject"].isna()], RAW_CONVERSATION)


def test_a_number_that_no_context_has_rejects_its_record(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "x.jsonl", [{"context": "a", "context/" + "9" * 5_000: "b", "response": "c"}, {"turns": TURNS}]
    )
    assert collect(tmp_path, {"path": "x.jsonl"})["reject"].tolist() == ["bad_cell", None]


def test_odd_dates_of_a_csv_end_no_run(tmp_path: Path) -> None:
    dates = [
        "10000-01-01",
        "0000-00-00",
        "2024-03-01T10:00:00 Mars/Olympus",
        "99999999999999999999",
        "-1",
        "\u0661",
        "nan",
    ]
    rows = "".join(f"{n},user,hi,{date},{date}\n" for n, date in enumerate(dates))
    (tmp_path / "x.csv").write_text("id,role,text,at,rating\n" + rows)
    frame = collect(tmp_path, {"path": "x.csv"})
    assert frame["reject"].isna().all()
    assert frame["started_at"].isna().tolist()[:3] == [True, True, True]
    to_table(frame, RAW_CONVERSATION)


def test_pandas_nullable_and_mixed_columns_are_read(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "id": pd.array([1, None, 3], "Int64"), "instruction": pd.array(["a", "b", None], "string"),
            "response": pd.Categorical(["x", "y", "x"]), "rating": pd.array([True, None, False], "boolean"),
            "started_at": [datetime(2024, 3, 1, tzinfo=UTC), None, datetime(2024, 3, 2, tzinfo=UTC)],
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "x.parquet")
    assert collect(tmp_path, {"path": "x.parquet"})["reject"].tolist() == [None, None, None]
