"""What was read from the log, in the raw zone: whole, identified, and of the shape that everything after expects."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations import measures
from expectations.promises import accounted, at_least, readable, share


def measure(table: pa.Table) -> pa.Table:
    """(n, RAW_CONVERSATION) to (n, scalars)."""
    started = table["started_at"]
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            "labelled": measures.present(table["intent"]),
            "dated": measures.present(started),
            "year": pc.year(started),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `ingested`."""
    from great_expectations import expectations as gxe

    return [
        *accounted(),
        *readable(),
        gxe.ExpectColumnValuesToBeUnique(
            column="conversation_id", description="No two rows are the same conversation", severity="critical"
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="origin",
            value_set=["log", "feedback"],
            description="Conversations from sources are logged, not generated",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="year",
            min_value=1990,
            max_value=2100,
            description="Dates lie between 1990 and 2100; others were read in the wrong unit",
            severity="warning",
        ),
        share("dated", 0.5, "At least half of the conversations have a date"),
        share("labelled", 0.5, "At least half of the conversations have an intent"),
        at_least("customer_keys", 1, "Nine of ten conversations identify their customer", "warning", mostly=0.9),
        at_least("customer_turns", 1, "In nine of ten conversations the customer speaks", "warning", mostly=0.9),
        at_least("supervised_turns", 1, "In nine of ten conversations an agent answers", "warning", mostly=0.9),
    ]
