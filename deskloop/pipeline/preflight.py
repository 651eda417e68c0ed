"""Refuse before any step runs what shows without reading the data: missing files, models, suites and report modules."""

from collections.abc import Sequence

from deskloop.contract.errors import ConfigError
from deskloop.contract.extras import require_extra
from deskloop.contract.stage import Context, EvaluationStage, ModelStage
from deskloop.pipeline.expectations import expectation_problems
from deskloop.pipeline.extensions import extension_problems, section_problems
from deskloop.pipeline.pipeline import Pipeline, Step


def preflight(pipeline: Pipeline, steps: Sequence[Step]) -> None:
    """Check the extensions of every step that will run, and let its stage check its config.

    Raises:
        ConfigError: with the problems of all steps at once.
        InputError: a source cannot be read at all.
    """
    refused: list[ConfigError] = []
    for step in steps:
        if problems := extension_problems(step.stage) or expectation_problems(step.stage, step.expect, step.config):
            refused.append(ConfigError(problems, f"steps.{step.name}"))
        try:
            if isinstance(step.stage, ModelStage | EvaluationStage):
                require_extra("train", f"step {step.name!r}")
            if step.stage.check is not None:
                step.stage.check(step.config, Context(step.name))
        except ConfigError as error:
            refused.append(error)
    if not refused and (problems := section_problems(step.stage for step in pipeline.steps)):
        raise ConfigError(problems, str(pipeline.file))
    if len(refused) == 1:
        raise refused[0]
    if refused:
        problems = [f"{error.where}: {problem}" for error in refused for problem in error.problems]
        raise ConfigError(list(dict.fromkeys(problems)), str(pipeline.file))
