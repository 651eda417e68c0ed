"""An export in each format goes through the whole preparation: read, scrubbed, split, encoded."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.flows.desk import Desk, example_lines, table, versions

Conversation = dict[str, Any]
COUNT = 40
AGENTS = {"id": 90001, "name": "Quinlan Zorbas", "email": "quinlan@norvale.example", "role": "agent"}


def as_ticket(one: Conversation) -> dict[str, Any]:
    """The conversation as Zendesk exports it, with a note that must not be supervised."""
    customer = one["customer"]
    ids = {"customer": customer["id"], "agent": AGENTS["id"]}
    said = [
        {"id": n, "author_id": ids[turn["role"]], "plain_body": turn["text"], "public": True, "created_at": turn["at"]}
        for n, turn in enumerate(one["turns"])
    ]
    note = {**said[-1], "author_id": AGENTS["id"], "plain_body": "internal zebra", "public": False}
    return {
        "id": one["conversation_id"],
        "requester_id": customer["id"],
        "subject": None,
        "status": "closed",
        "created_at": one["started_at"],
        "custom_fields": [{"id": 1, "value": one["intent"]}],
        "comments": [*said, note],
    }


def zendesk(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    folder.mkdir()
    people = {one["customer"]["id"]: {**one["customer"], "role": "end-user"} for one in log}
    page = {"tickets": [as_ticket(one) for one in log], "users": [*people.values(), AGENTS], "end_time": 1}
    (folder / "tickets.json").write_text(json.dumps(page))
    return {"path": "export/tickets.json", "columns": {"intent": "custom_fields.1"}}


def context_response(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    rows = []
    for one in log:
        said = [turn["text"] for turn in one["turns"]]
        last = max((n for n, turn in enumerate(one["turns"]) if turn["role"] == "agent"), default=0)
        person = {"customer_id": one["customer"]["id"], "email": one["customer"]["email"], "intent": one["intent"]}
        rows.append({"id": one["conversation_id"], "context": said[:last], "response": said[last], **person})
    return write_lines(folder, rows)


def sharegpt(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    names = {"customer": "human", "agent": "gpt"}
    return write_lines(
        folder,
        [
            {
                **{key: one[key] for key in ("customer", "intent")},
                "id": one["conversation_id"],
                "conversations": [{"from": names[turn["role"]], "value": turn["text"]} for turn in one["turns"]],
            }
            for one in log
        ],
    )


def parquet(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(list(log)), folder / "log.parquet", row_group_size=16)
    return {"path": "export/log.parquet"}


def huggingface(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    datasets.disable_progress_bars()
    datasets.DatasetDict({"train": datasets.Dataset.from_list(list(log))}).save_to_disk(str(folder))
    datasets.enable_progress_bars()
    return {"path": "export", "format": "huggingface"}


def files(folder: Path, log: Sequence[Conversation]) -> dict[str, Any]:
    parquet(folder, log[: COUNT // 2])
    (folder / "deep").mkdir()
    (folder / "deep" / "more.json").write_text(json.dumps(list(log[COUNT // 2 :])))
    (folder / "photo.png").write_bytes(b"zebra")
    return {"path": "export"}


def write_lines(folder: Path, rows: Sequence[object]) -> dict[str, Any]:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"path": "export/log.jsonl"}


@pytest.mark.parametrize("write", [zendesk, context_response, sharegpt, parquet, huggingface, files])
def test_an_export_is_prepared_to_its_end(
    tmp_path: Path, write: Callable[[Path, Sequence[Conversation]], dict[str, Any]]
) -> None:
    log = plain_conversations()
    assert len(log) == COUNT
    desk = Desk(tmp_path, [b""])
    desk.steps[0]["ingest"]["sources"] = [write(tmp_path / "export", log)]
    run = desk.prepare()

    ingested, encoded = table(run, "ingested"), pa.concat_tables(
        [table(run, f"{split}_encoded") for split in ("train", "validation", "test")]
    )  # fmt: skip
    assert sorted(ingested["conversation_id"].to_pylist()) == sorted(one["conversation_id"] for one in log)
    rejects = run.store.delta_version("clean", "ingest.rejects")
    reasons = run.store.read("clean", "ingest.rejects", rejects)["reason"].to_pylist()
    assert reasons == (["unknown_file"] if write is files else [])
    supervised = {
        (row["conversation_id"], turn["text"])
        for row in ingested.select(["conversation_id", "turns"]).to_pylist()
        for turn in row["turns"]
        if turn["supervise"]
    }
    answers = {
        (one["conversation_id"], turn["text"]) for one in log for turn in one["turns"] if turn["role"] == "agent"
    }
    assert supervised == answers if write is not context_response else supervised <= answers
    assert len(supervised) >= COUNT
    assert set(encoded["conversation_id"].to_pylist()) <= set(ingested["conversation_id"].to_pylist())
    assert len(set(encoded["conversation_id"].to_pylist())) > COUNT / 2
    assert {"train_encoded", "validation_encoded", "test_encoded"} <= versions(run).keys()
    shown = json.dumps(table(run, "scrubbed")["turns"].to_pylist(), default=str)
    assert not [one["customer"]["email"] for one in log if one["customer"]["email"] in shown]


def plain_conversations() -> list[Conversation]:
    """The conversations of the example log that every format can express: intact, with alternating speakers."""
    found: dict[str, Conversation] = {}
    for line in example_lines(4 * COUNT):
        with suppress(ValueError):
            one = json.loads(line)
            roles = [turn["role"] for turn in one.get("turns", [])]
            alternates = roles == ["customer", "agent"] * (len(roles) // 2) + ["customer"] * (len(roles) % 2)
            whole = len(roles) > 1 and all(turn["text"].strip() for turn in one["turns"])
            if alternates and whole and not one["no_training"] and one["customer"]["email"]:
                found.setdefault(one["conversation_id"], one)
    return list(found.values())[:COUNT]
