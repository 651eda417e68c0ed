"""Zendesk tickets: authors, supervised replies and known names."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from deskloop.contract.schema import RAW_CONVERSATION, conversations
from tasks.ingest.identity import customer_keys
from tests.tasks.test_ingest import KEY, collect, shape, write_lines

USERS = [
    {"id": 501, "name": "Ann Lee", "email": "ann@x.example", "phone": "+1 202 555 0101", "role": "end-user"},
    {"id": 502, "name": "Bo Quist", "email": "bo@shop.example", "phone": None, "role": "agent", "alias": "Bobby"},
    {"id": 503, "name": "Cy Dorn", "email": "cy@x.example", "role": "end-user"},
    {"id": 504, "name": "Di Root", "email": "di@shop.example", "role": "admin"},
]


def comment(author: object, text: object, minute: int, **fields: object) -> dict[str, Any]:
    at = f"2024-03-01T10:{minute:02}:00Z"
    plain = {"id": 9000 + minute, "type": "Comment", "author_id": author, "plain_body": text, "public": True}
    return {
        **plain,
        "body": f"**{text}**",
        "html_body": f"<b>{text}</b>",
        "created_at": at,
        "attachments": [],
        **fields,
    }


def ticket(number: int = 35436, **fields: object) -> dict[str, Any]:
    said = [comment(501, "Where is it?", 0), comment(502, "On its way.", 1), comment(501, "Thanks", 2)]
    plain = {"id": number, "subject": "Where is my order?", "description": "Where is it?", "status": "closed"}
    who = {"requester_id": 501, "submitter_id": 501, "assignee_id": 502, "via": {"channel": "chat", "source": {}}}
    return {**plain, **who, "created_at": "2024-03-01T09:59:00Z", "tags": ["vip"], "comments": said, **fields}


def test_a_ticket_becomes_a_whole_raw_conversation(tmp_path: Path) -> None:
    rule = {"channel": "rule", "source": {"from": {"id": 1, "title": "Notify"}, "rel": "trigger"}}
    said = [
        comment(501, "Broken again", 0, via={"channel": "email", "source": {"from": {"name": "A. Lee"}}}),
        comment(-1, "We got your mail", 1, via=rule),
        comment(502, "She is angry", 2, public=False),
        comment(502, "Sorry, a new one leaves today", 3, via={"channel": 0, "source": {"to": {"name": "Ann L."}}}),
        comment(503, "Same here", 4),
        comment(504, "", 5, attachments=[{"file_name": "label.pdf"}]),
    ]
    record = ticket(
        comments=said,
        satisfaction_rating={"score": "good", "comment": "nice"},
        via={"channel": "email", "source": {"from": {"address": "ann.private@x.example"}}},
        custom_fields=[{"id": 360001, "value": "refund_status"}, {"id": 360002, "value": None}],
    )
    page = {"tickets": [record], "users": USERS, "organizations": [{"id": 1}], "count": 1, "end_time": 1}
    (tmp_path / "export.json").write_text(json.dumps(page, indent=1))
    source = {
        "path": "export.json",
        "columns": {"intent": "custom_fields.360001"},
        "metadata": ["via.channel", "tags", "subject"],
    }
    frame = collect(tmp_path, source)
    who = [("id", "501"), ("email", "ann@x.example"), ("phone", "+1 202 555 0101")]
    texts = [
        ("customer", "Where is my order?\n\nBroken again"),
        ("system", "We got your mail"),
        ("system", "She is angry"),
        ("agent", "Sorry, a new one leaves today"),
        ("customer", "Same here"),
        ("agent", ""),
    ]
    expected = conversations(
        [
            {
                "conversation_id": "35436",
                "source": "export",
                "started_at": datetime(2024, 3, 1, 9, 59, tzinfo=UTC),
                "customer_keys": customer_keys(who, KEY),
                "turns": [
                    {
                        "role": role,
                        "text": text,
                        "at": datetime(2024, 3, 1, 10, minute, tzinfo=UTC),
                        "supervise": role == "agent" and bool(text),
                    }
                    for minute, (role, text) in enumerate(texts)
                ],
                "intent": "refund_status",
                "intent_source": "log",
                "intent_confidence": 1.0,
                "rating": 5.0,
                "metadata": {"via.channel": "email", "tags": '["vip"]', "subject": "Where is my order?"},
                "known": {
                    "EMAIL_ADDRESS": [
                        *("ann@x.example", "bo@shop.example", "cy@x.example", "di@shop.example"),
                        "ann.private@x.example",
                    ],
                    "PHONE_NUMBER": ["+1 202 555 0101"],
                    "PERSON": ["Ann Lee", "Bo Quist", "Bobby", "Cy Dorn", "Di Root", "A. Lee", "Ann L."],
                },
            }
        ],
        RAW_CONVERSATION,
    ).assign(reject=pd.Series([None], dtype=object), raw=pd.Series([None], dtype=object))
    assert_frame_equal(frame, expected)


def test_every_way_of_writing_an_export_down_gives_the_same_rows(tmp_path: Path) -> None:
    tickets = [ticket(1), ticket(2), ticket(3)]
    embedded = [{**one, "requester": USERS[0], "assignee": USERS[1]} for one in tickets]
    bundles = [{"ticket": {**one, "comments": None}, "comments": one["comments"], "users": USERS} for one in tickets]
    pages = [
        {"tickets": tickets[:2], "users": USERS, "end_of_stream": False},
        {"tickets": tickets[2:], "users": USERS, "end_of_stream": True},
        {"tickets": [], "users": [], "end_of_stream": True},
    ]
    (tmp_path / "page.json").write_text(json.dumps({"users": USERS, "tickets": tickets}))
    write_lines(tmp_path / "pages.jsonl", pages)
    write_lines(tmp_path / "lines.jsonl", embedded)
    write_lines(tmp_path / "bundles.jsonl", bundles)
    write_lines(tmp_path / "plain.jsonl", tickets)
    write_lines(tmp_path / "users.jsonl", USERS)
    (tmp_path / "users.json").write_text(json.dumps({"users": USERS, "count": 4}))
    frames = [
        collect(tmp_path, {"path": f"{name}", "source": "z", "format": format})
        for name in ("page.json", "pages.jsonl", "lines.jsonl", "bundles.jsonl")
        for format in ("auto", "zendesk")
    ]
    frames += [
        collect(tmp_path, {"path": "plain.jsonl", "source": "z", "users": users})
        for users in ("users.jsonl", "users.json")
    ]
    said = [("customer", "Where is it?", False), ("agent", "On its way.", True), ("customer", "Thanks", False)]
    assert shape(frames[0]) == [(name, said) for name in ("1", "2", "3")]
    assert frames[0]["known"][0]["PERSON"] == ["Ann Lee", "Bo Quist", "Bobby"]
    for frame in frames[1:]:
        assert_frame_equal(frame, frames[0])


@pytest.mark.parametrize(
    ("author", "fields", "role"),
    [
        (501, {}, "customer"),  # the requester
        ("501", {}, "customer"),
        (502, {}, "agent"),
        (504, {}, "agent"),  # an admin
        (503, {}, "customer"),  # another end user
        (777, {}, "agent"),  # an unknown author who is not in copy must be an agent
        (777, {"public": False}, "note"),
        (-1, {}, "system"),
        (502, {"via": {"channel": "rule"}}, "system"),
        (502, {"via": {"channel": 8}}, "system"),
        (502, {"via": {"channel": "web", "source": {"rel": "merge"}}}, "system"),
        (501, {"metadata": {"flags": [4], "trusted": True}}, "system"),
        (501, {"type": "VoiceComment"}, "system"),
        (502, {"via": {"channel": "web", "source": {"rel": None}}}, "agent"),
    ],
)
def test_who_speaks(tmp_path: Path, author: object, fields: dict[str, object], role: str) -> None:
    record = ticket(comments=[comment(501, "hi", 0), comment(author, "words", 1, **fields)])
    write_lines(tmp_path / "x.jsonl", [{"tickets": [record], "users": USERS}])
    turn = collect(tmp_path, {"path": "x.jsonl"})["turns"][0][1]
    expected = ("system", False) if role in ("note", "system") else (role, role == "agent")
    assert (turn["role"], turn["supervise"]) == expected


@pytest.mark.parametrize(
    ("subject", "channel", "first"),
    [
        ("Order 7", "email", "Order 7\n\nWhere is it?"),
        ("Order 7", "web", "Order 7\n\nWhere is it?"),
        ("Order 7", 4, "Order 7\n\nWhere is it?"),
        ("Chat with Ann", "chat", "Where is it?"),
        ("Call from Ann", "voice", "Where is it?"),
        ("where  IS it?", "email", "Where is it?"),
        ("Where is...", "email", "Where is it?"),  # made of the first words
        (None, "email", "Where is it?"),
        (7, "email", "Where is it?"),
    ],
)
def test_a_subject_precedes_the_first_message_unless_it_repeats_it(
    tmp_path: Path, subject: object, channel: object, first: str
) -> None:
    write_lines(tmp_path / "x.jsonl", [ticket(subject=subject, via={"channel": channel})])
    turns = collect(tmp_path, {"path": "x.jsonl"})["turns"][0]
    assert [turn["text"] for turn in turns] == [first, "On its way.", "Thanks"]


def test_the_body_is_the_plain_one_unless_another_is_declared(tmp_path: Path) -> None:
    old = {key: value for key, value in comment(501, "a", 0).items() if key != "plain_body"}
    html = {key: value for key, value in old.items() if key != "body"}
    write_lines(tmp_path / "x.jsonl", [ticket(comments=[comment(501, "a", 0), old, html])])
    assert [turn["text"] for turn in collect(tmp_path, {"path": "x.jsonl"})["turns"][0]] == ["a", "**a**", "<b>a</b>"]
    declared = collect(tmp_path, {"path": "x.jsonl", "columns": {"text": "html_body"}})
    assert [turn["text"] for turn in declared["turns"][0]] == ["<b>a</b>"] * 3


def test_comments_are_sorted_and_a_description_replaces_a_missing_first_one(tmp_path: Path) -> None:
    backwards = ticket(1, comments=ticket()["comments"][::-1])
    alone = {key: value for key, value in ticket(2).items() if key != "comments"}
    opened_by_agent = {**alone, "id": 3, "submitter_id": 502, "assignee": USERS[1]}
    write_lines(tmp_path / "x.jsonl", [backwards, alone, opened_by_agent])
    frame = collect(tmp_path, {"path": "x.jsonl"})
    assert [[turn["text"] for turn in turns] for turns in frame["turns"]] == [
        ["Where is it?", "On its way.", "Thanks"],
        ["Where is it?"],
        ["Where is it?"],
    ]
    assert [turns[0]["role"] for turns in frame["turns"]] == ["customer", "customer", "agent"]


@pytest.mark.parametrize(
    ("score", "rating"),
    [("good", 5.0), ("bad", 1.0), ("good_with_comment", 5.0), ("offered", None), ("unoffered", None), (None, None)],
)
def test_ratings(tmp_path: Path, score: object, rating: float | None) -> None:
    write_lines(tmp_path / "x.jsonl", [ticket(satisfaction_rating={"score": score})])
    found = collect(tmp_path, {"path": "x.jsonl"})["rating"]
    assert found.isna()[0] if rating is None else found[0] == rating


@pytest.mark.parametrize("write", [json.dumps, lambda value: json.dumps(value, indent=1)])
def test_one_ticket_in_a_file_of_its_own(tmp_path: Path, write: Callable[[object], str]) -> None:
    (tmp_path / "35436.json").write_text(write(ticket()))
    assert collect(tmp_path, {"path": "35436.json"})["row_id"].tolist() == ["35436"]
