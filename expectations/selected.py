"""The conversations to train on and to evaluate with, with the replies to train on marked."""

from typing import Any

import pyarrow as pa

from expectations import measures
from expectations.promises import accounted, at_least, readable, whole_placeholders


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `selected`."""
    return [
        *accounted(),
        *readable(),
        *whole_placeholders(),
        at_least("customer_turns", 1, "Every conversation has words of a customer", "warning"),
        at_least("supervised_turns", 1, "Every conversation has an agent's reply to train on", "warning"),
    ]
