"""Zendesk tickets that are rejected, and their files of users."""

import json
from pathlib import Path

import pytest

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.schema import RAW_CONVERSATION, to_table
from deskloop.contract.stage import Context
from tasks.ingest import IngestConfig, inputs
from tasks.ingest.identity import customer_keys
from tests.tasks.test_ingest import KEY, collect, write_lines
from tests.tasks.test_ingest_zendesk import USERS, comment, ticket

BROKEN: list[tuple[object, str]] = [
    (json.dumps(ticket())[:90].encode(), "invalid_json"),  # cut off
    (b'{"id": 7, "requester_id": 501, "comments": [{"plain_body": "\xff"}]}', "invalid_encoding"),
    (ticket(7, comments="none"), "bad_turns"),
    (ticket(7, comments=["words"]), "bad_turns"),
    (ticket(7, comments=[comment(501, 7, 0)]), "bad_turns"),
    (ticket(7, comments=[{"id": 1, "author_id": 501, "public": True}]), "bad_turns"),
    (ticket(7, comments=[], description=None), "no_turns"),
    (ticket(7, comments=None, description=None), "no_turns"),
    (ticket(7, comments=[comment(501, " ", 0)], description="", subject=""), "empty_conversation"),
    (ticket(7, comments=[comment(None, "a", 0)]), "unknown_author"),
    (ticket(7, comments=[comment({"id": 1}, "a", 0)]), "unknown_author"),
    (ticket(7, requester_id=None, comments=[comment(7, "a", 0)]), "unknown_author"),
    (ticket(7, email_cc_ids=[777], comments=[comment(501, "a", 0), comment(777, "b", 1)]), "unknown_author"),
    (ticket(7, status="deleted"), "deleted_ticket"),
    (ticket(7, tags=["closed_by_merge"]), "merged_ticket"),
    ({"id": 7, "author": {"name": "Ann"}, "cause": "Detected as spam", "content": "buy"}, "suspended_ticket"),
    (ticket(1), "duplicate_id"),
]


@pytest.mark.parametrize(("record", "reason"), BROKEN)
@pytest.mark.parametrize("format", ["auto", "zendesk"])
def test_a_broken_ticket_is_rejected_and_the_others_are_read(
    tmp_path: Path, record: object, reason: str, format: str
) -> None:
    write_lines(tmp_path / "x.jsonl", [ticket(1), record, ticket(2)])
    frame = collect(tmp_path, {"path": "x.jsonl", "format": format})
    assert frame["row_id"].tolist() == ["1", "x.jsonl:2", "2"]
    assert frame["reject"].tolist() == [None, reason, None]
    assert (frame["raw"][1] is None) == (reason in ("duplicate_id", "deleted_ticket"))
    to_table(frame, RAW_CONVERSATION)


def test_in_a_page_of_the_api_each_ticket_is_judged_alone(tmp_path: Path) -> None:
    page = {"tickets": [ticket(1), 3, ticket(2, comments="none")], "suspended_tickets": [], "end_time": 1}
    write_lines(tmp_path / "x.jsonl", [page, {"tickets": [ticket(4), None], "end_time": 2}, {"id": 1}])
    frame = collect(tmp_path, {"path": "x.jsonl", "format": "zendesk"})
    assert frame["row_id"].tolist() == ["1", "x.jsonl:1.2", "x.jsonl:1.3", "4", "x.jsonl:2.2", "x.jsonl:3"]
    assert frame["reject"].tolist() == [None, "not_an_object", "bad_turns", None, "not_an_object", "no_turns"]


def test_an_opted_out_customers_tickets_are_kept_nowhere(tmp_path: Path) -> None:
    fields = [{"id": 77, "value": True}]
    write_lines(tmp_path / "x.jsonl", [ticket(1, custom_fields=fields), ticket(2, opt="yes"), ticket(3)])
    by_field = collect(tmp_path, {"path": "x.jsonl", "opt_out": "custom_fields.77"})
    assert by_field["reject"].tolist() == ["opted_out", None, None]
    assert collect(tmp_path, {"path": "x.jsonl", "opt_out": "opt"})["reject"].tolist() == [None, "opted_out", None]


def test_what_is_declared_comes_on_top_of_what_the_ticket_tells(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [ticket(requester=USERS[0], order="NV-7001", mail="a2@x.example")])
    source = {"path": "x.jsonl", "known": {"ORDER_ID": "order"}, "customer": {"email": "mail"}}
    row = collect(tmp_path, source).iloc[0]
    assert row["known"]["ORDER_ID"] == ["NV-7001"]
    assert row["known"]["PERSON"] == ["Ann Lee"]
    assert row["customer_keys"] == customer_keys(
        [("id", "501"), ("email", "a2@x.example"), ("phone", "+12025550101")], KEY
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": 1, "name": "Ann"}\n{"name": "canary"}\n', r"users\.jsonl: record 2 is not a user \(no id\)"),
        (b'{"id": 1}\n{"id": \n', r"users\.jsonl: record 2 is not a user \(invalid_json\)"),
        (b'{"users": [{"id": 1}, "canary"]}\n', "record 2 is not a user"),
        (b'[{"id": 1}, {"id": [2]}]', "record 2 is not a user"),
        (b'{"id": 1, "name": "\xff"}\n', "invalid_encoding"),
    ],
)
def test_users_that_cannot_be_read_stop_the_run_because_their_names_would_not_be_known(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "users.jsonl").write_bytes(content)
    write_lines(tmp_path / "x.jsonl", [ticket()])
    with pytest.raises(InputError, match=message) as error:
        collect(tmp_path, {"path": "x.jsonl", "users": "users.jsonl"})
    assert "canary" not in str(error.value)


def test_a_file_of_users_is_an_input_and_no_log(tmp_path: Path) -> None:
    (tmp_path / "zendesk").mkdir()
    write_lines(tmp_path / "zendesk" / "tickets.jsonl", [ticket()])
    write_lines(tmp_path / "zendesk" / "users.jsonl", USERS)
    source = {"path": "zendesk", "users": "zendesk/users.jsonl"}
    config = IngestConfig.model_validate({"sources": [source]}, context=tmp_path)
    context = Context("ingest", key=KEY)
    before = inputs(config, context)
    assert [name for name, _ in before] == ["tickets.jsonl", "users: users.jsonl"]
    assert collect(tmp_path, source)["known"][0]["PERSON"] == ["Ann Lee", "Bo Quist", "Bobby"]
    write_lines(tmp_path / "zendesk" / "users.jsonl", USERS[:1])
    assert [one == other for one, other in zip(before, inputs(config, context), strict=True)] == [True, False]
    with pytest.raises(ConfigError, match=r"'zendesk/user\.jsonl' does not exist"):
        collect(tmp_path, {**source, "users": "zendesk/user.jsonl"})
