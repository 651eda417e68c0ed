"""Erasure outside tables (unreadable records, generated texts, artifacts, reports), and rejection of later records."""

import json
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskloop.audit.trace import ACCESS, record_access
from deskloop.contract.erased import Erased, Erasure, belongs, conversation_hash, record_hash
from deskloop.contract.schema import CONVERSATION, RAW_CONVERSATION, conversations, to_table
from deskloop.contract.stage import Context
from deskloop.erase import traces
from deskloop.erase.search import ErasureRequest, Person, find, head, parts, read_part
from deskloop.erase.unreadable import fields, unreadable
from deskloop.store.catalog import Catalog, Version
from deskloop.store.delta import QUARANTINE
from deskloop.store.erasures import erasures_digest
from deskloop.store.ledger import Ledger
from deskloop.store.memo import Memo
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw
from tasks.ingest import IngestConfig, ingest
from tasks.ingest.erasure import search_for
from tasks.ingest.identity import customer_keys
from tests.sweep import sweep

KEY, OLD = b"0123456789abcdef", b"fedcba9876543210"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TURNS = [{"role": "customer", "text": "hi"}, {"role": "agent", "text": "hello"}]


def erased(
    *asked: ErasureRequest, until: datetime = NOON, keys: tuple[bytes, ...] = (KEY,), records: Sequence[str] = ()
) -> Erased:
    return Erased(
        tuple(
            Erasure(
                str(place),
                until,
                one.customers,
                frozenset(),
                frozenset(conversation_hash(key, name) for key in keys for name in one.conversations),
                frozenset(records),
            )
            for place, one in enumerate(asked)
        ),
        keys,
    )


def read(folder: Path, rows: Sequence[dict[str, Any] | str], whom: Erased | None) -> dict[str, str | None]:
    """Row id -> why it was rejected."""
    lines = [row if isinstance(row, str) else json.dumps({"turns": TURNS, **row}) for row in rows]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    config = IngestConfig.model_validate({"sources": [{"path": "log.jsonl"}]}, context=folder)
    context = Context("ingest", key=KEY, erased=whom)
    frame = pd.concat(ingest(config, context))
    assert frame.loc[frame["reject"] == "erased", "raw"].isna().all()
    return dict(zip(frame["row_id"], frame["reject"].where(frame["reject"].notna(), None), strict=True))


def test_older_rows_are_refused_and_new_tickets_are_not(tmp_path: Path) -> None:
    whom = erased(search_for(["C-17"], ["HD-other"], [KEY]))
    rows: list[dict[str, Any] | str] = [
        {"id": "HD-1", "customer_id": "C-17", "started_at": "2024-05-01T11:59:00Z"},
        {"id": "HD-2", "customer_id": "C-17", "started_at": "2024-05-01T12:00:01Z"},
        {"id": "HD-3", "customer_id": "C-17"},
        {"id": "HD-4", "customer_id": "C-18", "started_at": "2024-05-01T11:59:00Z"},
        {"id": "HD-other", "customer_id": "C-19", "started_at": "2024-05-01T11:59:00Z"},
        {"id": "HD-5", "customer_id": "C-17", "turns": "none"},
        '{"id": "HD-6", "customer_id": "C-17"',
    ]
    assert read(tmp_path, rows, whom) == {
        "log.jsonl:1": "erased",
        "HD-2": None,
        "log.jsonl:3": "erased",
        "HD-4": None,
        "log.jsonl:5": "erased",
        "log.jsonl:6": "erased",
        "log.jsonl:7": "invalid_json",
    }
    assert "erased" not in read(tmp_path, rows, erased()).values()


def test_an_unreadable_record_that_was_erased_keeps_no_bytes(tmp_path: Path) -> None:
    broken = '{"id": "HD-6", "customer_id": "C-17"'
    held = read(
        tmp_path, [{"id": "HD-1"}, broken], erased(ErasureRequest(), records=[record_hash(KEY, broken.encode())])
    )
    assert held == {"HD-1": None, "log.jsonl:2": "erased"}


def test_hashes_of_a_retired_key_still_refuse(tmp_path: Path) -> None:
    whom = erased(search_for(["ann@example.com"], [], [OLD]), keys=(KEY, OLD))
    assert read(tmp_path, [{"id": "HD-1", "email": "Ann@example.com "}], whom) == {"log.jsonl:1": "erased"}
    hidden = erased(search_for([], ["ticket 7 of Ann"], [OLD]), keys=(KEY, OLD))
    assert read(tmp_path, [{"id": "ticket 7 of Ann"}, {"id": "HD-2"}], hidden) == {
        "log.jsonl:1": "erased",
        "HD-2": None,
    }


def test_a_number_may_be_an_id_or_a_phone() -> None:
    assert search_for(["+1 415 555 0100"], [], [KEY]).customers >= set(customer_keys([("phone", "4155550100")], KEY))
    assert search_for(["C-415555"], [], [KEY]).customers == set(customer_keys([("id", "C-415555")], KEY))
    for nobody in ("", " ", "Guest", "n/a"):
        with pytest.raises(ValueError, match="identifies nobody"):
            search_for([nobody], [], [KEY])


@given(
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef"), min_size=1),
    st.sets(st.sampled_from("abcdef")),
)
def test_records_of_other_people_are_accepted(keys: set[str], customers: set[str], own: set[str]) -> None:
    theirs = belongs(keys, customers, own - customers)
    assert theirs == bool(keys & customers or (keys and keys <= own - customers))
    whom = Erased((Erasure("1", NOON, frozenset(customers), frozenset(own - customers)),), (KEY,))
    assert whom.refuses([keys], ["HD-1"], NOON) == whom.refuses([keys], ["HD-1"], None) == theirs
    assert not whom.refuses([keys], ["HD-1"], NOON + timedelta(microseconds=1))


def test_the_digest_of_erasures_ignores_their_order() -> None:
    one, two = Erasure("1", NOON, frozenset("ab")), Erasure("2", NOON, frozenset("c"))
    assert erasures_digest([]) == ""
    assert erasures_digest([one, two]) == erasures_digest([two, one]) != erasures_digest([one])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def put(store: Store, zone: str, name: str, table: pa.Table) -> None:
    with allow_raw("test"):
        store.create(zone, name, table.schema)
        store.append_parts(zone, name, [store.write_part(store.staging(zone) / name, table)])


def raw(*rows: dict[str, Any]) -> pa.Table:
    return to_table(conversations([{"turns": TURNS, **row} for row in rows], RAW_CONVERSATION), RAW_CONVERSATION)


def test_a_shared_key_identifies_a_person_only_if_they_have_no_other(store: Store) -> None:
    rows = {
        "HD-1": ["ann", "ann@"], "HD-2": ["ann", "phone", "kiosk"], "HD-3": ["ann@"], "HD-4": ["bob", "phone"],
        "HD-5": ["kiosk"], "HD-6": ["eve", "kiosk"], "HD-7": [],
    }  # fmt: skip
    put(
        store,
        "raw",
        "ingested",
        raw(*({"conversation_id": name, "customer_keys": keys} for name, keys in rows.items())),
    )
    with allow_raw("test"):
        person = find(store, ErasureRequest(frozenset({"ann"})))
    assert person.conversations == {"HD-1", "HD-2", "HD-3"}
    assert person.person_keys == {"ann@"}
    assert person.related == {"HD-4", "HD-5", "HD-6"}


def test_files_that_a_merge_wrote_are_read_like_any_other(store: Store) -> None:
    """Delta merges write strings as views, which Arrow cannot filter."""
    rows = [{"conversation_id": f"HD-{number}", "customer_keys": [f"k{number % 2}"]} for number in range(6)]
    put(store, "raw", "ingested", raw(*rows))
    with allow_raw("test"):
        known = {"PERSON": ["Ann Lee"]}
        later = raw({"conversation_id": "HD-1", "customer_keys": ["k1", "k3"], "known": known, "started_at": NOON})
        store.merge("raw", "ingested", [store.write_part(store.staging("raw") / "ingested", later)], [])
        files = [read_part(path, raw().schema.names) for path in parts(store, "raw", "ingested")]
        person = find(store, ErasureRequest(frozenset({"k1"})))
    assert len(files) > 1
    assert not [table.schema for table in files if "view" in str(table.schema)]
    assert (person.conversations, person.person_keys) == ({"HD-1", "HD-3", "HD-5"}, {"k3"})
    assert (person.values, person.latest) == ({"PERSON": {"Ann Lee"}}, NOON)
    left = [table.filter(pa.array(person.rows(table), pa.bool_())) for table in files]
    assert {name for table in left for name in table["row_id"].to_pylist()} == {"HD-1", "HD-3", "HD-5"}
    assert all(cell[0]["text"] == "hi" for table in left for cell in table["turns"].to_pylist())


def test_copies_and_windows_belong_to_the_conversation_in_their_id() -> None:
    person = Person(frozenset({"k"}), conversations=frozenset({"HD-1"}))
    table = pa.table({"row_id": ["HD-1", "HD-1/noise-1/w2", "HD-10", "x"], "parent_id": [None, "HD-1", None, "HD-1/a"]})
    assert person.rows(table) == [True, True, False, True]
    assert person.rows(pa.table({"row_id": ["a", "b"], "customer_keys": [["k", "l"], None]})) == [True, False]
    assert head(None) == ""


def test_unreadable_records_are_theirs_by_what_is_known_of_them(store: Store) -> None:
    records = {
        b'{"customer": {"email": "ANN@example.com"': True,
        b'{"customer": {"name": "Ann K\\u00e9lly", "turns": [': True,
        '{"note": "caf\u00e9", "customer": {"name": "Ann Kélly"'.encode("latin-1"): True,
        "Ann Kélly wrote".encode("latin-1"): False,  # somebody else may be called so
        b'{"order_id": "HD-774411", "turns": 7}': True,
        b'{"customer": {"name": "Ann Kelly-Smith"': False,
        b'{"customer": {"email": "support@example.com"': False,  # of the shop
        b"mail to support@example.com": False,
        b"card 2024-05-01 12:00, total 12.50": False,
        b"call me at (415) 555-0100 please": True,
        b"call me at 1-415.555.0100": True,
        b"my order HD-774411 is late": True,
        b"HD-1,customer,hi": True,
        b"Ann was helpful": False,
        b"joann@example.com": False,
        b"HD-10,customer,hi": False,
        b"94155550100 1": True,
        b"41555501007": False,
    }
    shop = "support@example.com"
    put(store, "raw", "ingested", raw(
        {"conversation_id": "HD-1", "customer_keys": customer_keys([("email", "ann@example.com")], KEY), "known": {
            "PERSON": ["Ann Kélly", "Ann"], "EMAIL_ADDRESS": ["ann@example.com", shop], "ORDER_ID": ["HD-774411"]}},
        {"conversation_id": "HD-2", "customer_keys": ["b"], "known": {"EMAIL_ADDRESS": [shop]}},
    ))  # fmt: skip
    columns = {"row_id": [f"log:{at}" for at in range(len(records))], "reason": ["bad"] * len(records)}
    table = pa.table({**columns, "raw": list(records), "batch": pa.array([1] * len(records), pa.int32())}, QUARANTINE)
    put(store, "raw", "quarantine", table)
    with allow_raw("test"):
        asked = search_for(["ann@example.com", "+1 415 555 0100"], [], [KEY])
        person = find(store, asked)
        found = {one.raw for one in unreadable(store, person, asked)}
        assert {one: one in found for one in records} == records
        assert traces.rewrite_quarantine(store, traces.hashed(found, KEY), [OLD, KEY]) == len(found)
        left = Store(store.root / ".erase").read("raw", "quarantine", 1, ["raw"])["raw"].to_pylist()
    assert set(left) == {one for one, theirs in records.items() if not theirs}


def quarantined(store: Store, records: Sequence[bytes]) -> None:
    columns = {"row_id": [f"log:{at}" for at in range(len(records))], "reason": ["bad"] * len(records)}
    table = pa.table({**columns, "raw": list(records), "batch": pa.array([1] * len(records), pa.int32())}, QUARANTINE)
    put(store, "raw", "quarantine", table)


def why(store: Store, *customers: str, conversations: Sequence[str] = (), **declared: object) -> dict[str, str]:
    """Row id -> why an unreadable record is theirs."""
    source = {"path": "log.jsonl", **declared}
    config = IngestConfig.model_validate({"sources": [source]}) if declared else None
    asked = search_for(customers, conversations, [KEY, OLD], [config] if config else [])
    with allow_raw("test"):
        return {one.row_id: one.why for one in unreadable(store, find(store, asked), asked)}


WORDS = [
    b'{"id": "HD-7", "customer": {"id": "C-9"}, "turns": [{"role": "customer", "text": "my order of Monday, order 7',
    b"Monday,order,2024-05-01,12.50",
    b'{"weekday": "Monday", "order": {"id": "order"}, "product": "iPhone15", "turns": [',
    b'Monday 2024-05-01 12:00 order "order" C-1 20240501',
]


@pytest.mark.parametrize(
    "word", ["order", "Monday", "iPhone15", "2024-05-01", "20240501", "2024050112", "12.50", "turns", "customer", "7"]
)
def test_an_ordinary_word_is_not_an_identifier(store: Store, word: str) -> None:
    keys = customer_keys([("id", "C-1"), ("id", "word")], KEY)
    put(store, "raw", "ingested", raw({"conversation_id": "HD-1", "customer_keys": keys}))
    quarantined(store, WORDS)
    assert why(store, word) == {}
    assert why(store, conversations=[word]) == {}


@pytest.mark.parametrize("word", ["order", "Monday", "iPhone15", "20240501"])
def test_a_word_that_is_a_customers_id_counts_in_its_field_alone(store: Store, word: str) -> None:
    keys = customer_keys([("id", word)], KEY)
    put(store, "raw", "ingested", raw({"conversation_id": "HD-1", "customer_keys": keys}))
    quarantined(store, [*WORDS, f'{{"customer": {{"id": "{word}", "turns'.encode(), b'{"id": "HD-1", "tu'])
    assert why(store, word) == {
        "log:4": "customer id in the field customer.id",
        "log:5": "conversation id in the field id",
    }


def test_a_declared_field_counts_even_if_nothing_could_ever_be_read(store: Store) -> None:
    quarantined(store, [
        b'{"account": {"no": 4711, "mail": ["ANN@x.org"]}, "turns": 7',
        b'{"account": {"no": 4711',  # may have been 47112
        b'{"account": {"no": "4711", "turns": [{"te',
        b'{"no": 4711, "customer": {"id": "4711"}}',
        b'[}, "account": {"no": 4711.0}',
    ])  # fmt: skip
    declared = {"customer": {"id": "account.no", "email": "account.mail"}}
    expected = dict.fromkeys(["log:0", "log:2", "log:4"], "customer id in the field account.no")
    assert why(store, "4711", **declared) == expected
    assert why(store, "ann@x.org", **declared) == {"log:0": "e-mail in the field account.mail"}
    assert why(store, "4711") == {"log:3": "customer id in the field customer.id"}


def test_an_id_that_the_store_has_read_counts_as_a_whole_token(store: Store) -> None:
    row = {"conversation_id": "HD-10234", "customer_keys": customer_keys([("id", "C-20006")], OLD)}
    put(
        store,
        "raw",
        "ingested",
        raw(row, {"conversation_id": "HD-1", "customer_keys": customer_keys([("id", "C-17")], KEY)}),
    )
    quarantined(store, [
        b"C-20006;hi", b"it is c-20006.", b"C-200061", b"C-20006-7", b"AC-20006", b"see HD-10234", b"HD-10234/w1",
        b"C-17,hi", b"see C-17", b'{"product": "C-17", "x',
    ])  # fmt: skip
    found = why(store, "C-20006")
    assert found == {
        "log:0": "customer id", "log:1": "customer id", "log:5": "conversation id", "log:6": "conversation id",
    }  # fmt: skip
    assert why(store, "C-17") == {"log:7": "customer id"}
    assert why(store, "C-99999") == {}


@given(st.text())
def test_fields_of_anything_are_read_in_linear_time_and_without_an_error(text: str) -> None:
    assert all(value is not None for _, value in fields(text))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(alphabet='ab{}[]:,\\" \u00e9')


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", "c.d"]), inner)))
def test_fields_of_json_are_its_strings_and_numbers(value: Any) -> None:
    def expected(part: Any, path: tuple[str, ...]) -> list[tuple[str, str]]:
        if isinstance(part, dict):
            return [one for name, inner in part.items() for one in expected(inner, (*path, name))]
        if isinstance(part, list):
            return [one for inner in part for one in expected(inner, path)]
        plain = isinstance(part, str) or (isinstance(part, int) and not isinstance(part, bool))
        return [(".".join(path), str(part).strip())] if plain else []

    wrapped = {"root": value}
    assert list(fields(json.dumps(wrapped))) == expected(wrapped, ())


def clean(store: Store, name: str, texts: dict[str, str]) -> None:
    rows = [{"conversation_id": key, "turns": [{"role": "customer", "text": text}]} for key, text in texts.items()]
    put(store, "clean", name, to_table(conversations(rows), CONVERSATION))


def test_generated_texts_and_artifacts_with_words_of_the_person_alone_are_deleted(store: Store) -> None:
    clean(
        store, "scrubbed", {"HD-1": "my zeppelin leaks\nthanks", "HD-1/noise-1": "my zepelin leaks", "HD-2": "thanks"}
    )
    with Memo(str(store.root / "memo" / "augment.sqlite")) as memo:
        memo.remember("m", {("my zeppelin leaks\nthanks", 1): "mine zeppelin leaks", ("thanks", 1): "thank you"})
    ledger = Ledger(store.root / "ledger")
    words = {"kept": ["thanks"], "normalize": ["thanks", "zeppelin"], "lines": ["My zeppelin leaks"]}
    for step, one in words.items():
        ledger.record_artifact(step, "r", {"vocabulary.json": json.dumps(one).encode()}, 2, "first fit")
    vocabulary = {"model": {"vocab": {"\u0120zeppelin": 1, "\u0120thanks": 2}}}
    ledger.record_artifact("encode", "r", {"tokenizer.json": json.dumps(vocabulary).encode()}, 2, "first fit")
    person = Person(frozenset(), conversations=frozenset({"HD-1"}))
    catalog = Catalog(store.root / "catalog")
    at = store.delta_version("clean", "scrubbed")
    catalog.publish([Version("scrubbed", 0, "dataset", "clean", "scrub", "scrub", "f", "r", "d", 3, delta_version=at)])
    alone = traces.texts_alone(store, catalog, person)
    assert alone.turns == {"my zeppelin leaks\nthanks", "my zepelin leaks"}
    assert alone.lines == {"my zeppelin leaks", "my zepelin leaks"}
    assert alone.words == {"zeppelin", "zepelin", "leaks"}
    found, pieces = traces.artifacts_with(store, alone)
    assert sorted(found.values()) == ["lines", "normalize"]
    assert pieces == 1
    assert traces.forget_texts(store, alone.turns) == 1
    assert {name for _, name in sweep(store.root / "memo", {"theirs": "mine zeppelin", "others": "thank you"})} == {
        "others"
    }


def test_reports_lose_the_ids_and_nothing_else(store: Store) -> None:
    folder = store.root / "reports" / "run-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"error": "rows: HD-1, HD-10, HD-1/w2", "n": 1}')
    (folder / "index.html").write_text("<p>HD-10</p>")
    assert traces.clean_reports(store, Person(frozenset(), conversations=frozenset({"HD-1"}))) == 1
    assert (folder / "run.json").read_text() == '{"error": "rows: (erased), HD-10, (erased)/w2", "n": 1}'
    assert (folder / "index.html").read_text() == "<p>HD-10</p>"
    assert traces.clean_reports(store, Person(frozenset())) == 0


def test_notes_on_who_looked_lose_the_ids_and_nothing_else(store: Store) -> None:
    ledger = store.root / "ledger"
    person = Person(frozenset(), conversations=frozenset({"HD-1"}))
    assert traces.clean_access(store, person) == 0
    for row_id in ("HD-1", "HD-10", None, "HD-1/noise-1"):
        record_access(ledger, row_id)
    before = [json.loads(line) for line in (ledger / ACCESS).read_text().splitlines()]
    assert traces.clean_access(store, person) == 2
    after = [json.loads(line) for line in (ledger / ACCESS).read_text().splitlines()]
    assert [note["row_id"] for note in after] == ["(erased)", "HD-10", None, "(erased)"]
    assert [note | {"row_id": ""} for note in after] == [note | {"row_id": ""} for note in before]
    assert stat.S_IMODE((ledger / ACCESS).stat().st_mode) == 0o600
    assert traces.clean_access(store, person) == 0
