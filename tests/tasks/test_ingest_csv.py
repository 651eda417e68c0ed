"""CSV: a row for each turn, a row for each pair, and rows that are neither."""

import re
from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError
from tests.tasks.test_ingest import collect, shape


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.write_bytes(text.encode(encoding, "surrogateescape"))


def test_a_row_for_each_turn_grouped_also_when_interleaved(tmp_path: Path) -> None:
    write(
        tmp_path / "log.csv",
        "ticket,who,body,when,topic,mail\r\n"
        'A,user,"hi, ""you""\nthere",2024-03-01T10:00:00Z,,a@x.com\r\n'
        "B,user,hello,,refund,\r\n"
        "\r\n"
        "A,agent,fine,2024-03-01T10:01:00Z,order,b@x.com\r\n"
        "C,user,one,,,\r\n"
        "B,agent,bye,,other,\r\n",
    )
    columns = {"conversation_id": "ticket", "role": "who", "text": "body", "at": "when", "intent": "topic"}
    frame = collect(tmp_path, {"path": "log.csv", "columns": columns, "known": {"EMAIL_ADDRESS": "mail"}})
    assert shape(frame) == [
        ("A", [("customer", 'hi, "you"\nthere', False), ("agent", "fine", True)]),
        ("C", [("customer", "one", False)]),
        ("B", [("customer", "hello", False), ("agent", "bye", True)]),
    ]
    assert frame["intent"].fillna("").tolist() == ["order", "", "refund"]
    assert frame["known"].tolist()[0] == {"EMAIL_ADDRESS": ["a@x.com", "b@x.com"]}
    assert frame["started_at"].dt.strftime("%H:%M").fillna("").tolist() == ["10:00", "", ""]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("names", [("customer", "agent"), ("instruction", "response"), ("q", "a")])
def test_a_row_for_each_pair(tmp_path: Path, names: tuple[str, str], delimiter: str) -> None:
    rows = [("id", *names, "intent"), ("p-1", "where?", "here", "track"), ("p-2", "why?", "", "")]
    write(tmp_path / "log.csv", "\ufeff" + "\n".join(delimiter.join(row) for row in rows))
    columns = {"customer": names[0], "agent": names[1]} if names[0] == "q" else {}
    frame = collect(tmp_path, {"path": "log.csv", "columns": columns})
    assert shape(frame) == [
        ("p-1", [("customer", "where?", False), ("agent", "here", True)]),
        ("p-2", [("customer", "why?", False), ("agent", "", False)]),
    ]
    assert frame["intent"].fillna("").tolist() == ["track", ""]


def test_broken_rows_break_their_conversation_and_no_other(tmp_path: Path) -> None:
    write(
        tmp_path / "log.csv",
        "id,role,text\n"
        "A,user,hi\n"
        "A,agent,one,too many\n"  # 3: breaks A
        'B,user,"a stray quote\n'  # 4: broken
        "B,agent,fine\n"
        "C,user,caf\udce9\n"  # 6: not UTF-8
        ",user,no id\n"  # 7
        'D,user,5" screen\n'
        "E\n",
    )  # fmt: skip
    frame = collect(tmp_path, {"path": "log.csv"}, max_misread=1.0)
    assert dict(zip(frame["row_id"], frame["reject"], strict=True)) == {
        "log.csv:2": "bad_csv_row",
        "log.csv:4": "bad_csv_row",
        "B": None,
        "log.csv:6": "invalid_encoding",
        "log.csv:7": "no_conversation_id",
        "D": None,
        "log.csv:9": "bad_csv_row",
    }
    raw = dict(zip(frame["row_id"], frame["raw"], strict=True))
    assert raw["log.csv:2"] == b"A,user,hi\nA,agent,one,too many\n"
    assert raw["log.csv:4"] == b'B,user,"a stray quote\n'
    assert raw["log.csv:6"] == b"C,user,caf\xe9\n"


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    good = "".join(f"p{n},why {n},because\n" for n in range(3_000))
    write(tmp_path / "log.csv", 'id,customer,agent\nx,"open,no\n' + good + 'y,z,"a"b\n' + "q,r,s\n")
    frame = collect(tmp_path, {"path": "log.csv"})
    rejects = frame[frame["reject"].notna()]
    assert len(frame) == 3_003
    assert rejects["row_id"].tolist() == ["log.csv:2", "log.csv:3003"]
    assert set(rejects["reject"]) == {"bad_csv_row"}


def test_long_lines_and_endless_conversations_are_bounded(tmp_path: Path) -> None:
    rows = "id,role,text\na,user," + "x" * 3_000 + "\nb,user,hi\n" + "c,user,words\n" * 9_000 + "d,user,end\n"
    write(tmp_path / "log.csv", rows)
    frame = collect(tmp_path, {"path": "log.csv"}, max_record_bytes=2_000)
    assert frame["row_id"].tolist() == ["log.csv:2", "b", "log.csv:4", "d"]
    assert frame["reject"].tolist() == ["record_too_long", None, "record_too_long", None]
    assert frame["raw"].fillna(b"").map(len).tolist() == [2_001, 0, 65_536, 0]


def test_opt_out_in_any_row_takes_the_conversation_with_all_its_bytes(tmp_path: Path) -> None:
    write(
        tmp_path / "log.csv",
        "id,role,text,no\nA,user,canary,no\nA,agent,canary,yes\nA,agent,x,y,z,canary\nB,user,hi,no\n",
    )
    frame = collect(tmp_path, {"path": "log.csv", "opt_out": "no"})
    assert frame[["row_id", "reject", "raw"]].to_numpy().tolist() == [
        ["log.csv:2", "opted_out", None],
        ["B", None, None],
    ]
    assert "canary" not in frame.to_json(date_format="iso")


def test_every_missing_column_of_every_source_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "ticket_id,role,message\nsecret,secret,secret\n")
    write(tmp_path / "b.csv", "x,y\n1,2\n")
    sources: list[dict[str, object]] = [
        {"path": "a.csv", "columns": {"conversation_id": "ticket", "text": "mesage"}, "opt_out": "role_"},
        {"path": "b.csv"},
    ]
    with pytest.raises(ConfigError) as error:
        collect(tmp_path, *sources)
    message = str(error.value)
    assert message.startswith("step 'ingest' has 4 problems:")
    assert "sources[0]: a.csv has no column 'ticket' (columns.conversation_id); the nearest is 'ticket_id'" in message
    assert "a.csv has no column 'mesage' (columns.text); the nearest is 'message'" in message
    assert "a.csv has no column 'role_' (opt_out); the nearest is 'role'" in message
    assert re.search(r"sources\[1\]: b.csv needs columns for conversation_id, role and text", message)
    assert "secret" not in message
    assert error.value.exit_code == 2
