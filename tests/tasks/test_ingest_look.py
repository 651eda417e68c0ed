"""`deskloop init`: the file it writes reads every record of the log it looked at, and holds no value of it."""

import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.stage import Context
from deskloop.pipeline.load import load_pipeline
from tasks import stages
from tasks.ingest import ingest
from tasks.ingest.look import pipeline_for

WHO = {"name": "Zebedee Quux", "email": "zeb@quux.example", "phone": "+1 555 010 7788"}
TURNS = [{"role": "customer", "text": "Zebra words, 1 Quux Road"}, {"role": "agent", "text": "Zebra answer"}]
CONVERSATIONS = [
    {"conversation_id": f"T-{n}", "turns": TURNS, "customer": WHO, "intent": "zebra_talk", "channel": "zebrachat"}
    for n in range(3)
]
OURS = [{"from": "human", "value": "Zebra words"}, {"from": "gpt", "value": "Zebra answer"}]
THEIRS = [{"sender": "Customer", "body": "Zebra words", "sent_at": "2024-05-06"}, {"sender": "agent", "body": "yes"}]
OPENAI = [{"role": "system", "content": "Zebra"}, *({"role": one, "content": "Zebra"} for one in ("user", "assistant"))]

PAIR = {"instruction": "Zebra words", "response": "Zebra answer", "category": "zebra_talk"}
TICKETS = """Ticket_ID,Sender,Body,Created_At,Customer,Agent,Customer_Email,Channel
T-1,customer,"Zebra, words",2024-05-06,Zebedee Quux,Bob,zeb@quux.example,zebrachat
T-2,customer,Zebra words,2024-05-06,Ann,Bob,ann@quux.example,zebrachat
T-1,agent,Zebra answer,2024-05-06,Zebedee Quux,Bob,zeb@quux.example,zebrachat
T-2,agent,Zebra answer,2024-05-06,Ann,Bob,ann@quux.example,zebrachat
"""


def jsonl(records: Iterable[object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


def parquet(records: Sequence[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), file)
    return file.getvalue()


USERS = [{**WHO, "id": 77123456, "role": "end-user"}, {"id": 9, "name": "Bob", "role": "agent"}]
COMMENTS = [
    {"id": n, "author_id": author, "plain_body": "Zebra words", "public": True, "via": {"channel": "web"}}
    for n, author in enumerate((77123456, 9))
]
TICKETS_OF_ZENDESK = [
    {"id": n, "requester_id": 77123456, "subject": "Zebra", "status": "closed", "priority": "low", "comments": COMMENTS}
    for n in range(3)
]
TURN_ROWS = [
    {"Ticket_ID": f"T-{n}", "Sender": who, "Body": "Zebra", "Customer_Email": WHO["email"]}
    for n in range(2)
    for who in ("customer", "agent")
]
LOGS: dict[str, tuple[bytes, int]] = {
    "conversations.jsonl": (jsonl(CONVERSATIONS), 3),
    "packed.jsonl.gz": (gzip.compress(jsonl(CONVERSATIONS)), 3),
    "array.json": (json.dumps(CONVERSATIONS).encode(), 3),
    "sharegpt.jsonl": (jsonl({"id": n, "conversations": OURS} for n in range(3)), 3),
    "helpdesk.jsonl": (jsonl({"ticket_id": f"T-{n}", "dialogue": THEIRS, "opt_out": False} for n in range(3)), 3),
    "openai.jsonl": (jsonl({"messages": OPENAI} for _ in range(3)), 3),
    "messages.jsonl": (jsonl({"id": f"T-{n}", "messages": THEIRS} for n in range(3)), 3),
    "instructions.jsonl": (jsonl([PAIR, PAIR]), 2),
    "prompts.jsonl": (jsonl([{"prompt": "Zebra", "completion": "Zebra"}]), 1),
    "splits.json": (json.dumps({"train": [PAIR, PAIR], "test": [PAIR]}).encode(), 3),
    "tickets.csv": (TICKETS.encode(), 2),
    "tickets.tsv": (TICKETS.replace('"Zebra, words"', "Zebra").replace(",", "\t").encode(), 2),
    "people.csv": (b"id,role,text,customer,agent\n1,customer,Zebra,Quux,Bob\n1,agent,yes,Quux,Bob\n", 1),
    "pairs.csv": (b"question;answer;topic\nZebra?;Zebra!;zebra_talk\n", 1),
    "bitext.csv": (b"flags,instruction,category,intent,response\nB,Zebra,ORDER,zebra_talk,Zebra\n", 1),
    "zendesk.json": (json.dumps({"tickets": TICKETS_OF_ZENDESK, "users": USERS, "end_time": 1}).encode(), 3),
    "zendesk.jsonl": (
        jsonl({**ticket, "requester": USERS[0], "submitter": USERS[0]} for ticket in TICKETS_OF_ZENDESK),
        3,
    ),
    "contexts.jsonl": (jsonl({"context": ["Zebra"], "response": "Zebra", "topic": "zebra_talk"} for _ in range(3)), 3),
    "contexts.csv": (b"Context,Context/0,Context/1,Response,Topic\nZebra,Zebra,Zebra,Zebra,zebra_talk\n", 1),
    "polyai.csv": (b"context,context/0,response\nZebra 2,Zebra,yes\n", 1),
    "records.parquet": (parquet(CONVERSATIONS), 3),
    "sharegpt.parquet": (parquet([{"id": str(n), "conversations": OURS} for n in range(3)]), 3),
    "events.parquet": (parquet([{"ticket_id": "T-1", "dialogue": THEIRS}]), 1),
    "turns.parquet": (parquet(TURN_ROWS), 2),
    "pairs.parquet": (parquet([{"question": "Zebra?", "answer": "Zebra!"}]), 1),
    "2024 Été #1.csv": (b"conversation_id,role,text\nT-1,customer,Zebra\nT-1,agent,yes\n", 1),
}


def looked_at(folder: Path, name: str, content: bytes) -> tuple[str, Any]:
    """(the text written, the pipeline read from it)."""
    (folder / "logs").mkdir()
    (folder / "logs" / name).write_bytes(content)
    (folder / "project").mkdir()
    file = folder / "project" / "pipeline.yaml"
    file.write_text(pipeline_for(str(folder / "logs" / name), file.parent), encoding="utf-8")
    return file.read_text(encoding="utf-8"), load_pipeline(file, stages())


def rows_of(pipeline: Any) -> list[dict[str, Any]]:
    context = Context("ingest", key=b"k")
    return [row for frame in ingest(pipeline.steps[0].config, context) for row in frame.to_dict("records")]


@pytest.mark.parametrize("name", LOGS)
def test_every_record_is_read_and_no_value_written(tmp_path: Path, name: str) -> None:
    content, count = LOGS[name]
    text, pipeline = looked_at(tmp_path, name, content)
    rows = rows_of(pipeline)
    assert [row["reject"] for row in rows] == [None] * count
    for row in rows:
        assert {"customer", "agent"} <= {turn["role"] for turn in row["turns"]}
        assert "Zebra" in row["turns"][0]["text"]
    assert not [one for one in pipeline.steps[0].config.sources[0].model_fields_set if one in ("format", "users")]
    assert not [value for value in ("ebra", "Quux", "quux", "T-1", "T-0", "555", "Bob", "Ann") if value in text]


def test_what_the_log_knows_of_a_customer_is_used(tmp_path: Path) -> None:
    _, pipeline = looked_at(tmp_path, "conversations.jsonl", jsonl(CONVERSATIONS))
    (source,) = pipeline.steps[0].config.sources
    assert source.metadata == ("channel",)
    row = rows_of(pipeline)[0]
    assert len(row["customer_keys"]) == 2
    assert row["known"] == {
        "EMAIL_ADDRESS": [WHO["email"]], "PHONE_NUMBER": [WHO["phone"]], "PERSON": [WHO["name"]],
    }  # fmt: skip
    assert (row["intent"], row["metadata"]) == ("zebra_talk", {"channel": "zebrachat"})


@pytest.mark.parametrize(
    "name", ["zendesk.json", "zendesk.jsonl", "sharegpt.jsonl", "sharegpt.parquet", "contexts.jsonl"]
)
def test_what_ingest_knows_by_itself_is_not_declared(tmp_path: Path, name: str) -> None:
    text, pipeline = looked_at(tmp_path, name, LOGS[name][0])
    (source,) = pipeline.steps[0].config.sources
    declared = {one for one, path in source.columns if path is not None}
    assert declared == ({"intent"} if name == "contexts.jsonl" else set())
    assert (source.customer.id, source.customer.email, source.known) == (None, None, None)
    assert ("# users: users.json" in text) == name.startswith("zendesk")
    if name.startswith("zendesk"):
        row = rows_of(pipeline)[0]
        assert source.metadata == ("priority",)
        assert (len(row["customer_keys"]), row["known"]["EMAIL_ADDRESS"]) == (3, [WHO["email"]])


def test_a_folder_is_looked_at_by_its_first_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "1.png").write_bytes(b"Zebra")
    (tmp_path / "logs" / "2.jsonl").write_bytes(jsonl(CONVERSATIONS))
    (tmp_path / "project").mkdir()
    file = tmp_path / "project" / "pipeline.yaml"
    file.write_text(pipeline_for(f"{tmp_path / 'logs'}/", file.parent))
    pipeline = load_pipeline(file, stages())
    assert pipeline.settings.name == "logs"
    assert pipeline.steps[0].config.sources[0].path.written == "../logs"
    assert [row["reject"] for row in rows_of(pipeline)] == ["unknown_file", None, None, None]


def test_a_data_set_keeps_its_name_and_is_refused_if_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data set 'org/name' ") as caught:
        pipeline_for("hf://datasets/org/name", tmp_path)
    assert len(caught.value.problems) == 1


def test_the_columns_of_a_csv_are_mapped_whatever_their_case(tmp_path: Path) -> None:
    _, pipeline = looked_at(tmp_path, "tickets.csv", TICKETS.encode())
    first = rows_of(pipeline)[0]
    assert (first["row_id"], [turn["text"] for turn in first["turns"]]) == ("T-1", ["Zebra, words", "Zebra answer"])
    assert first["known"] == {"EMAIL_ADDRESS": ["zeb@quux.example"]}
    assert len(first["customer_keys"]) == 1
    assert str(first["started_at"]) == "2024-05-06 00:00:00+00:00"


@pytest.mark.parametrize("field", ["opt_out", "no_training", "Opted_Out"])
def test_an_opt_out_is_honoured(tmp_path: Path, field: str) -> None:
    records = [{**CONVERSATIONS[0], field: True}, {**CONVERSATIONS[1], field: False}]
    _, pipeline = looked_at(tmp_path, "log.jsonl", jsonl(records))
    assert [row["reject"] for row in rows_of(pipeline)] == ["opted_out", None]


def test_values_that_the_log_declares_stay_known(tmp_path: Path) -> None:
    record = {**CONVERSATIONS[0], "known": {"ORDER_ID": ["ZB-77123"]}}
    _, pipeline = looked_at(tmp_path, "log.jsonl", jsonl([record]))
    (row,) = rows_of(pipeline)
    assert row["known"]["ORDER_ID"] == ["ZB-77123"]
    assert row["known"]["PERSON"] == [WHO["name"]]


def test_fields_that_only_a_later_record_has_are_seen(tmp_path: Path) -> None:
    records = [{"conversation_id": "T-1", "turns": TURNS}, None, "junk", *CONVERSATIONS]
    _, pipeline = looked_at(tmp_path, "log.jsonl", jsonl(records))
    assert pipeline.steps[0].config.sources[0].customer.email == "customer.email"


def test_a_glob_is_kept_and_named_after_nothing(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(jsonl([{**CONVERSATIONS[0], "conversation_id": f"T-{name}"}]))
    file = tmp_path / "pipeline.yaml"
    file.write_text(pipeline_for(str(tmp_path / "*.jsonl"), tmp_path))
    pipeline = load_pipeline(file, stages())
    assert pipeline.steps[0].config.sources[0].path.written == "*.jsonl"
    assert pipeline.settings.name == "log"
    assert [row["row_id"] for row in rows_of(pipeline)] == ["T-a", "T-b"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Été 2024.csv", "ete-2024"),
        ("2024.csv", "log-2024"),
        ("日本.csv", "log"),
        ("train.csv", "train-log"),
        ("train_encoded.csv", "train-encoded"),
        ("scrubbed.csv", "scrubbed-log"),
        ("base.csv", "base-log"),
        ("yes.csv", "yes-log"),
        ("-.csv", "log"),
        (f"{'x' * 60}.csv", "x" * 40),
    ],
)
def test_the_pipelines_name_is_a_valid_one(tmp_path: Path, name: str, expected: str) -> None:
    _, pipeline = looked_at(tmp_path, name, b"customer,agent\na,b\n")
    assert pipeline.settings.name == expected


@pytest.mark.parametrize(
    "name", ["yes.csv", "null.csv", "1e5.csv", "a: b.csv", "#.csv", "'\".csv", "a\\b.csv", "~.csv"]
)
def test_any_file_name_is_quoted_right(tmp_path: Path, name: str) -> None:
    _, pipeline = looked_at(tmp_path, name, b"customer,agent\na,b\n")
    assert len(rows_of(pipeline)) == 1


@pytest.mark.parametrize("name", ["null", "yes", "1e5", "2024-01-01", "plain"])
def test_a_name_that_yaml_would_take_for_something_else_is_quoted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(jsonl(CONVERSATIONS))
    file = tmp_path / "pipeline.yaml"
    file.write_text(pipeline_for(str(tmp_path / name), tmp_path))
    (source,) = load_pipeline(file, stages()).steps[0].config.sources
    assert source.path.written == name


def test_a_remote_log_is_named_as_it_is() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/log.jsonl", jsonl(CONVERSATIONS))
    try:
        text = pipeline_for("memory://bucket/log.jsonl", Path())
    finally:
        memory.rm("/bucket/log.jsonl")
    assert '- path: "memory://bucket/log.jsonl"\n' in text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("log.jsonl", b"", "log.jsonl: none of its first 500 records is a JSON object or a row of a table"),
        ("log.jsonl", b"Zebra words\n[1]\n", "log.jsonl: none of its first 500 records"),
        ("log.csv", b"", "log.csv: none of its first 500 records"),
        ("log.jsonl.gz", gzip.compress(jsonl(CONVERSATIONS), mtime=0)[:30], "log.jsonl.gz cannot be read to its end"),
    ],
)
def test_what_holds_no_records_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        looked_at(tmp_path, name, content)
    assert str(caught.value).startswith(expected)
    assert "Zebra" not in str(caught.value)


def test_a_missing_file_and_a_folder_with_the_pipeline_in_it_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        pipeline_for(str(tmp_path / "lag.jsonl"), tmp_path)
    assert caught.value.problems == ["'lag.jsonl' does not exist; the nearest name there is 'log.jsonl'"]
    with pytest.raises(ConfigError, match="also contains the pipeline file and its store"):
        pipeline_for(str(tmp_path), tmp_path)
