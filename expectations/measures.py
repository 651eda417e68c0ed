"""Rows as scalars, computed by Arrow: what a suite validates instead of the conversations themselves.

Every function takes (n, a dataset's schema) and returns columns of length n: ids, labels, and counts as int64. Null
lists and texts count as empty. No column holds a text or a part of one.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from deskloop.contract.placeholders import PLACEHOLDER, hide
from deskloop.contract.schema import ROLES, SPLITS

# An independent check of the scrubbed text (P1): none of these patterns is one of the detector. RE2 syntax.
RESIDUE = {
    "email_like": r"[^\s@<>]@[^\s@<>]",
    "long_numbers": r"[0-9](?:[ ().\-/]{0,3}[0-9]){8,}",
    "markup": r"</?(?i:a|b|br|div|em|font|i|li|p|span|strong|table|td|tr|u|ul)(?:\s[^<>]*)?/?>"
    r"|&(?:[a-z]{2,6}|#x?[0-9a-f]{2,5});",
    "invisible": r"[\x{200B}\x{200C}\x{2060}\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{00AD}]",
}
UNTIDY = r"^\s|\s$|[ \t]{2}|\r|\n{3}|\x{A0}"

Columns = dict[str, Any]


def identity(table: pa.Table) -> Columns:
    """Return ids and labels as they are; `family` and `split` where the schema has them."""
    names = ("row_id", "conversation_id", "intent", "family", "split", "origin", "language", "repeats", "weight")
    return {name: table[name] for name in names if name in table.column_names}


def dialogue(table: pa.Table) -> Columns:
    """Return counts of turns by kind, characters, and invalid turns."""
    parents, turn = _turns(table)
    role, text = turn("role"), turn("text")
    agent, supervised = pc.equal(role, "agent"), turn("supervise")
    count = _counter(table, parents)
    return {
        "turns": count(None),
        "characters": count(pc.utf8_length(text)),
        "customer_turns": count(pc.equal(role, "customer")),
        "agent_turns": count(agent),
        "supervised_turns": count(pc.and_(agent, supervised)),
        "supervised_others": count(pc.and_(pc.invert(agent), supervised)),
        "unknown_roles": count(pc.invert(pc.is_in(role, value_set=pa.array(ROLES)))),
        "empty_turns": count(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0)),
        "untidy_turns": count(pc.match_substring_regex(text, UNTIDY)),
    }


def customers(table: pa.Table) -> Columns:
    """Return keys of the customer: how many, and how many are not the HMAC-SHA256 in hex that they must be."""
    keys = table["customer_keys"].combine_chunks()
    hashed = pc.match_substring_regex(pc.fill_null(pc.list_flatten(keys), ""), r"^[0-9a-f]{64}$")
    count = _counter(table, pc.list_parent_indices(keys))
    return {"customer_keys": count(None), "plain_keys": count(pc.invert(hashed))}


def placeholders(table: pa.Table) -> Columns:
    """Return placeholders in the text and those that `entities` lists: counts and characters.

    A pseudonym or a mask that `entities` lists counts as a placeholder of its length.
    """
    parents, turn = _turns(table)
    text = turn("text")
    rest = pc.replace_substring_regex(text, PLACEHOLDER.pattern, "")
    count = _counter(table, parents)
    entities = table["entities"].combine_chunks()
    flat = pc.list_flatten(entities)
    length = pc.subtract(pc.struct_field(flat, "end"), pc.struct_field(flat, "start"))
    entity = _counter(table, pc.list_parent_indices(entities))
    placeholder_count, characters = (
        count(pc.count_substring_regex(text, PLACEHOLDER.pattern)),
        count(pc.subtract(pc.utf8_length(text), pc.utf8_length(rest))),
    )
    listed = entity(None)
    for row in np.flatnonzero(listed != placeholder_count).tolist():
        more, longer = _others(table["turns"][row].as_py() or [], table["entities"][row].as_py() or [])
        placeholder_count[row] += more
        characters[row] += longer
    return {
        "placeholders": placeholder_count,
        "placeholder_characters": characters,
        "entities": listed,
        "entity_characters": entity(length),
    }


def _others(turns: list[Any], entities: list[Any]) -> tuple[int, int]:
    """Entities of a row that are whole words and no placeholders, and their characters."""
    spans = []
    for entity in entities:
        text = (turns[entity["turn"]]["text"] or "") if entity["turn"] < len(turns) else ""
        start, end = entity["start"], entity["end"]
        value, around = text[start:end], text[max(0, start - 1) : start] + text[end : end + 1]
        whole = len(value) == end - start > 0 and value == value.strip() and not any(map(str.isalnum, around))
        if whole and not PLACEHOLDER.search(value):
            spans.append(end - start)
    return len(spans), sum(spans)


def residue(table: pa.Table) -> Columns:
    """Return turns and metadata values that still look personal or undecoded, by kind; pseudonyms are not checked."""
    parents, turn = _turns(_covered(table))
    text, count = turn("text"), _counter(table, parents)
    metadata = (
        table["metadata"].combine_chunks().cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    )
    values = pc.fill_null(pc.struct_field(pc.list_flatten(metadata), "value"), "")
    extra = _counter(table, pc.list_parent_indices(metadata))
    return {
        name: count(pc.match_substring_regex(text, pattern)) + extra(pc.match_substring_regex(values, pattern))
        for name, pattern in RESIDUE.items()
    }


def _covered(table: pa.Table) -> pa.Table:
    """Return the table with placeholders for pseudonyms and masks in `turns`."""
    parents, turn = _turns(table)
    placeholder_count = _counter(table, parents)(pc.count_substring_regex(turn("text"), PLACEHOLDER.pattern))
    entities = table["entities"].combine_chunks()
    beside = np.flatnonzero(placeholder_count != _counter(table, pc.list_parent_indices(entities))(None))
    if not len(beside):
        return table
    cells = table["turns"].to_pylist()
    for row in beside.tolist():
        cells[row] = hide(cells[row] or (), table["entities"][row].as_py())[0]
    field = table.schema.field("turns")
    return table.set_column(table.schema.get_field_index("turns"), field, pa.array(cells, field.type))


def wording(table: pa.Table) -> Columns:
    """Return a 64-bit hash of what is said, by whom; case and white space do not count."""
    parents, turn = _turns(table)
    text = pc.replace_substring_regex(pc.utf8_lower(turn("text")), r"\s{2,}|[\t\n\r]", " ")
    said = pc.binary_join_element_wise(turn("role"), pc.utf8_trim_whitespace(text), "\x1f")
    offsets = np.concatenate([[0], np.cumsum(_counter(table, parents)(None))]).astype(np.int32)
    whole = pc.binary_join(pa.ListArray.from_arrays(offsets, said), "\x1e")
    return {"wording": pd.util.hash_array(whole.to_numpy(zero_copy_only=False).astype(object), categorize=False)}


def tokens(table: pa.Table) -> Columns:
    """Return lengths of ids and labels, and whether the labels are those of the loss: -100, or the very id (P9)."""
    ids, labels = (table[name].combine_chunks() for name in ("input_ids", "labels"))
    lengths, label_lengths = (pc.fill_null(pc.list_value_length(cells), 0).to_numpy() for cells in (ids, labels))
    flat = pc.list_flatten(labels).to_numpy(zero_copy_only=False)
    parents = pc.list_parent_indices(labels).to_numpy()
    supervised = flat != -100
    first = np.flatnonzero(np.diff(parents, prepend=-1))
    starts = np.zeros(table.num_rows, dtype=np.int64)
    starts[parents[first]] = supervised[first]
    # Rows of unequal lengths have no pairs of id and label to compare; their lengths already fail.
    pairs_ids = pc.list_flatten(ids.filter(pa.array(lengths == label_lengths))).to_numpy(zero_copy_only=False)
    paired = (lengths == label_lengths)[parents]
    wrong = supervised[paired] & (flat[paired] != pairs_ids)
    return {
        "tokens": lengths.astype(np.int64),
        "labels": label_lengths.astype(np.int64),
        "supervised_tokens": pc.fill_null(table["supervised_tokens"], 0),
        "supervised_labels": np.bincount(parents[supervised], minlength=table.num_rows),
        "supervised_first": starts,
        "other_labels": np.bincount(parents[paired][wrong], minlength=table.num_rows),
    }


def labels(table: pa.Table) -> Columns:
    """Return whether a conversation has an intent, how confident it is, and labels without a source.

    `sure` is 1 where a label's confidence is 0.8 or more, and where there is no label.
    """
    confidence = table["intent_confidence"]
    labelled, sourced, rated = (pc.is_valid(table[name]) for name in ("intent", "intent_source", "intent_confidence"))
    apart = pc.or_(pc.not_equal(labelled, sourced), pc.not_equal(labelled, rated))
    return {
        "labelled": labelled.cast(pa.int64()),
        "unsourced": apart.cast(pa.int64()),
        "intent_source": table["intent_source"],
        "intent_confidence": confidence,
        "sure": pc.greater_equal(pc.fill_null(confidence, 1.0), 0.8).cast(pa.int64()),
    }


def evaluated(table: pa.Table) -> Columns:
    """Return what validation and test must not have (P3), 0 or 1 each: generated rows, repeats, weights."""
    evaluation = pc.fill_null(pc.is_in(table["split"], value_set=pa.array(SPLITS[1:])), False)
    unlike = {
        "generated_evaluation": pc.fill_null(pc.not_equal(table["origin"], "log"), True),
        "repeated_evaluation": pc.not_equal(pc.fill_null(table["repeats"], 1), 1),
        "weighted_evaluation": pc.not_equal(pc.fill_null(table["weight"], 1.0), 1.0),
    }
    return {name: pc.and_(evaluation, column).cast(pa.int64()) for name, column in unlike.items()}


def present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """1 where there is a value, else 0: its mean is a coverage."""
    return pc.is_valid(column).cast(pa.int64())


def _turns(table: pa.Table) -> tuple[pa.Array, Any]:
    """Return the row number of every turn, and a function that gives one field of all turns, nulls filled."""
    cells = table["turns"].combine_chunks()
    flat = pc.list_flatten(cells)
    empty = {"role": "", "text": "", "supervise": False}
    return pc.list_parent_indices(cells), lambda name: pc.fill_null(pc.struct_field(flat, name), empty[name])


def _counter(table: pa.Table, parents: pa.Array) -> Any:
    """Return a function that sums a flattened column by row; without one, counts the elements."""
    rows, number = parents.to_numpy(), table.num_rows

    def count(values: pa.Array | None) -> np.ndarray:
        weights = None if values is None else values.cast(pa.int64()).to_numpy().astype(np.float64)
        return np.bincount(rows, weights=weights, minlength=number).astype(np.int64)

    return count


def copied(table: pa.Table) -> Columns:
    """Return what a copy has in common with the conversation it was made from; `original` names that for both.

    `agent_words` is a 64-bit hash of all that the others but the customer say; `misplaced` and `parentless` are 1 for a
    generated row outside of training, and for one that names no parent.
    """
    generated = pc.fill_null(pc.not_equal(table["origin"], "log"), True)
    train = pc.fill_null(pc.equal(table["split"], "train"), False)
    said = [
        "\x1e".join(f"{turn['role']}\x1f{turn['text']}" for turn in turns or () if turn["role"] != "customer")
        for turns in table["turns"].to_pylist()
    ]
    return {
        "parent_id": table["parent_id"],
        "original": pc.coalesce(table["parent_id"], table["row_id"]),
        "agent_words": pd.util.hash_array(np.array(said, dtype=object), categorize=False),
        "generated": generated.cast(pa.int64()),
        "misplaced": pc.and_(generated, pc.invert(train)).cast(pa.int64()),
        "parentless": pc.and_(generated, pc.is_null(table["parent_id"])).cast(pa.int64()),
    }
