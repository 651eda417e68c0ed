"""Rows of a context and a response, and ShareGPT's conversations."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from deskloop.contract.schema import RAW_CONVERSATION, conversations, to_table
from tasks.ingest.identity import customer_keys
from tests.tasks.test_ingest import KEY, collect, shape, write_lines

CUSTOMER, AGENT = "customer", "agent"


def test_a_context_and_its_response_become_a_whole_raw_conversation(tmp_path: Path) -> None:
    record = {
        "id": "r-1",
        "context": ["hi", "hello", "where is it"],
        "response": "on its way",
        "intent": "track",
        "email": "a@x.example",
        "created_at": "2024-03-01T10:00:00Z",
        "no": False,
        "shop": "north",
    }
    write_lines(tmp_path / "log.jsonl", [record])
    frame = collect(tmp_path, {"path": "log.jsonl", "metadata": ["shop"], "opt_out": "no"})
    expected = conversations(
        [
            {
                "conversation_id": "r-1",
                "source": "log",
                "started_at": datetime(2024, 3, 1, 10, tzinfo=UTC),
                "customer_keys": customer_keys([("email", "a@x.example")], KEY),
                "turns": [
                    {"role": CUSTOMER, "text": "hi"},
                    {"role": AGENT, "text": "hello", "supervise": False},
                    {"role": CUSTOMER, "text": "where is it"},
                    {"role": AGENT, "text": "on its way"},
                ],
                "intent": "track",
                "intent_source": "log",
                "intent_confidence": 1.0,
                "metadata": {"shop": "north"},
                "known": {"EMAIL_ADDRESS": ["a@x.example"]},
            }
        ],
        RAW_CONVERSATION,
    ).assign(reject=pd.Series([None], dtype=object), raw=pd.Series([None], dtype=object))
    assert_frame_equal(frame, expected)


THREE = [(CUSTOMER, "a", False), (AGENT, "b", False), (CUSTOMER, "c", False), (AGENT, "d", True)]
FOUR = [(AGENT, "z", False), *THREE]


@pytest.mark.parametrize(
    ("record", "separators", "turns"),
    [
        ({"context": ["a", "b", "c"], "response": "d"}, [], THREE),
        ({"context": ["z", "a", "b", "c"], "response": "d"}, [], FOUR),
        ({"context": ["", None, "a", "b", "c"], "response": "d"}, [], THREE),
        ({"context": "c", "response": "d"}, [], THREE[2:]),
        ({"context": "c", "context/0": "b", "context/1": "a", "response": "d"}, [], THREE),
        ({"context/1": "b", "context/0": "c", "context/2": "a", "context/3": None, "response": "d"}, [], THREE),
        ({"context": "a __eot__ b __eot__ c __eot__", "response": "d"}, ["__eot__"], THREE),
        (
            {"context": "a __eou__ __eot__ b __eou__ b2 __eou__ __eot__", "response": "d __eou__ __eot__"},
            ["__eot__", "__eou__"],
            [(AGENT, "a", False), (CUSTOMER, "b \n b2", False), (AGENT, "d", True)],
        ),
        ({"context": " keep ", "response": " as is "}, [], [(CUSTOMER, " keep ", False), (AGENT, " as is ", True)]),
    ],
)
@pytest.mark.parametrize("format", ["auto", "context_response"])
def test_speakers_alternate_and_the_customer_is_answered(
    tmp_path: Path, record: dict[str, object], separators: list[str], turns: list[object], format: str
) -> None:
    write_lines(tmp_path / "x.jsonl", [{"id": "r", **record}])
    frame = collect(tmp_path, {"path": "x.jsonl", "format": format, "separators": separators})
    assert shape(frame) == [("r", turns)]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("context,context/0,context/1,response", {}),
        ("Said,Said/0,Said/1,Reply", {"context": "Said", "response": "Reply"}),
    ],
)
def test_a_csv_of_contexts(tmp_path: Path, header: str, columns: dict[str, str]) -> None:
    (tmp_path / "x.csv").write_text(f'{header}\nc,b,a,d\n"e, e",,,f\n,,,g\nh,,i,j\nonly,two\n')
    for format in ("auto", "csv", "context_response"):
        frame = collect(tmp_path, {"path": "x.csv", "format": format, "columns": columns})
        assert [turns for _, turns in shape(frame)] == [
            THREE, [(CUSTOMER, "e, e", False), (AGENT, "f", True)], [], [], [],
        ]  # fmt: skip
        alone = "no_turns" if format == "context_response" else "bad_turns"  # no field says what the row is
        assert frame["reject"].tolist() == [None, None, alone, "bad_turns", "bad_csv_row"]


def test_growing_contexts_of_one_dialogue_stay_rows_of_their_own(tmp_path: Path) -> None:
    said = ["a", "b", "c", "d", "e", "f"]
    rows = [{"context": said[:n], "response": said[n]} for n in (1, 3, 5)]
    write_lines(tmp_path / "x.jsonl", rows)
    frame = collect(tmp_path, {"path": "x.jsonl"})
    assert frame["conversation_id"].nunique() == 3
    supervised = [turn["text"] for turns in frame["turns"] for turn in turns if turn["supervise"]]
    assert supervised == ["b", "d", "f"]  # each reply is supervised once


def test_instruction_data_with_a_context_stays_instruction_data(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [{"id": "i", "instruction": "q", "context": "a text", "response": "r"}])
    assert shape(collect(tmp_path, {"path": "x.jsonl"})) == [("i", [(CUSTOMER, "q", False), (AGENT, "r", True)])]


def test_sharegpt_becomes_whole_raw_conversations(tmp_path: Path) -> None:
    messages = [
        {"from": "system", "value": "be kind"},
        {"from": "human", "value": "a"},
        {"from": "gpt", "value": "b", "weight": 0},
        {"from": "human", "value": "c", "weight": 1},
        {"from": "gpt", "value": "d", "loss": False},
        {"from": "function_call", "value": "{}"},
        {"from": "observation", "value": "42"},
        {"from": "gpt", "value": "e", "weight": 1, "loss": True, "at": "2024-03-01T10:00:00Z"},
        {"from": "chatgpt", "value": "f", "train": False},
    ]
    record = {"id": "QWJ_0", "conversations": messages, "lang": "en", "customer": {"id": "C-1000"}, "rating": 3}
    write_lines(tmp_path / "x.jsonl", [record])
    at = datetime(2024, 3, 1, 10, tzinfo=UTC)
    expected = conversations(
        [
            {
                "conversation_id": "QWJ_0",
                "source": "x",
                "started_at": at,
                "customer_keys": customer_keys([("id", "C-1000")], KEY),
                "turns": [
                    {"role": "system", "text": "be kind"},
                    {"role": "customer", "text": "a"},
                    {"role": "agent", "text": "b", "supervise": False},
                    {"role": "customer", "text": "c"},
                    {"role": "agent", "text": "d", "supervise": False},
                    {"role": "system", "text": "{}"},
                    {"role": "system", "text": "42"},
                    {"role": "agent", "text": "e", "at": at},
                    {"role": "agent", "text": "f", "supervise": False},
                ],
                "rating": 3.0,
                "metadata": {"lang": "en"},
                "known": {"CUSTOMER_ID": ["C-1000"]},
            }
        ],
        RAW_CONVERSATION,
    ).assign(reject=pd.Series([None], dtype=object), raw=pd.Series([None], dtype=object))
    for format in ("auto", "sharegpt"):
        assert_frame_equal(collect(tmp_path, {"path": "x.jsonl", "format": format, "metadata": ["lang"]}), expected)


@pytest.mark.parametrize("write", [json.dumps, lambda value: json.dumps(value, indent=1)])
def test_the_usual_files_of_sharegpt(tmp_path: Path, write: Any) -> None:
    turns = [(CUSTOMER, "a", False), (AGENT, "b", True)]
    record = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "id": "1"}
    other = {"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "id": "2"}
    with_system = {**record, "id": "3", "system": "be kind"}
    for document in (record, [record, other, with_system], {"train": [record], "test": [other, with_system]}):
        (tmp_path / "x.json").write_text(write(document))
        found = shape(collect(tmp_path, {"path": "x.json"}))
        expected = [("1", turns), ("2", turns), ("3", [("system", "be kind", False), *turns])]
        assert found == (expected[:1] if document is record else expected)


def test_a_list_of_conversations_under_that_name_is_no_sharegpt_record(tmp_path: Path) -> None:
    said = [{"role": "customer", "text": "a"}, {"role": "agent", "text": "b"}]
    (tmp_path / "x.json").write_text(json.dumps({"conversations": [{"id": "1", "turns": said}] * 1}))
    assert shape(collect(tmp_path, {"path": "x.json"})) == [("1", [(CUSTOMER, "a", False), (AGENT, "b", True)])]


GOOD = {
    "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    "context_response": {"context": ["a"], "response": "b"},
}
BROKEN: list[tuple[str, object, str]] = [
    ("sharegpt", b'{"conversations": [{"from": "human", "val', "invalid_json"),
    ("sharegpt", b'{"conversations": [{"from": "human", "value": "\xe9"}]}', "invalid_encoding"),
    ("sharegpt", {"conversations": []}, "no_turns"),
    ("sharegpt", {"conversations": "a"}, "bad_turns"),
    ("sharegpt", {"conversations": ["a", "b"]}, "bad_turns"),
    ("sharegpt", {"conversations": [{"from": "human", "value": ["a"]}]}, "bad_turns"),
    ("sharegpt", {"conversations": [{"from": "human"}]}, "bad_turns"),
    ("sharegpt", {"conversations": [{"value": "a"}]}, "unknown_role"),
    ("sharegpt", {"conversations": [{"from": "ghost", "value": "a"}]}, "unknown_role"),
    ("sharegpt", {"conversations": [{"from": "human", "value": " "}]}, "empty_conversation"),
    ("sharegpt", {**GOOD["sharegpt"], "id": "ok"}, "duplicate_id"),
    ("context_response", b'{"context": ["a", ', "invalid_json"),
    ("context_response", b'{"context": ["\xff"], "response": "b"}', "invalid_encoding"),
    ("context_response", {"context": [], "response": "b"}, "no_turns"),
    ("context_response", {"context": ["a", None, "b"], "response": "c"}, "bad_turns"),
    ("context_response", {"context": ["a"], "response": 3}, "bad_turns"),
    ("context_response", {"context": {"a": "b"}, "response": "b"}, "bad_turns"),
    ("context_response", {"context": "a", "context/1": "b", "response": "c"}, "bad_turns"),
    ("context_response", {"context": [" "], "response": ""}, "empty_conversation"),
    ("context_response", {**GOOD["context_response"], "id": "ok"}, "duplicate_id"),
]


@pytest.mark.parametrize(("format", "record", "reason"), BROKEN)
def test_a_broken_record_is_rejected_and_the_others_are_read(
    tmp_path: Path, format: str, record: object, reason: str
) -> None:
    good = GOOD[format]
    path = write_lines(tmp_path / "x.jsonl", [{"id": "ok", **good}, record, {"id": "ok2", **good}])
    for declared in ("auto", format):
        frame = collect(tmp_path, {"path": "x.jsonl", "format": declared})
        assert frame["row_id"].tolist() == ["ok", "x.jsonl:2", "ok2"]
        assert frame["reject"].tolist() == [None, reason, None]
        raw = path.read_bytes().splitlines(keepends=True)[1]
        assert frame["raw"].tolist() == [None, None if reason == "duplicate_id" else raw, None]
        to_table(frame, RAW_CONVERSATION)
