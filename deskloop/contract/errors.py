"""Every error that deskloop raises on purpose.

A message names the step, what was expected, what was found and what to do. It holds counts, columns, file names
and ids, never the text of a cell: errors end up in logs and in Prefect's database.
"""

from collections.abc import Sequence
from typing import Any

from deskloop.contract.terminal import visible, visible_lines


class DeskloopError(Exception):
    """Something that the user can act on; shown without a traceback.

    Attributes:
        exit_code: of the command.
        document: of the run that ended with this error, which `--json` prints; None if no run has begun.
    """

    exit_code = 1
    document: dict[str, Any] | None = None

    def __str__(self) -> str:
        """The message, safe for a terminal."""
        return visible_lines(super().__str__())

    def attach(self, document: dict[str, Any]) -> dict[str, Any]:
        """Record the document of the run that ended with this error; returns the document."""
        self.document = document
        return document


class ConfigError(DeskloopError):
    """The pipeline file or a command's arguments are invalid; holds every problem."""

    exit_code = 2

    def __init__(self, problems: Sequence[str] | str, where: str = "the configuration") -> None:
        self.problems = [visible(problem) for problem in ([problems] if isinstance(problems, str) else problems)]
        count = len(self.problems)
        heading = f"{visible(where)} has {count} problem{'s' if count != 1 else ''}:"
        self.where = where
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems, self.where)


class InputError(DeskloopError):
    """The source data cannot be read at all: missing, a folder, or nothing in it."""

    exit_code = 2


class DataError(DeskloopError):
    """The data cannot be processed by a step, or breaks a promise."""


class MachineError(DeskloopError):
    """The machine or a service stopped the command, not the data: disk, permissions, memory, Prefect's server.

    Attributes:
        passing: it may pass, as an unavailable network file system, so that another attempt can help.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class DamageError(DataError):
    """Part of the store differs from what was written.

    Attributes:
        place: `zone/name`, such as `clean/scrubbed`, `ledger/families`, `catalog`, `models/support/0f3c`.
        problem: the damage; names files, never their content.
    """

    def __init__(self, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        self.zone, _, self.name = place.partition("/")
        super().__init__(f"{place} is damaged: {problem}. {remedy(place)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.place, self.problem)


def remedy(place: str) -> str:
    """Return what to do about a damaged part of the store."""
    zone = place.partition("/")[0]
    if zone == "clean":
        return "The next `deskloop run` or `deskloop prepare` rebuilds it"
    if zone == "models":
        return (
            "Restore it from a backup (`deskloop data restore`); the next "
            "`deskloop run` rebuilds a base model or the latest candidate"
        )
    if zone == "memo":
        return (
            "Restore it from a backup (`deskloop data restore`), or delete the file: the generators then run again, "
            "and a copy may read differently"
        )
    return "It cannot be rebuilt: restore it from a backup (`deskloop data restore`)"


class ZoneError(DeskloopError):
    """Code without permission tried to open the raw zone."""


class StepError(DeskloopError):
    """A step failed on a foreign exception; only its type is kept, as the message may hold a customer's text."""

    def __init__(self, step: str, cause: str, ids: Sequence[str] = ()) -> None:
        self.step, self.cause, self.ids = step, cause, tuple(ids)
        shown = ", ".join(ids[:5])
        rows = f"; first rows of the batch: {shown}" if shown else ""
        super().__init__(
            f"step {step!r} failed with {cause}{rows}. The message of the original error is withheld because it may "
            f"quote a conversation; run again with --debug on a machine where that may be shown."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.step, self.cause, list(self.ids))


class ExpectationError(DeskloopError):
    """A critical expectation failed, and the version was not published."""
