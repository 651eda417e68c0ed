"""Training windows: ids within the model's length, and labels exactly where the loss applies (P9)."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations import measures
from expectations.promises import accounted, at_least, guarding, none_of, share, together


def measure(table: pa.Table) -> pa.Table:
    """(n, ENCODED) to (n, scalars)."""
    scalars = {**measures.identity(table), **measures.tokens(table)}
    supervised = pc.cast(table["supervised_tokens"], pa.float64())
    return pa.table(
        {
            **scalars,
            "supervised_share": pc.divide(supervised, pa.array(scalars["tokens"].clip(1), pa.float64())),
            "supervised_bytes": pc.fill_null(table["supervised_bytes"], -1),
        }
    )


def suite() -> list[Any]:
    """Return the expectations on all encoded splits together."""
    from great_expectations import expectations as gxe

    return [
        *accounted(),
        *together(),
        at_least("tokens", 1, "Every window has tokens"),
        *guarding(
            "P8",
            gxe.ExpectColumnValuesToBeBetween(
                column="tokens",
                max_value={"$PARAMETER": "max_length"},
                description="No window is longer than the model is trained on",
                severity="critical",
            ),
        ),
        *guarding(
            "P9",
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="tokens",
                column_B="labels",
                description="Every token has a label",
                severity="critical",
            ),
        ),
        at_least("supervised_tokens", 1, "Every window has a token that the loss covers"),
        *guarding(
            "P9",
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="supervised_tokens",
                column_B="supervised_labels",
                description="The count of supervised tokens equals that of the labels",
                severity="critical",
            ),
        ),
        *guarding("P9", none_of("other_labels", "A supervised label is the token itself")),
        *guarding(
            "P9", none_of("supervised_first", "No window starts with a supervised token, which the loss cannot cover")
        ),
        at_least("supervised_bytes", 0, "Every window records how many bytes it is evaluated on"),
        at_least("repeats", 1, "Every window is used at least once"),
        gxe.ExpectColumnValuesToBeBetween(
            column="weight", min_value=0, strict_min=True, description="Every weight is positive", severity="critical"
        ),
        share("supervised_share", 0.05, "The loss covers a twentieth of the tokens or more"),
    ]
