"""Expectations that Great Expectations does not include: about groups, splits and missing rows.

Each is a real one, registered by its class: it works in any suite, result store and Data Docs. All of them compare
an aggregate and show nothing else. Import this module inside `suite()`: it loads the whole library (about 2 s).
"""

# ruff: noqa: N805  (Great Expectations calls a metric's function with the keyword `cls`)

from typing import Any

import pandas as pd
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider


class ExpectGroupsToStayTogether(BatchExpectation):
    """No value of the column `group` occurs with two values of the column `within`; observed: groups that do."""

    group: str
    within: str
    metric_dependencies = ("table.groups_apart",)
    success_keys = ("group", "within")
    args_keys = ("group", "within")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        return _outcome(metrics["table.groups_apart"] == 0, metrics["table.groups_apart"])


class ExpectLargestGroupToBeBounded(BatchExpectation):
    """The largest group of equal `group` has at most `max_share` of all rows, or few rows; observed: its share.

    Transitive near-duplicates percolate: one family can swallow a whole log, and with it the meaning of the split.
    A group of at most `few` rows always passes, because in a small table every share is large.
    """

    group: str
    max_share: float
    few: int = 20
    metric_dependencies = ("table.largest_group", "table.row_count")
    success_keys = ("group", "max_share", "few")
    args_keys = ("group", "max_share", "few")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        largest, rows = metrics["table.largest_group"], metrics["table.row_count"]
        return _outcome(largest <= max(self.few, self.max_share * rows), largest / rows if rows else 0.0)


class ExpectEvaluatedLabelsToBeTrained(BatchExpectation):
    """Every label in evaluation rows (`within` other than train) occurs in training; observed: labels that do not."""

    label: str
    within: str
    metric_dependencies = ("table.labels_untrained",)
    success_keys = ("label", "within")
    args_keys = ("label", "within")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        return _outcome(metrics["table.labels_untrained"] == 0, metrics["table.labels_untrained"])


class ExpectValuesToOccurIn(BatchExpectation):
    """Every value of `column` that is not null occurs in the column `other`; observed: values that do not."""

    column: str
    other: str
    metric_dependencies = ("table.values_absent",)
    success_keys = ("column", "other")
    args_keys = ("column", "other")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        return _outcome(metrics["table.values_absent"] == 0, metrics["table.values_absent"])


class ExpectRowsToBeAccountedFor(BatchExpectation):
    """Rows in + added = rows out + rejected (P7); observed: rows that vanished (negative: that appeared)."""

    rows_in: float | dict[str, Any]
    rows_out: float | dict[str, Any]
    rejected: float | dict[str, Any]
    added: float | dict[str, Any]
    success_keys = ("rows_in", "rows_out", "rejected", "added")
    args_keys = ("rows_in", "rows_out", "rejected", "added")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        given = self.configuration.kwargs
        vanished = given["rows_in"] + given["added"] - given["rows_out"] - given["rejected"]
        return _outcome(vanished == 0, vanished)


class ExpectRetainedShareToBeAtLeast(BatchExpectation):
    """The share of a step's rows that it did not reject, at least `min_share`; observed: that share."""

    rows_in: float | dict[str, Any]
    rejected: float | dict[str, Any]
    min_share: float
    success_keys = ("rows_in", "rejected", "min_share")
    args_keys = ("rows_in", "rejected", "min_share")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        given = self.configuration.kwargs
        share = 1.0 - given["rejected"] / given["rows_in"] if given["rows_in"] else 1.0
        return _outcome(share >= self.min_share, share)


class ExpectRecallToBeAtLeast(BatchExpectation):
    """Of the values planted into a sample, the share that was found is `min_recall` or more; observed: that share."""

    planted: float | dict[str, Any]
    found: float | dict[str, Any]
    min_recall: float | dict[str, Any]
    success_keys = ("planted", "found", "min_recall")
    args_keys = ("planted", "found", "min_recall")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        given = self.configuration.kwargs
        recall = given["found"] / given["planted"] if given["planted"] else 1.0
        return _outcome(recall >= given["min_recall"], recall)


class ExpectNoTypeBelowItsFloor(BatchExpectation):
    """Of the values planted into a sample, enough of each type were found; observed: types that miss their floor."""

    types_below: float | dict[str, Any]
    success_keys = ("types_below",)
    args_keys = ("types_below",)

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        below = self.configuration.kwargs["types_below"]
        return _outcome(below == 0, below)


class ExpectGroupsToBeBalanced(BatchExpectation):
    """In training, the largest group counts at most `max_ratio` times as much as the smallest; observed: the ratio.

    A row counts `repeats` times its `weight`. Rows without a group are none.
    """

    group: str
    within: str
    max_ratio: float
    metric_dependencies = ("table.group_ratio",)
    success_keys = ("group", "within", "max_ratio")
    args_keys = ("group", "within", "max_ratio")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> dict[str, Any]:
        ratio = metrics["table.group_ratio"]
        return _outcome(ratio <= self.configuration.kwargs["max_ratio"], ratio)


class GroupsApart(TableMetricProvider):
    """How many values of `group` occur with more than one value of `within`; nulls are no group."""

    metric_name = "table.groups_apart"
    value_keys = ("group", "within")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> int:
        group, within = metric_value_kwargs["group"], metric_value_kwargs["within"]
        pairs = _rows(execution_engine, metric_domain_kwargs)[[group, within]].dropna().drop_duplicates()
        return int(pairs.loc[pairs[group].duplicated(), group].nunique())


class LargestGroup(TableMetricProvider):
    """Rows of the largest group of equal `group`."""

    metric_name = "table.largest_group"
    value_keys = ("group",)

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> int:
        sizes = _rows(execution_engine, metric_domain_kwargs)[metric_value_kwargs["group"]].value_counts()
        return int(sizes.max()) if len(sizes) else 0


class LabelsUntrained(TableMetricProvider):
    """How many values of `label` occur in evaluation rows, but in no training row."""

    metric_name = "table.labels_untrained"
    value_keys = ("label", "within")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> int:
        rows = _rows(execution_engine, metric_domain_kwargs)
        labels, trained = rows[metric_value_kwargs["label"]], rows[metric_value_kwargs["within"]] == "train"
        return len(set(labels[~trained].dropna()) - set(labels[trained].dropna()))


class ValuesAbsent(TableMetricProvider):
    """How many distinct values of `column` do not occur in `other`."""

    metric_name = "table.values_absent"
    value_keys = ("column", "other")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> int:
        rows = _rows(execution_engine, metric_domain_kwargs)
        named, there = rows[metric_value_kwargs["column"]].dropna(), rows[metric_value_kwargs["other"]]
        return int((~named.drop_duplicates().isin(there)).sum())


class GroupRatio(TableMetricProvider):
    """The ratio of the largest to the smallest group of training rows, by weight; 1 where there is no group."""

    metric_name = "table.group_ratio"
    value_keys = ("group", "within")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any) -> float:
        rows = _rows(execution_engine, metric_domain_kwargs)
        rows = rows[rows[metric_value_kwargs["within"]] == "train"]
        sizes = (rows["repeats"] * rows["weight"]).groupby(rows[metric_value_kwargs["group"]]).sum()
        return float(sizes.max() / sizes.min()) if len(sizes) and sizes.min() > 0 else 1.0


def _rows(engine: Any, domain: Any) -> pd.DataFrame:
    return engine.get_compute_domain(domain_kwargs=domain, domain_type=MetricDomainTypes.TABLE)[0]


def _outcome(success: bool, observed: float) -> dict[str, Any]:
    return {"success": bool(success), "result": {"observed_value": observed}}
