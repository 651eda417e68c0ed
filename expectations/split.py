"""Training, validation and test as one table: apart (P2), with real conversations only in evaluation (P3)."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop.contract.schema import SPLITS
from expectations import measures
from expectations.promises import (
    EVALUATION,
    accounted,
    distinct_wording,
    guarding,
    none_of,
    readable,
    teachable,
    together,
    whole_placeholders,
)


def measure(table: pa.Table) -> pa.Table:
    """(n, CONVERSATION) to (n, scalars)."""
    evaluation = pc.fill_null(pc.is_in(table["split"], value_set=pa.array(EVALUATION)), False)
    logged = pc.fill_null(pc.equal(table["origin"], "log"), False)
    return pa.table(
        {
            **measures.identity(table),
            **measures.dialogue(table),
            **measures.customers(table),
            **measures.placeholders(table),
            **measures.wording(table),
            "generated_evaluation": pc.and_(evaluation, pc.invert(logged)).cast(pa.int64()),
            "repeated_evaluation": pc.and_(evaluation, pc.not_equal(pc.fill_null(table["repeats"], 1), 1)).cast(
                pa.int64()
            ),
            "test": pc.fill_null(pc.equal(table["split"], "test"), False).cast(pa.int64()),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on `train`, `validation` and `test` together."""
    from great_expectations import expectations as gxe

    return [
        *accounted(),
        *readable(),
        *teachable(),
        *whole_placeholders(),
        *together(),
        *distinct_wording(),
        gxe.ExpectColumnUniqueValueCountToBeBetween(
            column="split",
            min_value=len(SPLITS),
            description="Training, validation and test each have a conversation",
            severity="critical",
        ),
        *guarding("P3", none_of("generated_evaluation", "Validation and test hold logged conversations only")),
        *guarding("P3", none_of("repeated_evaluation", "No conversation counts twice in validation or test")),
        gxe.ExpectColumnSumToBeBetween(
            column="test",
            min_value=50,
            description="The test split has 50 conversations or more; with fewer, its figures are mostly noise",
            severity="warning",
        ),
    ]
