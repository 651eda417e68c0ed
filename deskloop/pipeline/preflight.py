"""What is refused before any step runs: absent files, absent models, everything that needs no look at the data."""

from deskloop.contract.errors import ConfigError
from deskloop.contract.hub import check_model
from deskloop.contract.stage import Context
from deskloop.pipeline.load import Pipeline


def preflight(pipeline: Pipeline, begin: str | None = None, until: str | None = None, training: bool = False) -> None:
    """Let every stage that will run look at its config, and check that the base model can be had.

    Args:
        begin, until: first and last step of the run; None: all of the pipeline file's.
        training: the run fine-tunes too.
    Raises:
        ConfigError: with the problems of all steps at once.
        InputError: a source cannot be read at all.
    """
    refused: list[ConfigError] = []
    names = [step.name for step in pipeline.steps]
    first = names.index(begin) if begin in names else len(names) if begin is not None else 0
    last = names.index(until) if until in names else len(names)
    for step in pipeline.steps[first : last + 1]:
        if step.stage.check is not None:
            try:
                step.stage.check(step.config, Context(step=step.name, folder=str(pipeline.folder)))
            except ConfigError as error:
                refused.append(error)
    base = getattr(pipeline.sections.get("finetune"), "base", "tiny") if training else "tiny"
    if base != "tiny":
        try:
            check_model(base, str(pipeline.folder), "finetune")
        except ConfigError as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        problems = [f"{error.where}: {problem}" for error in refused for problem in error.problems]
        raise ConfigError(list(dict.fromkeys(problems)), str(pipeline.file))
