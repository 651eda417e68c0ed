"""The conversations to learn from and to be judged on, with the replies that are worth learning marked."""

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
    """The expectations on `selected`."""
    return [
        *accounted(),
        *readable(),
        *whole_placeholders(),
        at_least("customer_turns", 1, "Every conversation has words of a customer", "warning"),
        at_least("supervised_turns", 1, "Every conversation has an agent's answer to learn", "warning"),
    ]
