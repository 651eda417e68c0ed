"""A stage's part of the report: if one of its functions raises, the rest of the page is written all the same."""

from collections.abc import Callable
from typing import TypeVar

from deskloop.contract.errors import StepError
from deskloop.engine.firewall import guarded

Part = TypeVar("Part")


def attempt(part: str, problems: list[str], function: Callable[[], Part], instead: Callable[[str], Part]) -> Part:
    """Return what a function of a stage's report returns; if it raises, record the problem.

    Args:
        part: what the function makes, for the record.
        problems: what could not be rendered, as a sentence each; extended by this one.
        instead: type of the exception -> what to return in place of the result.
    Raises:
        DeskloopError: errors of our own, such as a damaged table, which can be rebuilt.
    """
    try:
        with guarded(part):
            return function()
    except StepError as error:
        problems.append(f"{part} could not be rendered ({error.cause})")
        return instead(error.cause)
