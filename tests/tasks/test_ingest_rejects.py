"""Nothing vanishes: a record is kept or rejected, once, for a reason."""

import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from deskloop.contract.errors import ConfigError
from deskloop.contract.schema import DEFAULTS, RAW_CONVERSATION, to_table
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, ingest
from tasks.ingest.formats import FORMATS
from tests.tasks.test_ingest import TURNS, collect, write_lines

GOOD = {"conversation_id": "ok", "turns": TURNS}
BROKEN: list[tuple[object, str]] = [
    (b'{"conversation_id": "x", "turns": [', "invalid_json"),
    (b"hello", "invalid_json"),
    (b'{"turns": [{"role": "customer", "text": "\xff\xfe"}]}', "invalid_encoding"),
    (b"[" * 100_000, "too_deep"),
    (b'{"turns": ' + b'{"a":' * 50_000 + b"}" * 50_001, "too_deep"),
    (b"[1, 2]", "not_an_object"),
    (b"null", "not_an_object"),
    (b'"text"', "not_an_object"),
    ({}, "no_turns"),
    ({"turns": []}, "no_turns"),
    ({"turns": None}, "no_turns"),
    ({"turns": "hi"}, "bad_turns"),
    ({"turns": {"role": "customer"}}, "bad_turns"),
    ({"turns": [TURNS[0], None]}, "bad_turns"),
    ({"turns": [TURNS[0], [TURNS[1]]]}, "bad_turns"),
    ({"turns": [{"role": "customer", "text": None}]}, "bad_turns"),
    ({"turns": [{"role": "customer", "text": ["a"]}]}, "bad_turns"),
    ({"turns": [{"role": ["customer"], "text": "a"}]}, "bad_turns"),
    ({"turns": [*TURNS, {"role": "ghost", "text": "boo"}]}, "unknown_role"),
    ({"turns": [{"role": None, "text": "a"}]}, "unknown_role"),
    ({"turns": [{"role": "customer", "text": " \n"}, {"role": "agent", "text": ""}]}, "empty_conversation"),
    ({"instruction": "a", "response": None}, "bad_turns"),
    ({"messages": [{"role": "user", "content": None}]}, "bad_turns"),
    ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "bad_turns"),
    ({"messages": [{"role": "user", "content": [3]}]}, "bad_turns"),
    ({"messages": [7]}, "bad_turns"),
]


@pytest.mark.parametrize(("record", "reason"), BROKEN)
def test_a_broken_record_is_rejected_with_its_bytes_and_nothing_else(
    tmp_path: Path, record: object, reason: str
) -> None:
    path = write_lines(tmp_path / "log.jsonl", [GOOD, record, {**GOOD, "conversation_id": "ok2"}])
    frame = collect(tmp_path, {"path": "log.jsonl"})
    assert frame["conversation_id"].tolist() == ["ok", "log.jsonl:2", "ok2"]
    assert frame["reject"].tolist() == [None, reason, None]
    assert frame["raw"].tolist() == [None, path.read_bytes().splitlines(keepends=True)[1], None]
    rejected = frame.iloc[1].drop(["row_id", "conversation_id", "reject", "raw"])
    filled = {name: cell for name, cell in rejected.items() if isinstance(cell, list | dict) or cell == cell}
    nested: dict[str, list[object]] = {name: [] for name in ("customer_keys", "turns", "entities")}
    assert filled == {**DEFAULTS, **nested, "metadata": {}, "known": {}}


def test_the_first_of_a_duplicate_id_wins_across_files(tmp_path: Path) -> None:
    broken = {"conversation_id": "b", "turns": []}
    write_lines(tmp_path / "1.jsonl", [broken, {**GOOD, "conversation_id": "a"}, {**GOOD, "conversation_id": "b"}])
    write_lines(tmp_path / "2.jsonl", [{**GOOD, "conversation_id": "a"}])
    frame = collect(tmp_path, {"path": "*.jsonl"})
    assert frame["row_id"].tolist() == ["1.jsonl:1", "a", "b", "2.jsonl:1"]
    assert frame["reject"].tolist() == ["no_turns", None, None, "duplicate_id"]
    assert frame["raw"].tolist()[1:] == [None, None, None]


def test_an_opted_out_persons_words_are_kept_nowhere(tmp_path: Path) -> None:
    canary: list[object] = [{"role": "customer", "text": "canary"}]
    out: list[dict[str, Any]] = [
        {"flags": {"no": flag}, "turns": turns}
        for flag in (True, 1, "yes", "TRUE", "x")
        for turns in (canary, [], [None, "canary"])
    ]
    kept: list[dict[str, Any]] = [
        {"flags": {"no": flag}, "turns": TURNS} for flag in (False, 0, "no", "false", "", None)
    ]
    write_lines(tmp_path / "x.jsonl", [{**row, "conversation_id": f"c{n}"} for n, row in enumerate(out + kept)])
    frame = collect(tmp_path, {"path": "x.jsonl", "opt_out": "flags.no"})
    assert frame["reject"].tolist() == ["opted_out"] * len(out) + [None] * len(kept)
    assert frame["raw"].isna().all()
    assert "canary" not in frame.to_json(date_format="iso")
    assert frame["row_id"].tolist()[0] == "x.jsonl:1"


def test_a_later_record_of_an_opted_out_conversation_is_no_way_in(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [{**GOOD, "no": True}, GOOD])
    assert collect(tmp_path, {"path": "x.jsonl", "opt_out": "no"})["reject"].tolist() == ["opted_out", "duplicate_id"]


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"[]", b'{"train": []}'])
@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_an_empty_file_is_one_reject(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(b"id,role,text\n" if name == "x.csv" and b"[" in content else content)
    frame = collect(tmp_path, {"path": name})
    assert frame[["row_id", "reject", "raw"]].to_numpy().tolist() == [[f"{name}:1", "empty_file", None]]
    assert len(frame.columns) == len(RAW_CONVERSATION) + 2


def test_a_50_mb_line_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = json.dumps(GOOD).encode()
    with path.open("wb") as file:
        file.write(good + b'\n{"turns": "')
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + good.replace(b"ok", b"after") + b"\n")
    tracemalloc.start()
    frame = collect(tmp_path, {"path": "x.jsonl"}, max_record_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frame["row_id"].tolist() == ["ok", "x.jsonl:2", "after"]
    assert frame["reject"].tolist() == [None, "record_too_long", None]
    assert len(frame["raw"][1]) == 65_536
    assert peak < 12_000_000


def test_a_long_log_streams_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("w") as file:
        for number in range(2_500):
            file.write(json.dumps({"id": f"n{number}", "turns": [{"role": "user", "text": "x" * 40_000}]}) + "\n")
    config = IngestConfig.model_validate({"sources": [{"path": str(path)}]})
    tracemalloc.start()
    sizes = [len(frame) for frame in ingest(config, Context(step="ingest", key=b"k"))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == 2_500
    assert max(sizes) < 1_000  # 32 MiB come before 1,000 records here
    assert peak < 120_000_000  # of 100 MB: one chunk of lines, turns and the frame before


def test_a_document_over_the_limit_says_what_to_do(tmp_path: Path) -> None:
    pairs = [{"instruction": "q" * 100, "response": "canary"}] * 30
    (tmp_path / "x.json").write_text(json.dumps(pairs, indent=1))
    with pytest.raises(Exception, match=r"x\.json .* 2,000 bytes.*JSON Lines") as error:
        collect(tmp_path, {"path": "x.json"}, max_document_bytes=2_000)
    assert getattr(error.value, "exit_code", None) == 2
    assert "canary" not in str(error.value)


def test_elements_of_a_document_are_judged_one_by_one(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    (tmp_path / "x.json").write_text(json.dumps([GOOD, 3, {"turns": deep}, {"turns": 2**70}], indent=1))
    frame = collect(tmp_path, {"path": "x.json"})
    assert frame["row_id"].tolist() == ["ok", "x.json:2", "x.json:3", "x.json:4"]
    assert frame["reject"].tolist() == [None, "not_an_object", "bad_turns", "bad_turns"]
    assert frame["raw"].tolist()[1] == b"3"


def test_a_junk_first_line_does_not_turn_a_log_into_a_document(tmp_path: Path) -> None:
    for junk in (b"[", b"{", b'{"turns": [', b'[{"a": 1}]', b'{"train": [{}]}'):
        write_lines(tmp_path / "x.json", [junk, GOOD])
        frame = collect(tmp_path, {"path": "x.json"})
        assert len(frame) == 2
        assert frame["row_id"].tolist()[1] == "ok"


FIELDS = [
    *("role", "text", "turns", "id", "at", "messages", "content"),
    *("conversations", "from", "value", "context", "context/0", "response"),
    *("ticket", "tickets", "users", "comments", "requester_id", "author_id", "plain_body", "via", "public", "subject"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["customer", "agent", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=12,
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "agent", "ghost"]), "text": st.text() | st.none()})
CONVERSATION = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "x.jsonl:1", "x.jsonl:2"]) | JSON, "turns": st.lists(TURN, max_size=3) | JSON},
    optional=dict.fromkeys(("intent", "rating", "customer", "known", "started_at", "source", "out"), JSON),
)
COMMENT = st.fixed_dictionaries(
    {"author_id": st.sampled_from([1, 2, None]), "plain_body": st.text() | JSON},
    optional=dict.fromkeys(("public", "via", "created_at", "attachments", "author", "metadata"), JSON),
)
TICKET = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", 2]) | JSON, "requester_id": st.just(1) | JSON, "comments": st.lists(COMMENT) | JSON},
    optional=dict.fromkeys(
        ("subject", "description", "users", "requester", "tags", "custom_fields", "collaborators", "email_cc_ids"), JSON
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"from": st.sampled_from(["human", "gpt"]) | JSON, "value": st.text() | JSON})
)
DIALOGUE = st.fixed_dictionaries({"context": st.lists(st.text()) | JSON, "response": st.text() | JSON}) | (
    st.fixed_dictionaries({"conversations": MESSAGES}, optional={"system": JSON})
)
LINE = (JSON | CONVERSATION | TICKET | DIALOGUE).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINE, max_size=8), st.sampled_from(["auto", *FORMATS, "zendesk"]))
def test_p7_every_line_comes_out_once(lines: list[bytes], format: str) -> None:
    content = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    assume(
        not content.startswith((b"\x1f\x8b", b"BZh", b"\xfd7z"))
    )  # an archive, and a damaged one: refused as a whole
    count = sum(
        bool(line.removeprefix(b"\xef\xbb\xbf" if number == 0 else b"").strip())
        for number, line in enumerate(content.split(b"\n"))
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.jsonl").write_bytes(content)
        frame = collect(Path(folder), {"path": "x.jsonl", "format": format, "opt_out": "out", "metadata": ["rating"]},
                        max_misread=1.0)  # fmt: skip
    assert frame["row_id"].nunique() == len(frame)
    if frame["row_id"].tolist() != ["x.jsonl:1"] or count:
        # A page of the API with its tickets in one line may hold any number of them.
        assert len(frame) == count or _is_one_document(content) or b'"tickets"' in content
    assert frame.loc[frame["reject"].isna(), "turns"].map(len).gt(0).all()
    assert not frame["conversation_id"].str.contains("/").any()
    to_table(frame, RAW_CONVERSATION)


def _is_one_document(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), list | dict)
    except (ValueError, RecursionError):
        return False


def test_without_a_key_nothing_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [GOOD])
    config = IngestConfig.model_validate({"sources": [{"path": "x.jsonl"}]}, context=tmp_path)
    with pytest.raises(ConfigError, match="key"):
        next(ingest(config, Context(step="ingest")))
