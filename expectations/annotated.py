"""Conversations with intents that say where they come from and how sure they are."""

from typing import Any

import pyarrow as pa

from expectations import measures
from expectations.promises import accounted, none_of, readable, share, whole_placeholders

SOURCES = ("log", "rule", "model", "human")


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
            **measures.labels(table),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `annotated`."""
    from great_expectations import expectations as gxe

    return [
        *accounted(),
        *readable(),
        *whole_placeholders(),
        none_of("unsourced", "Every intent has a source and a confidence; without an intent, both are empty"),
        gxe.ExpectColumnValuesToBeInSet(
            column="intent_source",
            value_set=list(SOURCES),
            description="An intent comes from the log, a rule, a model or a person",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="intent_confidence",
            min_value=0,
            max_value=1,
            description="A confidence lies between 0 and 1",
            severity="critical",
        ),
        share("labelled", 0.5, "At least half of the conversations have an intent"),
        share("sure", 0.8, "At most a fifth of the conversations have an intent that is less than 80% sure"),
    ]
