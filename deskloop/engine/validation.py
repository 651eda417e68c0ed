"""The results of a suite as they are stored: expectations, which are declared, and numbers; never a value of the data.

Great Expectations' own results hold values in many places (lists of what was unexpected, an observed minimum, the
message and traceback of an exception); everything that is not a number is removed.
"""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """The result of one expectation. No field can hold a value of the data.

    Attributes:
        expectation: Great Expectations' name of its type, e.g. `expect_column_values_to_be_unique`.
        description: the expectation in plain words.
        severity: `critical` (the version must not be published) or `warning` (goes to the report).
        passed: the data meets the expectation.
        observed: the aggregate that was compared, where there is one.
        unexpected: rows that do not meet it; 0 for expectations on an aggregate.
        rows: rows that were validated.
        error: type of the exception if the expectation could not be evaluated at all; it then counts as critical.
        relaxed: why the pipeline file made a warning of it; "" for all others.
    """

    expectation: str
    description: str
    severity: str
    passed: bool
    observed: float | None
    unexpected: int
    rows: int
    error: str | None = None
    relaxed: str = ""


@dataclass(frozen=True)
class Validation:
    """The results of one suite; `document` is the stripped result of Great Expectations, for Data Docs."""

    results: list[Result]
    document: dict[str, Any]

    @property
    def critical(self) -> list[Result]:
        """The failures that forbid publishing."""
        return [result for result in self.results if not result.passed and result.severity == "critical"]


def validation_of(module: str, expectations: Sequence[Any], outcome: Mapping[str, Any], rows: int) -> Validation:
    """Strip the result of a suite, in the order of its expectations.

    Args:
        module: dotted name of the suite's module.
        expectations: the suite's, each with a description of its own.
        outcome: Great Expectations' result as plain JSON.
        rows: rows that were validated.
    """
    order = [(expectation.expectation_type, expectation.description) for expectation in expectations]
    entries = sorted((_stripped(entry) for entry in outcome["results"]), key=lambda entry: order.index(_key(entry)))
    return Validation([_result(entry, rows) for entry in entries], _document(module, entries))


def _key(entry: Mapping[str, Any]) -> tuple[str, str | None]:
    return entry["expectation_config"]["type"], entry["expectation_config"].get("description")


def _stripped(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return one result with nothing left but the expectation itself (our code), numbers, and an exception's type."""
    error = _exception_type(entry["exception_info"])
    numbers = {key: value for key, value in entry["result"].items() if value is None or isinstance(value, int | float)}
    if "unexpected_percent" not in numbers:
        numbers.pop("unexpected_count", None)  # Data Docs cannot show the one without the other
    return {
        "success": bool(entry["success"]),
        "expectation_config": {**entry["expectation_config"], **({"severity": "critical"} if error else {})},
        "result": numbers,
        "meta": {},
        "exception_info": {"raised_exception": bool(error), "exception_message": error, "exception_traceback": ""},
    }


def _exception_type(info: Mapping[str, Any]) -> str | None:
    """The type of the first exception in the chain: the line that ends the first traceback, up to its message."""
    raised = info if "raised_exception" in info else next(iter(info.values()), {"raised_exception": False})
    if not raised["raised_exception"]:
        return None
    match = re.search(r"^([A-Za-z_][\w.]*)(?::|$)", str(raised["exception_traceback"]), re.MULTILINE)
    return match[1].rpartition(".")[2] if match else "Exception"


def _result(entry: Mapping[str, Any], rows: int) -> Result:
    config, numbers = entry["expectation_config"], entry["result"]
    observed = numbers.get("observed_value")
    return Result(
        expectation=config["type"],
        description=config.get("description") or config["type"].replace("_", " "),
        severity=config["severity"],
        passed=entry["success"],
        observed=None if observed is None else round(float(observed), 6),
        unexpected=int(numbers.get("unexpected_count") or 0),
        rows=int(numbers.get("element_count") or rows),
        error=entry["exception_info"]["exception_message"],
        relaxed=(config.get("meta") or {}).get("relaxed", ""),
    )


def _document(module: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    passed = sum(entry["success"] for entry in entries)
    return {
        "success": passed == len(entries),
        "results": entries,
        "suite_name": module,
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": len(entries),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(entries) - passed,
            "success_percent": 100.0 * passed / len(entries) if entries else None,
        },
        "meta": {"great_expectations_version": importlib.metadata.version("great-expectations")},
        "id": None,
    }
