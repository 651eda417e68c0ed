"""Logged conversations and copies of some: in training alone, beside their parents, the agent's words untouched."""

from typing import Any

import pyarrow as pa

from expectations import measures
from expectations.promises import (
    accounted,
    clean,
    guarding,
    none_of,
    readable,
    share,
    teachable,
    together,
    whole_placeholders,
)


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
            **measures.residue(table),
            **measures.copied(table),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `augmented`."""
    from expectations.custom import ExpectGroupsToStayTogether, ExpectValuesToOccurIn

    alike = {
        "family": "A copy is of its parent's family",
        "split": "A copy is in its parent's split",
        "agent_words": "A copy has the same words of the agent as its parent",
        "placeholders": "A copy has as many placeholders as its parent",
    }
    return [
        *accounted(),
        *readable(),
        *teachable(),
        *whole_placeholders(),
        *together(),
        *guarding("P3", none_of("misplaced", "Generated copies are in training only")),
        *guarding("P3", none_of("parentless", "Every generated copy names the conversation it was made from")),
        *guarding(
            "P2",
            ExpectValuesToOccurIn(
                column="parent_id",
                other="row_id",
                description="Every copy's parent is in the table",
                severity="critical",
            ),
            *(
                ExpectGroupsToStayTogether(group="original", within=column, description=text, severity="critical")
                for column, text in alike.items()
            ),
        ),
        share("generated", 0, "At most half of the rows are generated", most=0.5),
        *clean(),
    ]
