"""The first dataset of the clean zone: nothing that the source or the detectors know to be personal is left (P1)."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations import measures
from expectations.promises import accounted, clean, guarding, none_of, readable, share, whole_placeholders


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
            **measures.residue(table),
            "identified": pc.not_equal(pc.fill_null(table["language"], "und"), "und").cast(pa.int64()),
            "raw_columns": np.full(table.num_rows, int("known" in table.column_names)),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `scrubbed`."""
    from great_expectations import expectations as gxe

    from expectations.custom import ExpectNoTypeBelowItsFloor, ExpectRecallToBeAtLeast

    measured = {name: {"$PARAMETER": name} for name in ("planted", "found", "min_recall")}
    return [
        *accounted(),
        *readable(),
        *whole_placeholders(),
        *guarding(
            "P1",
            ExpectRecallToBeAtLeast(
                **measured,
                description="Of the values planted into a sample, at least the share `min_recall` was found",
                severity="critical",
            ),
            ExpectNoTypeBelowItsFloor(
                types_below={"$PARAMETER": "types_below"},
                description="Of the planted values of each type, at least its share of `min_recall_by_type` was found",
                severity="critical",
            ),
        ),
        *guarding(
            "P1", none_of("raw_columns", "The personal values that the source itself knows stayed in the raw zone")
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="language", description="Every conversation has a language", severity="critical"
        ),
        gxe.ExpectColumnValuesToMatchRegex(
            column="language",
            regex=r"^[a-z]{2,3}$",
            description="A language is an ISO 639 code, or und where it is unknown",
            severity="critical",
        ),
        *clean(),
        gxe.ExpectColumnSumToBeBetween(
            column="placeholders",
            min_value=1,
            description="At least one personal value was found; a support log without any is unlikely",
            severity="warning",
        ),
        share("identified", 0.8, "The language of at least 80% of the conversations is known"),
    ]
