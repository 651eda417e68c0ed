"""Tidy conversations that can teach something: a question, an answer, no clutter; the last text stage so far."""

from typing import Any

import pyarrow as pa

from expectations import measures
from expectations.promises import accounted, clean, none_of, readable, teachable, whole_placeholders


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
            **measures.residue(table),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `normalized`."""
    return [
        *accounted(),
        *readable(),
        *teachable(),
        *whole_placeholders(),
        none_of("untidy_turns", "No turn has stray white space", "warning"),
        *clean(),
    ]
