"""Expectations that the pipeline file declares: `expect:` of a step extends the suite of its stage, or relaxes it.

    - stage: normalize
      expect:
        - {add: expect_column_max_to_be_between, with: {column: characters, max_value: 4000}, severity: warning}
        - {relax: expect_column_values_to_be_between, with: {column: turns}, because: the channel has empty tickets}

`add` takes any type of Great Expectations and the columns that the suite measures. `relax` turns one critical
expectation of the suite into a warning; those that guard a promise cannot be relaxed.
"""

import functools
import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

from pydantic import Field

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import DataStage, Stage, StageConfig
from deskloop.pipeline.extensions import suite_of
from deskloop.pipeline.problems import nearest

COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set", "group", "within", "label", "other")
COUNTS = ("rows_in", "rows_out", "rejected", "added")  # facts of every step
# Arguments of every type that deskloop sets itself, or that would evaluate code from the pipeline file.
RESERVED = {
    "id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity",
    "windows", "batch_id", "row_condition", "condition_parser",
}  # fmt: skip


class Added(StageConfig):
    """An expectation in addition to those of the suite."""

    add: str = Field(description="its type, such as `expect_column_max_to_be_between`")
    arguments: dict[str, Any] = Field({}, alias="with", description="its arguments; a column is one of the suite's")
    severity: Literal["critical", "warning"] = Field("critical", description="`critical` stops a run that fails it")
    description: str = Field("", description="what it expects, as the report words it")


class Relaxed(StageConfig):
    """A critical expectation of the suite that is a warning in this pipeline."""

    relax: str = Field(description="its type, such as `expect_column_values_to_be_between`")
    arguments: dict[str, Any] = Field({}, alias="with", description="arguments that tell it apart, such as its column")
    because: str = Field(min_length=1, description="the reason, for the report")


Declared = Added | Relaxed


@functools.cache
def great_expectations() -> ModuleType:
    """Import the library on first use (about 2 s) and silence it: its log messages quote cells."""
    logger = logging.getLogger("great_expectations")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    with silenced():
        return importlib.import_module("great_expectations")


@contextmanager
def silenced() -> Iterator[None]:
    """Suppress warnings: those of the library are about its own code, and may quote cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def expectation_problems(stage: Stage, declared: Sequence[Declared], config: StageConfig) -> list[str]:
    """Return what is wrong with the expectations that a step declares; reads no rows."""
    if not declared or not isinstance(stage, DataStage):
        return []
    great_expectations()
    suite = suite_of(stage.suite)
    with silenced():
        expectations = suite.suite()
        try:
            apply(expectations, declared, suite.measure(stage.schema.empty_table()).column_names)
        except ConfigError as error:
            return error.problems
    return [] if stage.measure else _unknown_facts(declared, config)  # a measurement has names of its own


def _unknown_facts(declared: Sequence[Declared], config: StageConfig) -> list[str]:
    """Return the `$PARAMETER`s that are neither a count of the step nor a number of its config."""
    facts = {
        *COUNTS,
        *(name for name, value in config.model_dump(mode="json").items() if isinstance(value, int | float)),
    }
    return [
        f"expect.{position}: with.{argument}: there is no fact {value['$PARAMETER']!r}"
        f"{nearest(str(value['$PARAMETER']), facts)}"
        for position, declaration in enumerate(declared)
        for argument, value in declaration.arguments.items()
        if isinstance(value, dict) and "$PARAMETER" in value and value["$PARAMETER"] not in facts
    ]


def apply(suite: Sequence[Any], declared: Sequence[Declared], columns: Sequence[str]) -> list[Any]:
    """Return the expectations of a suite with those that a step declares.

    Args:
        suite: Great Expectations' objects; a relaxed one is changed in place.
        columns: the columns that the suite measures.
    Raises:
        ConfigError: with every problem at once.
    """
    added, problems = [], []
    for position, declaration in enumerate(declared):
        try:
            if isinstance(declaration, Relaxed):
                _relax(suite, declaration)
            else:
                added.append(_added(declaration, columns))
        except ConfigError as error:
            problems += [f"expect.{position}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return [*suite, *added]


def _relax(suite: Sequence[Any], declaration: Relaxed) -> None:
    types = [expectation.expectation_type for expectation in suite]
    if declaration.relax not in types:
        raise ConfigError(f"the suite has no {declaration.relax!r}{nearest(declaration.relax, set(types))}")
    matching = [
        entry
        for entry in suite
        if entry.expectation_type == declaration.relax and _matches(entry, declaration.arguments)
    ]
    if len(matching) != 1:
        raise ConfigError(f"{len(matching)} expectations of the suite match; use `with` to name the arguments of one")
    expectation = matching[0]
    if "promise" in (expectation.meta or {}):
        raise ConfigError(f"{declaration.relax!r} guards promise {expectation.meta['promise']} and cannot be relaxed")
    if expectation.severity != "critical":
        raise ConfigError(f"{declaration.relax!r} is a warning already, which stops no run")
    expectation.severity, expectation.meta = "warning", {"relaxed": declaration.because}


def _matches(expectation: Any, arguments: Mapping[str, Any]) -> bool:
    settings = expectation.configuration.kwargs
    return all(name in settings and settings[name] == value for name, value in arguments.items())


def _added(declaration: Added, columns: Sequence[str]) -> Any:
    registry = importlib.import_module("great_expectations.expectations.registry")
    types = registry.list_registered_expectation_implementations()
    if declaration.add not in types:
        raise ConfigError(f"unknown expectation {declaration.add!r}{nearest(declaration.add, types)}")
    kind = registry.get_expectation_impl(declaration.add)
    names = sorted(set(kind.__fields__) - RESERVED)
    wrong = [name for name in declaration.arguments if name not in names]
    problems = [f"with.{name}: unknown argument{nearest(str(name), names)}" for name in wrong]
    for argument in COLUMNS:
        values = declaration.arguments.get(argument, [])
        values = values if isinstance(values, list) else [values]
        unknown = [column for column in values if column not in columns]
        problems += [
            f"with.{argument}: the suite measures no column {column!r}{nearest(str(column), columns)}"
            for column in unknown
        ]
    if problems:
        raise ConfigError(problems)
    words = {"description": declaration.description} if declaration.description else {}
    try:
        return kind(**declaration.arguments, **words, severity=declaration.severity)
    except ValueError as error:  # Pydantic's, of a version that has no type here
        details: list[dict[str, Any]] = getattr(error, "errors", lambda: [{"loc": (), "msg": "invalid arguments"}])()
        raise ConfigError(
            [f"with.{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details]
        ) from None
