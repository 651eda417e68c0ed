import io
import os
import re
from collections import Counter

import orjson
import pytest

from tasks.scrub import ScrubConfig
from tasks.scrub.stream import BATCH, Identifiers, scrub_lines, scrub_stream


def run(*lines: bytes) -> list[object]:
    out = list(scrub_lines(lines, ScrubConfig()))
    assert all(line.endswith(b"\n") for line in out)
    return [orjson.loads(line) for line in out]


def test_a_text_and_its_spans_in_the_input() -> None:
    text = "é, jane&#64;example.com and <PERSON_1>"
    (result,) = run(orjson.dumps({"id": 7, "text": text}))
    assert result == {
        "id": 7,
        "text": "é, <EMAIL_ADDRESS_1> and <PERSON_1>",
        "spans": [{"turn": 0, "start": 3, "end": 23, "entity": "EMAIL_ADDRESS"}],
    }
    assert text[3:23] == "jane&#64;example.com"


def test_turns_known_values_and_other_fields() -> None:
    line = {
        "id": "a@b.example",
        "turns": [
            {"role": "customer", "text": "Call <b>B</b>ob", "ts": 1589375697},
            {"role": "agent", "text": None, "notes": ["for Bob", {"mail": "bob@b.example"}]},
        ],
        "known": {"PERSON": ["Bob"]},
        "title": "Bob again",
    }
    (result,) = run(orjson.dumps(line))
    assert re.fullmatch(r"[0-9a-f]{32}", result.pop("id"))  # type: ignore[attr-defined]
    assert result == {
        "turns": [
            {"role": "customer", "text": "Call <PERSON_1>", "ts": 1589375697},
            {"role": "agent", "text": "", "notes": ["for <PERSON_1>", {"mail": "<EMAIL_ADDRESS_2>"}]},
        ],
        "title": "<PERSON_1> again",
        "spans": [{"turn": 0, "start": 8, "end": 15, "entity": "PERSON"}],
    }


def test_bad_lines_do_not_stop_the_stream() -> None:
    assert run(
        b'{"id": 1, "text": "x"',
        b"\xff",
        b"  \n",
        b"[]",
        b'{"id": 2}',
        b'{"id": 3, "text": "x", "turns": []}',
        b'{"id": {"mail": "a@b.example"}, "text": 4}',
        b'{"id": 5, "turns": [{"text": 1}]}',
        b'{"id": 6, "text": "x", "known": {"PERSON": "x"}}',
        b'{"id": 7, "text": "x"}\n',
    ) == [
        {"id": None, "error": "invalid_json"},
        {"id": None, "error": "invalid_json"},
        {"id": None, "error": "not_an_object"},
        {"id": 2, "error": "needs_text_or_turns"},
        {"id": 3, "error": "needs_text_or_turns"},
        {"id": None, "error": "text_is_no_string"},
        {"id": 5, "error": "bad_turns"},
        {"id": 6, "error": "bad_known"},
        {"id": 7, "text": "x", "spans": []},
    ]


def test_more_lines_than_a_batch_in_their_order() -> None:
    count = 2 * BATCH + 3
    result = run(*(orjson.dumps({"id": number, "text": f"u{number}@b.example"}) for number in range(count)))
    assert [(line["id"], line["text"]) for line in result] == [  # type: ignore[index]
        (number, "<EMAIL_ADDRESS_1>") for number in range(count)
    ]


def test_no_more_than_a_batch_is_read_ahead() -> None:
    read = []

    def lines() -> object:
        for number in range(10 * BATCH):
            read.append(number)
            yield b'{"id": 1, "text": "x"}'

    next(scrub_lines(lines(), ScrubConfig()))  # type: ignore[arg-type]
    assert len(read) == BATCH


def test_lines_are_written_as_they_arrive() -> None:
    """A pipe that stays open: its lines are processed before a batch is full."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb", buffering=0) as sink:
        out = scrub_stream(source, ScrubConfig())
        sink.write(b'{"id": 1, "text": "mail a@b.example"}\n{"id": 2, "te')
        assert orjson.loads(next(out))["text"] == "mail <EMAIL_ADDRESS_1>"
        sink.write(b'xt": "c@d.example"}\n\n{"id": 3,')
        assert orjson.loads(next(out))["text"] == "<EMAIL_ADDRESS_1>"
        sink.write(b' "text": "no line feed"}')
        sink.close()
        assert [orjson.loads(line)["id"] for line in out] == [3]


def test_lines_errors_and_findings_are_counted() -> None:
    tally: Counter[str] = Counter()
    lines = [b'{"id": 1, "text": "a@b.example, c@d.example"}', b"", b"no"]
    assert len(list(scrub_lines(lines, ScrubConfig(), tally=tally))) == 2
    assert tally == {"lines": 2, "errors": 1, "EMAIL_ADDRESS": 2}


def test_an_endless_line_is_an_error_in_bounded_memory() -> None:
    content = b'{"id": 1, "text": "' + b"x" * 25_000_000 + b'"}\n{"id": 2, "text": "hi"}\n' + b"y" * 12_000_000
    lines = [orjson.loads(line) for line in scrub_stream(io.BufferedReader(io.BytesIO(content)), ScrubConfig())]
    assert [line.get("error") for line in lines] == ["line_too_long", None, "line_too_long"]


def lines_of(*objects: dict[str, object], identifiers: Identifiers | None = None) -> list[dict[str, object]]:
    lines = [orjson.dumps({"text": "", **each}) for each in objects]
    return [orjson.loads(line) for line in scrub_lines(lines, ScrubConfig(), identifiers=identifiers)]


@pytest.mark.parametrize(
    "identifier",
    [
        "00e7c4821947",
        "550e8400-e29b-41d4-a716-446655440000",
        "HD-100023",
        "1000234567",
        "3f9a12-Elm-Street-12",
        "jane12",
    ],
)
@pytest.mark.parametrize("field", ["id", "customer_id", "ticketId", "order-id"])
def test_an_opaque_identifier_passes_whole_on_every_line(field: str, identifier: str) -> None:
    assert [line[field] for line in lines_of({field: identifier}, {field: identifier})] == [identifier] * 2


@pytest.mark.parametrize(
    "identifier",
    ["jane.doe@mail.com", "+12125550187", "4111 1111 1111 1111", "Jane Doe 3", "wei.edwards36", "123-45-6789"],
)
def test_an_identifier_that_is_personal_is_hashed_whole(identifier: str) -> None:
    known = {"PERSON": ["Wei Edwards"]}
    lines = lines_of(
        {"customer_id": identifier, "known": known}, {"user": {"id": identifier}, "known": known}, {"id": "C-1"}
    )
    first, second = lines[0]["customer_id"], lines[1]["user"]["id"]  # type: ignore[index]
    assert re.fullmatch("[0-9a-f]{32}", str(first))
    assert first == second
    other = lines_of({"customer_id": identifier, "known": known}, identifiers=Identifiers(b"other"))
    assert other[0]["customer_id"] != first


def test_identifiers_are_hashed_on_request() -> None:
    lines = lines_of({"id": 7, "customer_id": "C-9", "at": "2026-03-01"}, identifiers=Identifiers(b"key", always=True))
    again = lines_of({"id": "7", "customer_id": "C-8"}, identifiers=Identifiers(b"key", always=True))
    assert lines[0]["id"] == again[0]["id"] != 7
    assert lines[0]["customer_id"] != again[0]["customer_id"]
    assert lines[0]["at"] == "2026-03-01"


def test_the_identifier_of_an_error_is_treated_like_any_other() -> None:
    (passed,) = run(b'{"id": "HD-12"}')
    (hidden,) = run(b'{"id": "jane@mail.com", "text": 4}')
    assert passed == {"id": "HD-12", "error": "needs_text_or_turns"}
    assert hidden["error"] == "text_is_no_string"  # type: ignore[index]
    assert re.fullmatch("[0-9a-f]{32}", hidden["id"])  # type: ignore[index]


def test_single_words_in_metadata_are_replaced_whole_or_not_at_all() -> None:
    lines = lines_of(
        {"device": "a00e7c4821947", "phone": "2125550187", "account": "wei36", "known": {"PERSON": ["wei36"]}}
    )
    assert lines[0]["device"] == "a00e7c4821947"
    assert (lines[0]["phone"], lines[0]["account"]) == ("<PHONE_NUMBER_1>", "<PERSON_1>")
