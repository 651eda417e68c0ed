"""The modules that a stage brings along: its expectation suite and its part of the report.

A module is imported when it is first needed; `extension_problems` finds out before a run whether it can be.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType

from deskloop.contract.errors import ConfigError
from deskloop.contract.report import RESERVED, Report
from deskloop.contract.stage import DataStage, Stage


def suite_of(name: str) -> ModuleType:
    """Return the expectation suite of that dotted name: a module with `measure()` and `suite()`.

    Raises:
        ConfigError: it cannot be imported, or lacks a function.
    """
    module = _imported(name, "the expectation suite", "a module with measure() and suite()")
    missing = [function for function in ("measure", "suite") if not callable(getattr(module, function, None))]
    if missing:
        raise ConfigError(
            f"the expectation suite {name!r} lacks {' and '.join(f'{function}()' for function in missing)}"
        )
    return module


def report_of(stage: Stage) -> Report | None:
    """Return a stage's part of the report; None if it has none.

    Raises:
        ConfigError: its module cannot be imported, has no `REPORT`, or a template is missing.
    """
    if not stage.report:
        return None
    report = getattr(_imported(stage.report, "the report module", "a module with a REPORT"), "REPORT", None)
    if not isinstance(report, Report):
        raise ConfigError(f"the report module {stage.report!r} has no REPORT; add a `deskloop.contract.report.Report`")
    templates = [f"{section.name}.html" for section in report.sections]
    missing = ", ".join(name for name in templates if not (report.folder / name).is_file())
    if missing:
        raise ConfigError(
            f"the report module {stage.report!r} lacks the template {missing}; is it in the package data?"
        )
    return report


def extension_problems(stage: Stage) -> list[str]:
    """Everything that is wrong with what a stage brings along."""
    problems = []
    if isinstance(stage, DataStage) and not stage.suite:
        problems.append(
            "makes a table without an expectation suite; write a module with measure() and suite(), and name it in "
            f"`suite` of the stage {stage.name!r}"
        )
    if any("<" in getattr(function, "__qualname__", "<") for function in stage.functions):
        problems.append(
            f"the stage {stage.name!r} computes with a lambda, a partial or a function inside another; write functions "
            "at the top level of a module, so that a change of their code is noticed"
        )
    for load in (lambda: suite_of(stage.suite) if stage.suite else None, lambda: report_of(stage)):
        try:
            load()
        except ConfigError as error:
            problems += error.problems
    return problems


def section_problems(stages: Iterable[Stage]) -> list[str]:
    """Return the sections of complete stages whose names are not unique in the page."""
    owners = dict.fromkeys(RESERVED, "the page itself")
    problems = []
    for stage in {stage.name: stage for stage in stages}.values():
        report = report_of(stage)
        for section in report.sections if report else ():
            if section.name in owners:
                owner = owners[section.name]
                problems.append(f"the report module {stage.report!r} has a section {section.name!r}, as has {owner}")
            owners[section.name] = f"that of {stage.name!r}"
    return problems


def _imported(name: str, role: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"there is no {role.removeprefix('the ')} {name!r}; add it as {remedy}") from None
        raise ConfigError(f"{role} {name!r} cannot be imported: there is no module {error.name!r}") from None
    except Exception as error:
        raise ConfigError(f"{role} {name!r} cannot be imported: {type(error).__name__}: {error}") from None
