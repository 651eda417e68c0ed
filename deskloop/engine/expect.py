"""Run a dataset's expectation suite with Great Expectations; no value of the data is kept.

A suite is a module with two functions (see `expectations/`): `measure(table)` turns rows into scalars such as counts,
so that no text reaches Great Expectations at all, and `suite()` lists real expectations. What comes back is stripped
to numbers: a result may be logged, stored in the catalog and shown.

    validation = validate("expectations.scrubbed", batches, {"rows_in": 100, "rows_out": 98, "rejected": 2, "added": 0})
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DataError
from deskloop.engine.validation import Result, Validation, validation_of
from deskloop.pipeline.expectations import Declared, apply, great_expectations, silenced
from deskloop.pipeline.extensions import suite_of

__all__ = ["Result", "Validation", "great_expectations", "validate"]

# BASIC counts what is unexpected; a partial list of length 0 keeps its values from being collected.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


def validate(
    module: str, tables: Iterable[pa.Table], facts: Mapping[str, float], declared: Sequence[Declared] = ()
) -> Validation:
    """Measure the batches of a dataset and validate them against its suite.

    Args:
        module: dotted name of the suite's module, e.g. `expectations.scrubbed`.
        tables: (n, the dataset's schema) each, at least one, which may have no rows. One batch is in memory at a
            time besides the scalars.
        facts: figures that the rows do not contain: `rows_in`, `rows_out`, `rejected`, `added` of the step, and
            `max_length` (tokens) for encoded rows.
        declared: the expectations that the pipeline file adds to the suite or relaxes.
    Raises:
        ConfigError: there is no such module, it has no `measure` and `suite`, or a declared expectation is invalid.
        DataError: no batch at all, or a fact is missing that the suite needs: an expectation is never skipped.
    """
    suite = suite_of(module)
    frame = _measured(module, suite.measure, tables)
    gx = great_expectations()
    with silenced():
        expectations = apply(suite.suite(), declared, list(frame.columns))
        _require_facts(module, expectations, facts)
        source = new_context({}).data_sources.add_pandas("deskloop").add_dataframe_asset(module)
        batch = source.add_batch_definition_whole_dataframe(module).get_batch({"dataframe": frame})
        outcome = batch.validate(
            gx.ExpectationSuite(name=module, expectations=expectations),
            result_format=RESULT_FORMAT,
            expectation_parameters=dict(facts),
        )
    return validation_of(module, expectations, outcome.to_json_dict(), len(frame))


def new_context(sites: Mapping[str, Any]) -> Any:
    """Return a context in memory, without progress bars; making one takes 3 ms, and a new one has no earlier data."""
    base = importlib.import_module("great_expectations.data_context.types.base")
    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        data_docs_sites=dict(sites),
        progress_bars=base.ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return great_expectations().get_context(mode="ephemeral", project_config=config)


def _measured(module: str, measure: Callable[[pa.Table], pa.Table], tables: Iterable[pa.Table]) -> pd.DataFrame:
    measured = [measure(table) for table in tables]
    if not measured:
        raise DataError(f"suite {module!r}: expected at least one batch, got none; pass an empty table of the schema")
    return pa.concat_tables(measured, promote_options="permissive").to_pandas()


def _require_facts(module: str, expectations: Iterable[Any], facts: Mapping[str, float]) -> None:
    values = [value for expectation in expectations for value in expectation.configuration.kwargs.values()]
    needed = {value["$PARAMETER"] for value in values if isinstance(value, dict) and "$PARAMETER" in value}
    if missing := sorted(needed - set(facts)):
        raise DataError(f"suite {module!r} needs the facts {', '.join(missing)}; it got {', '.join(sorted(facts))}")
