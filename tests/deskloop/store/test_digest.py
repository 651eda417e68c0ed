"""Digests depend on the rows of a table, not on their order or time of arrival."""

import hashlib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deskloop.contract.schema import CONVERSATION
from deskloop.store.digest import row_hashes, table_digest, text_digest

text = st.text(st.characters(codec="utf-8"), max_size=4)
turn = st.fixed_dictionaries(
    {
        "role": text,
        "text": text,
        "at": st.none() | st.just(datetime(2024, 5, 6, tzinfo=UTC)),
        "supervise": st.booleans(),
    }
)
row = st.fixed_dictionaries(
    {
        "row_id": text,
        "batch": st.integers(0, 3),
        "turns": st.lists(turn, max_size=2),
        "rating": st.none() | st.sampled_from([0.0, 1.5]),
        "weight": st.sampled_from([1.0, 0.5]),
        "intent": st.none() | text,
        "metadata": st.dictionaries(text, text, max_size=2),
    }
)
SCHEMA = pa.schema(
    [
        CONVERSATION.field(name)
        for name in ("row_id", "batch", "turns", "rating", "weight", "intent", "metadata")
    ]
)  # fmt: skip


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist([{**one, "metadata": list(one["metadata"].items())} for one in rows], schema=SCHEMA)


def digest(rows: list[dict], chunk: int = 100) -> str:
    whole = table(rows)
    parts = [row_hashes(whole.slice(begin, chunk)) for begin in range(0, len(rows), chunk)]
    return table_digest(pa.chunked_array(parts, type=pa.binary()))


@given(st.lists(row, max_size=6), st.randoms(), st.integers(1, 6))
def test_order_chunks_and_batch_do_not_count(rows: list[dict], random: object, chunk: int) -> None:
    shuffled = [{**one, "batch": 9} for one in rows]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest(shuffled, chunk) == digest(rows)


@given(st.lists(row, min_size=1, max_size=4), row, st.data())
def test_one_other_cell_changes_it(rows: list[dict], other: dict, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from([name for name in SCHEMA.names if name != "batch"]))
    changed = [dict(one) for one in rows]
    changed[position][name] = other[name]
    assert (digest(changed) == digest(rows)) is (rows[position][name] == other[name])


@given(st.lists(row, min_size=1, max_size=3))
def test_a_row_more_changes_it_even_a_copy(rows: list[dict]) -> None:
    assert digest([*rows, rows[0]]) != digest(rows)


def test_cells_that_look_alike_differ() -> None:
    base = {"row_id": "a", "batch": 0, "turns": [], "rating": None, "weight": 1.0, "intent": None, "metadata": {}}
    turn = {"role": "", "text": "", "at": None, "supervise": False}
    late = turn | {"at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)}
    variants = [
        {}, {"intent": ""}, {"intent": "null"}, {"rating": 0.0}, {"weight": 0.0}, {"metadata": {"a": "b"}},
        {"metadata": {"a": ""}}, {"turns": [turn]}, {"turns": [turn, turn]}, {"turns": [late]},
        {"turns": [late | {"at": datetime(2024, 1, 1, tzinfo=UTC)}]}, {"turns": [turn | {"supervise": True}]},
        {"turns": [turn | {"role": "a"}]}, {"turns": [turn | {"text": "a"}]}, {"turns": [turn | {"text": "é"}]},
        {"turns": [turn | {"text": "e\u0301"}]},
    ]  # fmt: skip
    digests = {digest([base | variant]) for variant in variants}
    assert len(digests) == len(variants)


def blake(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def test_pinned() -> None:
    """Published digests must be found again by every later version: BLAKE2b-128 of canonical JSON, summed."""
    simple = pa.table({"row_id": ["a", "b"], "n": [1, None], "raw": [b"\x00\xff", None], "batch": [3, 4]})
    rows = [b'{"n":1,"raw":"00ff","row_id":"a"}', b'{"n":null,"raw":null,"row_id":"b"}']
    assert row_hashes(simple).to_pylist() == [blake(one) for one in rows]
    total = sum(int.from_bytes(blake(one), "big") for one in rows) % 2**128
    assert table_digest(pa.chunked_array([row_hashes(simple)])) == f"{total:032x}"
    assert table_digest(pa.chunked_array([], type=pa.binary())) == "0" * 32
    assert text_digest("a", {"b": [1, None], "a": True}) == blake(b'["a",{"a":true,"b":[1,null]}]').hex()


def test_sums_wrap_at_128_bits() -> None:
    ones = pa.chunked_array([pa.array([b"\xff" * 16] * 3, pa.binary())])
    assert table_digest(ones) == f"{(3 * (2**128 - 1)) % 2**128:032x}"


def test_text_digest_ignores_the_order_of_keys_alone() -> None:
    assert text_digest({"a": 1, "b": 2}) == text_digest({"b": 2, "a": 1})
    assert text_digest([1, 2]) != text_digest([2, 1])
    assert text_digest("a", "b") != text_digest("ab")
