"""Ids and keys are stable, joinable and not personal."""

import hashlib
import hmac
from pathlib import Path

import pytest

from tests.tasks.test_ingest import KEY, TURNS, collect, write_lines


def ids(folder: Path, records: list[dict[str, object]], **source: object) -> list[str]:
    write_lines(folder / "log.jsonl", records)
    frame = collect(folder, {"path": "log.jsonl", **source})
    assert frame["reject"].isna().all()
    return frame["conversation_id"].tolist()


def hidden(kind: str, value: str) -> str:
    return hmac.new(KEY, f"{kind}\x1f{value}".encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "name", ["HD-1", "a.b_c:d#e", "x" * 80, "123456", "17", "c3499f9e-ea7f-4c1b-93a0-0242ac120002"]
)
def test_a_harmless_id_stays(tmp_path: Path, name: str) -> None:
    assert ids(tmp_path, [{"conversation_id": name, "turns": TURNS}]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "ann@x.com",
        "4155550100",
        "415-555-0100",
        "4111111111111111",
        "Ann Lee",
        "x" * 81,
        "a\x00b",
        "a/b",
        "é",
        "log.jsonl:3",
    ],
)
def test_an_id_that_may_be_personal_or_misread_is_hidden(tmp_path: Path, name: str) -> None:
    assert ids(tmp_path, [{"conversation_id": name, "turns": TURNS}]) == [f"h-{hidden('conversation_id', name)[:24]}"]


def test_an_id_that_holds_a_known_value_is_hidden(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"id": "chat-ann-lee-7", "turns": TURNS, "customer": {"name": "Ann Lee"}},
        {"id": "chat-7", "turns": TURNS, "known_pii": {"pin": ["7"]}},
    ]
    assert ids(tmp_path, records) == [f"h-{hidden('conversation_id', 'chat-ann-lee-7')[:24]}", "chat-7"]


def test_ids_that_differ_stay_different(tmp_path: Path) -> None:
    names: list[object] = ["a/b", "a_b", "A_B", 7, 2**64 + 1, 2**64 + 2, 10**30, 10**30 + 1]
    assert len(set(ids(tmp_path, [{"id": name, "turns": TURNS} for name in names]))) == len(names)
    assert ids(tmp_path, [{"id": 17.0, "turns": TURNS}]) == ["17"]


def test_without_an_id_the_content_gives_one_in_any_order(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"turns": [{"role": "user", "text": text}], "rating": rating}
        for text, rating in (("a", 1), ("b", 1), ("a", 2), ("a", 1))
    ]
    names = ids(tmp_path, records)
    assert len(set(names)) == 4
    assert all(name.startswith("c-") and len(name) == 26 for name in names)
    assert set(ids(tmp_path, records[::-1])) == set(names)
    assert ids(tmp_path, records[:3]) == names[:3]


def test_customer_keys_join_sources_and_skip_placeholders(tmp_path: Path) -> None:
    records = [
        {"id": "1", "turns": TURNS, "customer_id": 42, "email": " Ann@X.com", "phone": "+1 (415) 555-0100"},
        {"id": "2", "turns": TURNS, "customer": {"id": "42", "email": "ann@x.COM", "phone": "415.555.0100"}},
        {"id": "3", "turns": TURNS, "customer": {"id": "guest", "email": "N/A", "phone": "none"}},
        {"id": "4", "turns": TURNS, "customer": None},
    ]
    write_lines(tmp_path / "x.jsonl", records)
    keys = collect(tmp_path, {"path": "x.jsonl"})["customer_keys"].tolist()
    expected = sorted([hidden("id", "42"), hidden("email", "ann@x.com"), hidden("phone", "4155550100")])
    assert keys == [expected, expected, [], []]
