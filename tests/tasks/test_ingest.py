"""Every format, and what becomes of its fields."""

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from deskloop.contract.schema import RAW_CONVERSATION, conversations, to_frame, to_table
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, ingest
from tasks.ingest.identity import customer_keys

KEY = b"0123456789abcdef"
TURNS = [{"role": "customer", "text": "hi"}, {"role": "agent", "text": "hello"}]
JUNK_TIMES: list[object] = ["soon", "", None, True, [], {}, 10**400, -1e300, "0001-01-01T00:00:00+14:00"]
DATA = Path(__file__).parents[3] / "shared" / "data"


def collect(folder: Path, *sources: Mapping[str, Any], **options: Any) -> pd.DataFrame:
    """All rows of a run over `sources`, `folder` being the pipeline's."""
    config = IngestConfig.model_validate({"sources": sources, **options}, context=folder)
    frames = list(ingest(config, Context(step="ingest", key=KEY)))
    return pd.concat(frames, ignore_index=True)


def write_lines(path: Path, records: Sequence[object]) -> Path:
    """JSON Lines; bytes are written as they are."""
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def shape(frame: pd.DataFrame) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """(conversation id, [(role, text, supervise)]) of every row."""
    return [
        (name, [(turn["role"], turn["text"], turn["supervise"]) for turn in turns])
        for name, turns in zip(frame["conversation_id"], frame["turns"], strict=True)
    ]


def test_a_helpdesk_record_becomes_a_whole_raw_conversation(tmp_path: Path) -> None:
    record = {
        "conversation_id": "HD-1",
        "source": "helpdesk",
        "started_at": "2024-03-01T10:00:00Z",
        "customer": {
            "id": 4711123,
            "name": "Ann Lee",
            "email": "Ann@X.com ",
            "phone": "+1 (415) 555-0100",
            "plan": "a",
        },
        "intent": "refund_status",
        "rating": 4,
        "channel": {"kind": "chat", "n": 1},
        "turns": [
            {"role": "Customer", "text": "where is it", "at": "2024-03-01T12:00:05+02:00"},
            {"role": "agent", "text": "on its way", "at": None},
            {"role": "note", "text": "angry"},
        ],
    }
    write_lines(tmp_path / "log.jsonl", [record])
    frame = collect(tmp_path, {"path": "log.jsonl", "metadata": ["channel", "channel.kind", "absent"]})
    who = [("id", "4711123"), ("email", "ann@x.com"), ("phone", "4155550100")]
    expected = conversations(
        [
            {
                "conversation_id": "HD-1",
                "source": "helpdesk",
                "started_at": datetime(2024, 3, 1, 10, tzinfo=UTC),
                "customer_keys": customer_keys(who, KEY),
                "turns": [
                    {"role": "customer", "text": "where is it", "at": datetime(2024, 3, 1, 10, 0, 5, tzinfo=UTC)},
                    {"role": "agent", "text": "on its way"},
                    {"role": "system", "text": "angry"},
                ],
                "intent": "refund_status",
                "intent_source": "log",
                "intent_confidence": 1.0,
                "rating": 4.0,
                "metadata": {"channel": '{"kind":"chat","n":1}', "channel.kind": "chat"},
                "known": {
                    "CUSTOMER_ID": ["4711123"],
                    "EMAIL_ADDRESS": ["Ann@X.com"],
                    "PHONE_NUMBER": ["+1 (415) 555-0100"],
                    "PERSON": ["Ann Lee"],
                },
            }
        ],
        RAW_CONVERSATION,
    ).assign(reject=pd.Series([None], dtype=object), raw=pd.Series([None], dtype=object))
    assert_frame_equal(frame, expected)
    assert_frame_equal(to_frame(to_table(frame, RAW_CONVERSATION)), expected.drop(columns=["reject", "raw"]))


def test_declared_columns_reach_into_objects_and_replace_the_defaults(tmp_path: Path) -> None:
    record = {
        "ticket": {"nr": "T-1", "opened": 1709287200000},
        "events": [
            {"who": "Bot", "msg": {"body": "hello"}, "time": "1709287260"},
            {"who": "client", "msg": {"body": "hi"}},
        ],
        "topic": "returns",
        "intent": "ignored",
        "user": {"mails": ["A@x.com", "b@x.com"], "name": "Zoe"},
        "customer": {"name": "not declared"},
        "csat": "3.5",
    }
    write_lines(tmp_path / "x.jsonl", [record])
    source = {
        "path": "x.jsonl",
        "source": "desk",
        "columns": {
            "conversation_id": "ticket.nr",
            "turns": "events",
            "role": "who",
            "text": "msg.body",
            "at": "time",
            "intent": "topic",
            "started_at": "ticket.opened",
            "rating": "csat",
        },
        "customer": {"email": "user.mails"},
        "known": {"person_name": ["user.name"]},
    }
    row = collect(tmp_path, source, roles={"Bot": "agent"}).iloc[0]
    at = datetime(2024, 3, 1, 10, 1, tzinfo=UTC)
    assert row["conversation_id"] == "T-1"
    assert row["source"] == "desk"
    assert row["turns"] == [
        {"role": "agent", "text": "hello", "at": at, "supervise": True},
        {"role": "customer", "text": "hi", "at": None, "supervise": False},
    ]
    assert row["started_at"] == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert (row["intent"], row["rating"]) == ("returns", 3.5)
    assert row["customer_keys"] == customer_keys([("email", "a@x.com"), ("email", "b@x.com")], KEY)
    assert row["known"] == {"EMAIL_ADDRESS": ["A@x.com", "b@x.com"], "PERSON": ["Zoe"]}


def test_known_values_of_a_declared_object_are_taken_as_they_are(tmp_path: Path) -> None:
    known = {
        "customer_name": ["Ann"],
        "person_name": ["Ann", "Lee"],
        "Loyalty-no. 2": 77,
        "pin": None,
        "junk": {"a": [["x"]]},
    }
    write_lines(tmp_path / "x.jsonl", [{"turns": TURNS, "pii": known}])
    row = collect(tmp_path, {"path": "x.jsonl", "known": "pii"}).iloc[0]
    assert row["known"] == {"PERSON": ["Ann", "Lee"], "LOYALTY_NO": ["77"], "JUNK": ["x"]}


def test_known_values_by_default_are_plain_fields_of_unmistakable_names(tmp_path: Path) -> None:
    record = {
        "turns": TURNS,
        "name": "Refund of a shirt",
        "order": {"items": [{"name": "shirt"}]},
        "order_id": 4711,
        "customer": {"name": "Ann", "order": {"name": "shirt"}, "mobile": ["1", "2"], "plan": "gold", "id": "12"},
        "known": {"email": "a@x.com"},
        "known_pii": {"person_name": ["Ann", "Bo"]},
    }
    write_lines(tmp_path / "x.jsonl", [record])
    assert collect(tmp_path, {"path": "x.jsonl"}).iloc[0]["known"] == {
        "EMAIL_ADDRESS": ["a@x.com"],
        "PERSON": ["Ann", "Bo"],
        "ORDER_ID": ["4711"],
        "PHONE_NUMBER": ["1", "2"],
    }


@pytest.mark.parametrize(
    ("role", "ours"),
    [
        *[(role, ("customer", False)) for role in ("customer", "USER", " human ", "client", "visitor", "end_user")],
        *[(role, ("agent", True)) for role in ("agent", "Assistant", "bot", "support", "gpt", "operator", "rep")],
        *[(role, ("system", False)) for role in ("note", "internal_note", "system", "action", "tool", "event")],
    ],
)
def test_roles(tmp_path: Path, role: str, ours: tuple[str, bool]) -> None:
    write_lines(tmp_path / "x.jsonl", [{"turns": [{"role": role, "text": "a"}]}])
    turn = collect(tmp_path, {"path": "x.jsonl"}).iloc[0]["turns"][0]
    assert (turn["role"], turn["supervise"]) == ours


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
@pytest.mark.parametrize("wrap", ["lines", "array", "splits", "pretty"])
def test_instructions_become_a_customers_and_an_agents_turn(tmp_path: Path, wrap: str, suffix: str) -> None:
    pairs = [{"id": f"b-{n}", "instruction": f"q{n}", "response": f"a{n}", "intent": "None"} for n in range(3)]
    file = tmp_path / f"x.{suffix}"
    document = {"version": 1, "train": pairs[:2], "test": pairs[2:]}
    texts = {
        "lines": "\n".join(map(json.dumps, pairs)),
        "array": "[" + ",\n".join(map(json.dumps, pairs)) + "]",
        "splits": json.dumps(document),
        "pretty": json.dumps(document, indent=1),
    }
    file.write_text(texts[wrap])
    frame = collect(tmp_path, {"path": file.name})
    assert shape(frame) == [(f"b-{n}", [("customer", f"q{n}", False), ("agent", f"a{n}", True)]) for n in range(3)]
    assert frame["intent"].isna().all()
    assert frame["intent_source"].isna().all()
    assert frame["source"].tolist() == ["x"] * 3


def test_openai_chats(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"text": "b"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "no", "weight": 0},
        {"role": "assistant", "content": "yes", "weight": 1},
    ]
    write_lines(tmp_path / "x.jsonl", [{"id": "o-1", "messages": messages}])
    expected = [
        ("system", "be kind", False),
        ("customer", "a\nb", False),
        ("system", "", False),
        ("system", "42", False),
        ("agent", "no", False),
        ("agent", "yes", True),
    ]
    for format in ("auto", "openai"):
        assert shape(collect(tmp_path, {"path": "x.jsonl", "format": format})) == [("o-1", expected)]


def test_auto_goes_by_each_records_own_fields(tmp_path: Path) -> None:
    mixed = [
        {"id": "a", "turns": TURNS},
        {"id": "b", "messages": [{"role": "user", "content": "q"}]},
        {"id": "c", "instruction": "q", "response": "r"},
    ]
    write_lines(tmp_path / "x.jsonl", mixed)
    assert collect(tmp_path, {"path": "x.jsonl"})["reject"].isna().all()
    strict = collect(tmp_path, {"path": "x.jsonl", "format": "conversations"})
    assert strict["reject"].tolist() == [None, "no_turns", "no_turns"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-01T10:00:00Z", "2024-03-01T10:00:00+00:00"),
        ("2024-03-01 12:00:00.5+02:00", "2024-03-01T10:00:00.500000+00:00"),
        ("2024-03-01", "2024-03-01T00:00:00+00:00"),
        ("20240301", "2024-03-01T00:00:00+00:00"),
        (1709287200, "2024-03-01T10:00:00+00:00"),
        ("1709287200", "2024-03-01T10:00:00+00:00"),
        (1709287200000, "2024-03-01T10:00:00+00:00"),
        (1709287200000000, "2024-03-01T10:00:00+00:00"),
        *[(junk, None) for junk in JUNK_TIMES],
    ],
)
def test_times_are_utc_and_an_invalid_one_is_ignored(tmp_path: Path, value: object, expected: str | None) -> None:
    write_lines(tmp_path / "x.jsonl", [{"turns": [{**TURNS[0], "ts": value}]}])
    row = collect(tmp_path, {"path": "x.jsonl"}).iloc[0]
    at = row["turns"][0]["at"]
    assert (at and at.isoformat()) == expected
    assert (None if row["started_at"] is pd.NaT else row["started_at"].isoformat()) == expected


def test_junk_in_optional_fields_counts_as_absent(tmp_path: Path) -> None:
    junk: list[object] = [None, True, [], {}, [[1]], {"a": {"b": None}}, "", float("nan"), 10**400]
    names = (
        "started_at",
        "intent",
        "rating",
        "customer",
        "known",
        "known_pii",
        "source",
        "email",
        "phone",
        "supervise",
    )
    write_lines(
        tmp_path / "x.jsonl",
        [{"conversation_id": f"j{n}", "turns": TURNS, **dict.fromkeys(names, cell)} for n, cell in enumerate(junk)],
    )
    frame = collect(tmp_path, {"path": "x.jsonl", "metadata": ["rating"]})
    assert frame["reject"].isna().all()
    assert frame["conversation_id"].tolist() == [f"j{n}" for n in range(len(junk))]
    assert frame["started_at"].isna().all()
    assert frame["source"].tolist() == ["x"] * len(junk)
    to_table(frame, RAW_CONVERSATION)


def test_an_intent_or_source_that_may_be_personal_is_not_taken(tmp_path: Path) -> None:
    labels = ["ann@x.com", "call 4155550100", "x" * 81, "a\nb", "none", "Order status 24/7"]
    write_lines(
        tmp_path / "x.jsonl",
        [{"id": f"i{n}", "turns": TURNS, "intent": label, "source": label} for n, label in enumerate(labels)],
    )
    frame = collect(tmp_path, {"path": "x.jsonl"})
    assert frame["intent"].fillna("-").tolist() == ["-"] * 5 + ["Order status 24/7"]
    assert frame["source"].tolist() == ["x", "x", "x", "x", "none", "x"]


def test_lone_surrogates_nul_and_byte_order_marks_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a\\u0000b", "rating": NaN, '
        b'"turns": [{"role": "customer", "text": "\\ud800 \\ud83d\\ude00\\u0000"}]}\n'
    )
    frame = collect(tmp_path, {"path": path.name})
    assert frame["reject"].tolist() == [None]
    assert frame["turns"][0][0]["text"] == "\ufffd \U0001f600\x00"
    assert frame["conversation_id"][0].startswith("h-")
    to_table(frame, RAW_CONVERSATION)


def test_an_encoding_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes('{"turns": [{"role": "user", "text": "für €"}]}\n'.encode("cp1252"))
    frame = collect(tmp_path, {"path": "x.jsonl", "encoding": "cp1252"})
    assert frame["turns"][0][0]["text"] == "für €"
    assert collect(tmp_path, {"path": "x.jsonl"})["reject"].tolist() == ["invalid_encoding"]


def test_twice_the_same(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"turns": TURNS, "email": f"{n % 7}@x.com"} for n in range(50)])
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    once = collect(tmp_path, {"path": "x.jsonl"})
    assert_frame_equal(once, collect(tmp_path, {"path": "x.jsonl"}))
    assert_frame_equal(once, collect(tmp_path, {"path": "x.jsonl.gz"}))


@pytest.mark.parametrize(("name", "count"), [("star", 3299), ("abcd", 3), ("multidogo", 9948), ("bitext", 2264)])
def test_public_logs_need_no_columns(name: str, count: int) -> None:
    path = DATA / f"{name}_dev.jsonl.gz"
    if not path.exists():
        pytest.skip("the public logs are not here")
    frame = collect(DATA, {"path": path.name})
    assert len(frame) == frame["row_id"].nunique() == count
    assert frame["reject"].isna().all()
    assert frame["intent"].notna().mean() > 0.8
