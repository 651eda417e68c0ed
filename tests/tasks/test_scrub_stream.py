import io
import os
from collections import Counter

import orjson

from tasks.scrub import ScrubConfig
from tasks.scrub.stream import BATCH, scrub_lines, scrub_stream


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
    assert result == {
        "id": "a@b.example",
        "turns": [
            {"role": "customer", "text": "Call <PERSON_1>", "ts": 1589375697},
            {"role": "agent", "text": "", "notes": ["for <PERSON_1>", {"mail": "<EMAIL_ADDRESS_1>"}]},
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


def test_lines_are_read_no_further_than_a_batch() -> None:
    read = []

    def lines() -> object:
        for number in range(10 * BATCH):
            read.append(number)
            yield b'{"id": 1, "text": "x"}'

    next(scrub_lines(lines(), ScrubConfig()))  # type: ignore[arg-type]
    assert len(read) == BATCH


def test_lines_go_out_as_they_come() -> None:
    """A pipe that stays open: what it holds is not kept back until a batch is full."""
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


def test_what_was_done_is_counted() -> None:
    tally: Counter[str] = Counter()
    lines = [b'{"id": 1, "text": "a@b.example, c@d.example"}', b"", b"no"]
    assert len(list(scrub_lines(lines, ScrubConfig(), tally=tally))) == 2
    assert tally == {"lines": 2, "errors": 1, "EMAIL_ADDRESS": 2}


def test_a_line_without_end_is_an_error_in_bounded_memory() -> None:
    content = b'{"id": 1, "text": "' + b"x" * 25_000_000 + b'"}\n{"id": 2, "text": "hi"}\n' + b"y" * 12_000_000
    lines = [orjson.loads(line) for line in scrub_stream(io.BufferedReader(io.BytesIO(content)), ScrubConfig())]
    assert [line.get("error") for line in lines] == ["line_too_long", None, "line_too_long"]
