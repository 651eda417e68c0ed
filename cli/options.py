"""Options that commands share, and the pipeline that they name: its own store, or that of one of its samples."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deskloop.pipeline.pipeline import Pipeline

sample_option = click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use the store of `deskloop run --sample N`, not the pipeline's own.",
)


def load(file: str, sample: int | None) -> "Pipeline":
    """The pipeline of a command that looks at what runs have made.

    Args:
        file: the pipeline file.
        sample: the sample that was asked for, or None.
    Raises:
        ConfigError: the file was refused, or there has been no such sample; names those there are.
    """
    from deskloop.pipeline.load import load_pipeline
    from deskloop.pipeline.samples import check_sample
    from tasks import stages

    pipeline = load_pipeline(Path(file), stages(), sample=sample)
    if sample is not None:
        check_sample(pipeline.own_store, sample, file)
    return pipeline
