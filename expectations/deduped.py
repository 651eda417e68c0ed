"""Distinct conversations, in families that have one split each (P2); a suite for the whole table."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations import measures
from expectations.promises import EVALUATION, accounted, distinct_wording, readable, share, teachable, together


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.wording(table),
            "evaluation": pc.is_in(table["split"], value_set=pa.array(EVALUATION)).cast(pa.int64()),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `deduped`."""
    from expectations.custom import ExpectEvaluatedLabelsToBeTrained

    return [
        *accounted(),
        *readable(),
        *teachable(),
        *together(),
        *distinct_wording(),
        share("evaluation", 0.02, "Validation and test hold between 2% and 50% of the conversations", most=0.5),
        ExpectEvaluatedLabelsToBeTrained(
            label="intent",
            within="split",
            description="Every intent in validation or test occurs in training",
            severity="warning",
        ),
    ]
