"""Expectations that Great Expectations does not include: about groups, splits and missing rows.

Each is registered by its class and works in any suite, result store and Data Docs. All of them compare an aggregate and
show nothing else. Import this module inside `suite()`: it loads the entire library (about 2 s).
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

Arguments = Mapping[str, Any]
Parameter = float | dict[str, Any]  # a figure, or the name of a parameter of the suite


def _table_metric(compute: Callable[..., float], *keys: str) -> str:
    """Register a function of the rows and of arguments with these names as a metric, and return its name."""

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls: Any, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Arguments, **_: Any
    ) -> float:
        table = MetricDomainTypes.TABLE
        rows = execution_engine.get_compute_domain(domain_kwargs=metric_domain_kwargs, domain_type=table)[0]
        return compute(rows, *(metric_value_kwargs[key] for key in keys))

    name = f"table.{compute.__name__}"
    type(compute.__name__, (TableMetricProvider,), {"metric_name": name, "value_keys": keys, "_pandas": _pandas})
    return name


def groups_apart(rows: pd.DataFrame, group: str, within: str) -> int:
    """Count the values of `group` that occur with more than one value of `within`; nulls are no group."""
    pairs = rows[[group, within]].dropna().drop_duplicates()
    return int(pairs.loc[pairs[group].duplicated(), group].nunique())


def largest_group(rows: pd.DataFrame, group: str) -> int:
    """Count the rows of the largest group of equal `group`."""
    sizes = rows[group].value_counts()
    return int(sizes.max()) if len(sizes) else 0


def labels_untrained(rows: pd.DataFrame, label: str, within: str) -> int:
    """Count the values of `label` that occur in evaluation rows, but in no training row."""
    labels, trained = rows[label], rows[within] == "train"
    return len(set(labels[~trained].dropna()) - set(labels[trained].dropna()))


def values_absent(rows: pd.DataFrame, column: str, other: str) -> int:
    """Count the distinct values of `column` that do not occur in `other`."""
    return int((~rows[column].dropna().drop_duplicates().isin(rows[other])).sum())


def group_ratio(rows: pd.DataFrame, group: str, within: str) -> float:
    """Return the ratio of the largest to the smallest group of training rows, by weight; 1 where there is no group."""
    rows = rows[rows[within] == "train"]
    sizes = (rows["repeats"] * rows["weight"]).groupby(rows[group]).sum()
    return float(sizes.max() / sizes.min()) if len(sizes) and sizes.min() > 0 else 1.0


APART = _table_metric(groups_apart, "group", "within")
LARGEST = _table_metric(largest_group, "group")
UNTRAINED = _table_metric(labels_untrained, "label", "within")
ABSENT = _table_metric(values_absent, "column", "other")
RATIO = _table_metric(group_ratio, "group", "within")


def _validating(check: Callable[[Arguments, Arguments], tuple[bool, float]]) -> Callable[..., dict[str, Any]]:
    """Return the validation of an expectation: (arguments, metrics) -> success, observed value."""

    def _validate(self: BatchExpectation, metrics: Arguments, **_: Any) -> dict[str, Any]:
        defaults = {key: getattr(self, key) for key in self.success_keys}
        success, observed = check({**defaults, **self.configuration.kwargs}, metrics)
        return {"success": bool(success), "result": {"observed_value": observed}}

    return _validate


def _zero(metric: str) -> Callable[..., dict[str, Any]]:
    return _validating(lambda arguments, metrics: (metrics[metric] == 0, metrics[metric]))


class ExpectGroupsToStayTogether(BatchExpectation):
    """No value of the column `group` occurs with two values of the column `within`; observed: groups that do."""

    group: str
    within: str
    metric_dependencies = (APART,)
    success_keys = args_keys = ("group", "within")
    _validate = _zero(APART)


class ExpectEvaluatedLabelsToBeTrained(BatchExpectation):
    """Every label in evaluation rows (`within` other than train) occurs in training; observed: labels that do not."""

    label: str
    within: str
    metric_dependencies = (UNTRAINED,)
    success_keys = args_keys = ("label", "within")
    _validate = _zero(UNTRAINED)


class ExpectValuesToOccurIn(BatchExpectation):
    """Every value of `column` that is not null occurs in the column `other`; observed: values that do not."""

    column: str
    other: str
    metric_dependencies = (ABSENT,)
    success_keys = args_keys = ("column", "other")
    _validate = _zero(ABSENT)


def _bounded(arguments: Arguments, metrics: Arguments) -> tuple[bool, float]:
    largest, rows = metrics[LARGEST], metrics["table.row_count"]
    return largest <= max(arguments["few"], arguments["max_share"] * rows), largest / rows if rows else 0.0


class ExpectLargestGroupToBeBounded(BatchExpectation):
    """The largest group of equal `group` has at most `max_share` of all rows, or few rows; observed: its share.

    Transitive near-duplicates percolate: a single family can contain most of a log and make the split meaningless.
    A group of at most `few` rows always passes, because in a small table every share is large.
    """

    group: str
    max_share: float
    few: int = 20
    metric_dependencies = (LARGEST, "table.row_count")
    success_keys = args_keys = ("group", "max_share", "few")
    _validate = _validating(_bounded)


class ExpectGroupsToBeBalanced(BatchExpectation):
    """In training, the largest group counts at most `max_ratio` times as much as the smallest; observed: the ratio.

    A row counts `repeats` times its `weight`. Rows without a group are ignored.
    """

    group: str
    within: str
    max_ratio: float
    metric_dependencies = (RATIO,)
    success_keys = args_keys = ("group", "within", "max_ratio")
    _validate = _validating(lambda arguments, metrics: (metrics[RATIO] <= arguments["max_ratio"], metrics[RATIO]))


def _accounted(counts: Arguments, _: Arguments) -> tuple[bool, float]:
    vanished = counts["rows_in"] + counts["added"] - counts["rows_out"] - counts["rejected"]
    return vanished == 0, vanished


class ExpectRowsToBeAccountedFor(BatchExpectation):
    """Rows in + added = rows out + rejected (P7); observed: rows that vanished (negative: that appeared)."""

    rows_in: Parameter
    rows_out: Parameter
    rejected: Parameter
    added: Parameter
    success_keys = args_keys = ("rows_in", "rows_out", "rejected", "added")
    _validate = _validating(_accounted)


def _retained(counts: Arguments, _: Arguments) -> tuple[bool, float]:
    share = 1.0 - counts["rejected"] / counts["rows_in"] if counts["rows_in"] else 1.0
    return share >= counts["min_share"], share


class ExpectRetainedShareToBeAtLeast(BatchExpectation):
    """The share of a step's rows that it did not reject is at least `min_share`; observed: that share."""

    rows_in: Parameter
    rejected: Parameter
    min_share: float
    success_keys = args_keys = ("rows_in", "rejected", "min_share")
    _validate = _validating(_retained)


def _recalled(counts: Arguments, _: Arguments) -> tuple[bool, float]:
    recall = counts["found"] / counts["planted"] if counts["planted"] else 1.0
    return recall >= counts["min_recall"], recall


class ExpectRecallToBeAtLeast(BatchExpectation):
    """The share found of the values planted into a sample is at least `min_recall`; observed: that share."""

    planted: Parameter
    found: Parameter
    min_recall: Parameter
    success_keys = args_keys = ("planted", "found", "min_recall")
    _validate = _validating(_recalled)


class ExpectNoTypeBelowItsFloor(BatchExpectation):
    """Of the values planted into a sample, enough of each type were found; observed: types that miss their floor."""

    types_below: Parameter
    success_keys = args_keys = ("types_below",)
    _validate = _validating(lambda counts, _: (counts["types_below"] == 0, counts["types_below"]))
