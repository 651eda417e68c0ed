"""Training rows in bearable proportions; validation and test exactly as people wrote them (P3)."""

from typing import Any

import pyarrow as pa

from expectations import measures
from expectations.promises import accounted, at_least, guarding, none_of, readable, together

MAX_RATIO = 10  # of what the largest and the smallest intent count in training


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.evaluated(table),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `balanced`."""
    from great_expectations import expectations as gxe

    from expectations.custom import ExpectGroupsToBeBalanced

    return [
        *accounted(),
        *readable(),
        *together(),
        *guarding("P3", none_of("generated_evaluation", "Validation and test hold logged conversations only")),
        *guarding("P3", none_of("repeated_evaluation", "No conversation counts twice in validation or test")),
        *guarding(
            "P3", none_of("weighted_evaluation", "No conversation in validation or test has a weight other than 1")
        ),
        at_least("repeats", 1, "Every conversation is used at least once"),
        gxe.ExpectColumnValuesToBeBetween(
            column="weight", min_value=0, strict_min=True, description="Every weight is positive", severity="critical"
        ),
        ExpectGroupsToBeBalanced(
            group="intent",
            within="split",
            max_ratio=MAX_RATIO,
            description=f"In training, no intent counts more than {MAX_RATIO} times as much as another",
            severity="warning",
        ),
    ]
