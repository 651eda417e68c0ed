"""The Arrow projections count what a plain loop over Python rows counts, nulls and slices included."""

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from deskloop.contract.placeholders import find
from deskloop.contract.schema import CONVERSATION, ENCODED
from expectations import measures

TEXT = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "a@b.c <PERSON_1>", "<IBAN_CODE_12><X_1>", "1 234-567 890", "so &amp; so", "ja\u200bne", "ÄÖ 🙂"]
    ),
    st.text(alphabet="aA@1< >_\n\u00a0é", max_size=12),
)
ROLE = st.sampled_from(["customer", "agent", "system", "bot", None])
TURN = st.fixed_dictionaries(
    {"role": ROLE, "text": TEXT, "at": st.none(), "supervise": st.sampled_from([True, False, None])}
)
METADATA = st.lists(st.tuples(st.sampled_from(["a", "b"]), TEXT), max_size=2, unique_by=lambda item: item[0])
ROW = st.fixed_dictionaries(
    {
        "turns": st.one_of(st.none(), st.lists(TURN, max_size=4)),
        "metadata": st.one_of(st.none(), METADATA),
        "customer_keys": st.one_of(
            st.none(), st.lists(st.sampled_from(["ab" * 32, "AB" * 32, "c-1", None]), max_size=3)
        ),
    }
)


def _counted(row: dict[str, Any]) -> dict[str, int]:
    turns = [{**turn, "text": turn["text"] or "", "supervise": bool(turn["supervise"])} for turn in row["turns"] or []]
    texts = [turn["text"] for turn in turns]
    found = find(turns)
    values = [value or "" for _, value in row["metadata"] or []]
    return {
        "turns": len(turns),
        "characters": sum(map(len, texts)),
        "customer_turns": sum(turn["role"] == "customer" for turn in turns),
        "agent_turns": sum(turn["role"] == "agent" for turn in turns),
        "supervised_turns": sum(turn["role"] == "agent" and turn["supervise"] for turn in turns),
        "supervised_others": sum(turn["role"] != "agent" and turn["supervise"] for turn in turns),
        "unknown_roles": sum(turn["role"] not in ("customer", "agent", "system") for turn in turns),
        "empty_turns": sum(not text.strip() for text in texts),
        "customer_keys": len(row["customer_keys"] or []),
        "plain_keys": sum(key != "ab" * 32 for key in row["customer_keys"] or []),
        "placeholders": len(found),
        "placeholder_characters": sum(entity["end"] - entity["start"] for entity in found),
        "entities": len(found),
        "entity_characters": sum(entity["end"] - entity["start"] for entity in found),
        "invisible": sum("\u200b" in text for text in texts + values),
    }


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, max_size=6), cut=st.integers(0, 3))
def test_conversations_are_counted_as_a_loop_counts_them(rows: list[dict[str, Any]], cut: int) -> None:
    filled = [{**row, "entities": find([{**t, "text": t["text"] or ""} for t in row["turns"] or []])} for row in rows]
    table = pa.Table.from_pylist(filled, schema=CONVERSATION).slice(cut)
    columns = (measures.dialogue, measures.customers, measures.placeholders, measures.residue)
    measured = pa.table({name: column for measure in columns for name, column in measure(table).items()})
    expected = [_counted(row) for row in rows[cut:]]
    assert measured.select(list(_counted({"turns": [], "metadata": [], "customer_keys": []}))).to_pylist() == expected


def test_residue_is_seen_in_its_disguises_and_nowhere_else() -> None:
    texts = {
        "email_like": ["jane@example.com", "jane@localhost", "mail: ä@ö"],
        "long_numbers": ["4111 1111 1111 1111", "+1 (555) 010-0200", "123456789", "12.34.56.78.90"],
        "markup": ["<br>", "4111<b> 1111</b>", "jane&#64;example", "&nbsp;", '<a href="x">', "<BR/>"],
        "invisible": ["ja\u200bne", "\ufeff", "soft\u00adhyphen", "\u202eenaj"],
    }
    plain = [
        "",
        "@ home",
        "only @jane",
        "12345678",
        "2024-01-02 at 5",
        "a < b > c",
        "<3",
        "<EMAIL_ADDRESS_1>",
        "AT&T; Q&A",
    ]
    for kind, samples in [*texts.items(), ("", plain)]:
        turns = [[{"role": "agent", "text": text, "at": None, "supervise": True}] for text in samples]
        table = pa.Table.from_pylist([{"turns": turn} for turn in turns], schema=CONVERSATION)
        seen = {name: column.tolist() for name, column in measures.residue(table).items()}
        assert seen == {name: [int(name == kind)] * len(samples) for name in measures.RESIDUE}


def test_wording_ignores_case_and_white_space_but_not_who_speaks() -> None:
    def words(*turns: tuple[str, str]) -> dict[str, Any]:
        return {"turns": [{"role": role, "text": text, "at": None, "supervise": False} for role, text in turns]}

    rows = [
        words(("customer", "Where is  it?"), ("agent", "Here.")),
        words(("customer", "where is\nit? "), ("agent", "here.")),
        words(("agent", "Where is it?"), ("customer", "Here.")),
        words(("customer", "Where is it?Here.")),
        words(),
    ]
    hashes = measures.wording(pa.Table.from_pylist(rows, schema=CONVERSATION))["wording"].tolist()
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4


LABEL = st.one_of(st.just(-100), st.integers(0, 3))
WINDOW = st.fixed_dictionaries(
    {
        "input_ids": st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=4)),
        "labels": st.one_of(st.none(), st.lists(LABEL, max_size=4)),
        "supervised_tokens": st.one_of(st.none(), st.integers(0, 4)),
    }
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(WINDOW, max_size=6), cut=st.integers(0, 3))
def test_windows_are_counted_as_a_loop_counts_them(rows: list[dict[str, Any]], cut: int) -> None:
    expected = []
    for row in rows[cut:]:
        ids, labels = row["input_ids"] or [], row["labels"] or []
        pairs = list(zip(ids, labels, strict=True)) if len(ids) == len(labels) else []
        expected.append(
            {
                "tokens": len(ids),
                "labels": len(labels),
                "supervised_tokens": row["supervised_tokens"] or 0,
                "supervised_labels": sum(label != -100 for label in labels),
                "supervised_first": int(labels[:1] not in ([], [-100])),
                "other_labels": sum(label not in (-100, token) for token, label in pairs),
            }
        )
    table = pa.Table.from_pylist(rows, schema=ENCODED).slice(cut)
    assert pa.table(measures.tokens(table)).to_pylist() == expected


def test_labels_that_do_not_say_where_they_come_from() -> None:
    cells = [
        ("a", "log", 1.0),
        ("b", "model", 0.7),
        (None, None, None),
        ("c", None, 1.0),
        ("c", "rule", None),
        (None, "log", None),
        (None, None, 0.9),
    ]
    rows = [dict(zip(("intent", "intent_source", "intent_confidence"), cell, strict=True)) for cell in cells]
    found = measures.labels(pa.Table.from_pylist(rows, schema=CONVERSATION))
    assert found["labelled"].to_pylist() == [1, 1, 0, 1, 1, 0, 0]
    assert found["unsourced"].to_pylist() == [0, 0, 0, 1, 1, 1, 1]
    assert found["sure"].to_pylist() == [1, 0, 1, 1, 1, 1, 1]


def test_what_must_not_be_in_evaluation() -> None:
    cells = [
        ("train", "noise", 3, 2.0),
        ("test", "log", 1, 1.0),
        ("test", "noise", 2, 0.5),
        ("validation", None, None, None),
        (None, "noise", 2, 0.5),
    ]
    rows = [dict(zip(("split", "origin", "repeats", "weight"), cell, strict=True)) for cell in cells]
    found = measures.evaluated(pa.Table.from_pylist(rows, schema=CONVERSATION))
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "generated_evaluation": [0, 0, 1, 1, 0],
        "repeated_evaluation": [0, 0, 1, 0, 0],
        "weighted_evaluation": [0, 0, 1, 0, 0],
    }
