"""What is refused before any step runs: absent files, absent models, everything that needs no look at the data."""

from collections.abc import Sequence

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import Context
from deskloop.pipeline.pipeline import Pipeline, Step


def preflight(pipeline: Pipeline, steps: Sequence[Step]) -> None:
    """Let the stage of every step that will run check its config.

    Raises:
        ConfigError: with the problems of all steps at once.
        InputError: a source cannot be read at all.
    """
    refused: list[ConfigError] = []
    for step in steps:
        if step.stage.check is not None:
            try:
                step.stage.check(step.config, Context(step.name))
            except ConfigError as error:
                refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        problems = [f"{error.where}: {problem}" for error in refused for problem in error.problems]
        raise ConfigError(list(dict.fromkeys(problems)), str(pipeline.file))
