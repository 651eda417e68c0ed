"""The example log is as its README describes, and the committed files equal the generator's output."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).resolve().parents[2] / "examples" / "support"
FORMS = {"plain", "entity", "tags", "lower", "upper", "spelled", "fullwidth", "zero_width", "mojibake"}
UNREADABLE = {"truncated", "not_utf8", "turns_null", "empty_turns", "top_level_list"}


def generate(folder: Path, *arguments: str) -> None:
    command = [sys.executable, str(SUPPORT / "generate.py"), "--out", str(folder / "log"), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def read(*paths: Path) -> list[bytes]:
    return [line.rstrip(b"\n") for path in sorted(paths) for line in gzip.open(path)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a log with the default arguments."""
    folder = tmp_path_factory.mktemp("support")
    generate(folder)
    return folder


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[bytes]:
    return read(*(folder / "log").iterdir())


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read(folder / "truth.jsonl.gz")]


@pytest.fixture(scope="module")
def sound(lines: list[bytes], truth: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (row, truth) of the rows that are not broken."""
    return [(json.loads(line), known) for line, known in zip(lines, truth, strict=True) if not known["broken"]]


def test_committed_files_equal_the_generators_output(folder: Path) -> None:
    """The files are compared uncompressed, because builds of zlib compress differently."""
    committed = sorted(path.name for path in (SUPPORT / "log").glob("????-??.jsonl.gz"))
    assert committed == sorted(path.name for path in (folder / "log").iterdir())
    for name in [*(f"log/{name}" for name in committed), "truth.jsonl.gz"]:
        assert gzip.decompress((SUPPORT / name).read_bytes()) == gzip.decompress((folder / name).read_bytes()), name


def test_committed_files_are_small() -> None:
    paths = [*(SUPPORT / "log").glob("????-??.jsonl.gz"), SUPPORT / "truth.jsonl.gz"]
    assert sum(path.stat().st_size for path in paths) < 1_500_000


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    for name, seed in [("one", "3"), ("two", "3"), ("three", "4")]:
        generate(tmp_path / name, "--conversations", "40", "--seed", seed)
    one, two, three = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).rglob("*.gz"))}
        for name in ("one", "two", "three")
    )
    assert one == two
    assert one != three


def test_two_thousand_conversations_of_two_to_five_exchanges(sound: list[Any]) -> None:
    assert len(sound) >= 2000
    for row, _ in sound:
        roles = [turn["role"] for turn in row["turns"]]
        assert 2 <= roles.count("customer") <= 5
        assert roles.count("agent") >= 2
        assert roles[0] == "customer"
        assert set(roles) <= {"customer", "agent", "note"}


def test_moderate_length(sound: list[Any]) -> None:
    words = [sum(len(turn["text"].split()) for turn in row["turns"]) for row, _ in sound]
    assert 105 <= sum(words) / len(words) <= 160


def test_skewed_intents(sound: list[Any], truth: list[dict[str, Any]]) -> None:
    sizes = Counter(known["intent"] for known in truth)
    assert len(sizes) >= 15
    assert max(sizes.values()) >= 20 * min(sizes.values())
    assert min(Counter(row["intent"] for row, _ in sound if row["intent"]).values()) >= 10
    assert all(row["intent"] in (None, known["intent"]) for row, known in sound)
    assert 0.09 <= sum(row["intent"] is None for row, _ in sound) / len(sound) <= 0.15


def test_customers_rarely_write_the_same_message(sound: list[Any]) -> None:
    messages = [turn["text"] for row, _ in sound for turn in row["turns"] if turn["role"] == "customer"]
    assert len(set(messages)) / len(messages) >= 0.85


def test_variety_is_not_only_in_the_values(sound: list[Any]) -> None:
    """Messages stay mostly distinct when personal values are replaced by their types."""
    messages = []
    for row, known in sound:
        texts = [turn["text"] for turn in row["turns"]]
        for value in sorted(known["values"], key=lambda value: -len(value["written"])):
            texts[value["turn"]] = texts[value["turn"]].replace(value["written"], f"<{value['type']}>")
        messages += [text for text, turn in zip(texts, row["turns"], strict=True) if turn["role"] == "customer"]
    assert len(set(messages)) / len(messages) >= 0.75


def test_values_are_in_the_text_as_written(lines: list[bytes], truth: list[dict[str, Any]]) -> None:
    count = 0
    for line, known in zip(lines, truth, strict=True):
        if known["broken"] in UNREADABLE:
            continue
        row = json.loads(line)
        for value in known["values"]:
            assert value["written"] in row["turns"][value["turn"]]["text"]
            count += 1
    assert count > 5000


def test_kinds_and_forms_of_personal_data(truth: list[dict[str, Any]]) -> None:
    values = [value for known in truth for value in known["values"]]
    kinds, forms = Counter(value["type"] for value in values), Counter(value["form"] for value in values)
    assert len(kinds) >= 12
    assert min(kinds.values()) >= 20
    assert set(forms) == FORMS
    assert min(forms[form] for form in FORMS - {"mojibake"}) >= 40


def test_numbers_pass_their_checksums_and_addresses_are_reserved(truth: list[dict[str, Any]]) -> None:
    by_type: dict[str, set[str]] = {}
    for known in truth:
        for value in known["values"]:
            by_type.setdefault(value["type"], set()).add(value["value"])
    assert all(luhn_valid(card) for card in by_type["CREDIT_CARD"])
    assert all(iban_valid(iban) for iban in by_type["IBAN_CODE"])
    assert not by_type["US_SSN"] & {"123-45-6789", "078-05-1120", "219-09-9999"}
    assert all(ssn[:3] not in ("000", "666") and ssn[0] != "9" for ssn in by_type["US_SSN"])
    reserved = (".example", "@example.com", "@example.org", "@example.net")
    assert all(mail.endswith(reserved) for mail in by_type["EMAIL_ADDRESS"])


def luhn_valid(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def iban_valid(iban: str) -> bool:
    return int("".join(str(int(mark, 36)) for mark in iban[4:] + iban[:4])) % 97 == 1


def test_duplicates(sound: list[Any], truth: list[dict[str, Any]]) -> None:
    texts = {row["conversation_id"]: [(turn["role"], turn["text"]) for turn in row["turns"]] for row, _ in sound}
    copies = [known for _, known in sound if known["duplicate_of"]]
    near = [known for _, known in sound if known["near_duplicate_of"]]
    assert 0.01 <= len(copies) / len(truth) <= 0.02
    assert 0.013 <= len(near) / len(truth) <= 0.027
    assert all(texts[known["conversation_id"]] == texts[known["duplicate_of"]] for known in copies)
    for known in near:
        turns, others = texts[known["conversation_id"]], texts[known["near_duplicate_of"]]
        words, other_words = (set(" ".join(text for _, text in side).split()) for side in (turns, others))
        assert turns != others
        assert len(words & other_words) / len(words | other_words) > 0.7


def test_broken_rows_of_every_kind(lines: list[bytes], truth: list[dict[str, Any]]) -> None:
    broken = Counter(known["broken"] for known in truth if known["broken"])
    assert 0.003 <= sum(broken.values()) / len(truth) <= 0.008
    assert set(broken) == UNREADABLE | {"unknown_role", "duplicate_id"}
    ids = Counter(known["conversation_id"] for known in truth)
    assert sum(count - 1 for count in ids.values()) == broken["duplicate_id"]
    for line, known in zip(lines, truth, strict=True):
        if known["broken"] in ("truncated", "not_utf8"):
            with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
                json.loads(line)


def test_customers_come_back_and_some_opted_out(sound: list[Any]) -> None:
    customers = Counter(row["customer"]["id"] for row, _ in sound)
    assert 1.4 <= len(sound) / len(customers) <= 1.8
    assert sum(count >= 5 for count in customers.values()) >= 5
    assert 0.003 <= sum(row["no_training"] for row, _ in sound) / len(sound) <= 0.02
    for key in ("email", "phone"):
        assert len({row["customer"][key] for row, _ in sound}) == len(customers)


def test_mail_looks_like_mail(sound: list[Any]) -> None:
    mails = [turn["text"] for row, _ in sound if row["channel"] == "email" for turn in row["turns"]]
    marks = ["<p>", "<br", "<b>", "&amp;", "&nbsp;", "-- \n", "Sent from my iPhone", "Ã", "may contain confidential"]
    for mark in marks:
        assert sum(mark in mail for mail in mails) >= 5, mark
    chats = [turn["text"] for row, _ in sound if row["channel"] == "chat" for turn in row["turns"]]
    assert not any("<p>" in chat for chat in chats)
    assert sum(ord(max(chat)) > 0x1F300 for chat in chats) >= 50


def test_chronological_order(sound: list[Any]) -> None:
    started = [row["started_at"] for row, _ in sound]
    assert started == sorted(started)
    for row, _ in sound:
        times = [turn["at"] for turn in row["turns"]]
        assert times == sorted(times)
        assert times[0] == row["started_at"]


def test_other_languages(sound: list[Any]) -> None:
    first = [row["turns"][0]["text"].lower() for row, _ in sound]
    assert sum("hace" in text for text in first) >= 2
    assert sum("bestellt" in text or "umgezogen" in text for text in first) >= 2


def test_a_second_night(folder: Path, sound: list[Any], tmp_path: Path) -> None:
    generate(tmp_path, "--night", "1")
    rows = []
    night, truth = read(tmp_path / "log" / "night-1.jsonl.gz"), read(tmp_path / "truth-night-1.jsonl.gz")
    for line, known in zip(night, truth, strict=True):
        if not json.loads(known)["broken"]:
            rows.append(json.loads(line))
    assert 230 <= len(rows) <= 240
    assert min(row["started_at"] for row in rows) > max(row["started_at"] for row, _ in sound)
    assert not {row["conversation_id"] for row in rows} & {row["conversation_id"] for row, _ in sound}
    known_customers = {row["customer"]["id"] for row, _ in sound}
    assert 0.2 <= sum(row["customer"]["id"] in known_customers for row in rows) / len(rows) <= 0.6
