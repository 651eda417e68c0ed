"""Expectations that several datasets share, by the promise that they guard.

A `critical` failure prevents publication; a `warning` is for a person to review. Descriptions are what the
report shows, so they are in plain words. Each function returns fresh expectations for one suite.
"""

from typing import Any, Literal

from deskloop.contract.schema import SPLITS

Severity = Literal["critical", "warning"]
EVALUATION = SPLITS[1:]


def at_least(column: str, least: float, description: str, severity: Severity = "critical", mostly: float = 1.0) -> Any:
    """Expect `least` or more in every row, or in the share `mostly` of them."""
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(
        column=column, min_value=least, mostly=mostly, description=description, severity=severity
    )


def none_of(column: str, description: str, severity: Severity = "critical") -> Any:
    """Expect 0 in every row."""
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(column=column, max_value=0, description=description, severity=severity)


def share(column: str, least: float, description: str, most: float | None = None) -> Any:
    """Expect the mean of a column of 0 and 1 to be within bounds; a warning."""
    from great_expectations.expectations import ExpectColumnMeanToBeBetween

    return ExpectColumnMeanToBeBetween(
        column=column, min_value=least, max_value=most, description=description, severity="warning"
    )


def guarding(promise: str, *expectations: Any) -> list[Any]:
    """Mark expectations as guards of a promise, so that no pipeline file can relax them."""
    for expectation in expectations:
        expectation.meta = {"promise": promise}
    return list(expectations)


def accounted() -> list[Any]:
    """P7, and ids: there are rows, each has its own id, and none of the step's rows vanished."""
    from great_expectations import expectations as gxe

    from expectations.custom import ExpectRetainedShareToBeAtLeast, ExpectRowsToBeAccountedFor

    facts = {name: {"$PARAMETER": name} for name in ("rows_in", "rows_out", "rejected", "added")}
    return guarding(
        "P7",
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="At least one row is left", severity="critical"),
        gxe.ExpectColumnValuesToNotBeNull(column="row_id", description="Every row has an id", severity="critical"),
        gxe.ExpectColumnValuesToBeUnique(column="row_id", description="No two rows share an id", severity="critical"),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="row_id",
            regex=r"@|^[0-9]{7,15}$",
            description="No id looks like an e-mail address, a phone number or an account number",
            severity="critical",
        ),
        ExpectRowsToBeAccountedFor(
            **facts,
            description="Every input row is in the output or rejected with a reason",
            severity="critical",
        ),
        ExpectRetainedShareToBeAtLeast(
            rows_in=facts["rows_in"],
            rejected=facts["rejected"],
            min_share=0.5,
            description="The step kept at least half of its rows",
            severity="warning",
        ),
    )


def readable() -> list[Any]:
    """Return the expectations on every conversation: turns with text, by known roles."""
    return [
        at_least("turns", 1, "Every conversation has a turn"),
        at_least("characters", 1, "Every conversation has some text"),
        none_of("unknown_roles", "Every turn is by a customer, an agent or the system"),
        *guarding("P9", none_of("supervised_others", "Only turns of agents are marked for the loss")),
        *guarding("P1", none_of("plain_keys", "Customers are identified by keyed hashes only")),
    ]


def teachable() -> list[Any]:
    """Return the expectations on a conversation to train on: a question and a reply."""
    return [
        at_least("customer_turns", 1, "Every conversation has words of a customer"),
        at_least("supervised_turns", 1, "Every conversation has an agent's reply to train on"),
        none_of("empty_turns", "No turn is empty"),
    ]


def whole_placeholders() -> list[Any]:
    """P8: `entities` and the text agree on every placeholder."""
    from great_expectations import expectations as gxe

    return guarding(
        "P8",
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="placeholders",
            column_B="entities",
            description="Every placeholder in a text is listed as an entity, and the other way round",
            severity="critical",
        ),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="placeholder_characters",
            column_B="entity_characters",
            description="Every listed entity is as long as its placeholder",
            severity="critical",
        ),
    )


def clean() -> list[Any]:
    """P1: an independent check of the scrubbed text; warnings, since a long number may be an order's."""
    return [
        none_of("email_like", "No text holds anything like an e-mail address", "warning"),
        none_of("long_numbers", "No text holds a number of nine digits or more", "warning"),
        none_of("markup", "No text holds HTML tags or entities that may hide a value", "warning"),
        none_of("invisible", "No text holds invisible characters that may split a value", "warning"),
    ]


def together(bound: float = 0.3) -> list[Any]:
    """P2: a family has one split; and no family is so large that the split means nothing."""
    from great_expectations import expectations as gxe

    from expectations.custom import ExpectGroupsToStayTogether, ExpectLargestGroupToBeBounded

    return [
        *guarding(
            "P2",
            gxe.ExpectColumnValuesToNotBeNull(
                column="family", description="Every row belongs to a family", severity="critical"
            ),
            gxe.ExpectColumnValuesToNotBeNull(column="split", description="Every row has a split", severity="critical"),
            gxe.ExpectColumnValuesToBeInSet(
                column="split",
                value_set=list(SPLITS),
                description="A split is train, validation or test",
                severity="critical",
            ),
            ExpectGroupsToStayTogether(
                group="family", within="split", description="No family is in two splits", severity="critical"
            ),
            ExpectGroupsToStayTogether(
                group="conversation_id",
                within="split",
                description="No conversation is in two splits",
                severity="critical",
            ),
        ),
        ExpectLargestGroupToBeBounded(
            group="family",
            max_share=bound,
            description=f"The largest family has at most {bound:.0%} of the rows, or 20",
            severity="critical",
        ),
    ]


def distinct_wording() -> list[Any]:
    """P2, by a hash of the words instead of dedupe's own comparison."""
    from great_expectations import expectations as gxe

    from expectations.custom import ExpectGroupsToStayTogether

    return guarding(
        "P2",
        ExpectGroupsToStayTogether(
            group="wording", within="split", description="No two splits hold the same words", severity="critical"
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="wording", description="No two conversations are word for word the same", severity="warning"
        ),
    )
