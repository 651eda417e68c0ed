"""A pipeline whose store a command inspects: its own store, or that of one of its samples."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskloop.models import Registry
    from deskloop.pipeline.pipeline import Pipeline
    from deskloop.store.catalog import Catalog
    from deskloop.store.store import Store


@dataclass(frozen=True)
class Desk:
    """A pipeline with its store, catalog and registry, each opened when it is first used."""

    pipeline: "Pipeline"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.pipeline.settings.name

    @cached_property
    def store(self) -> "Store":
        """The store."""
        from deskloop.store.store import Store

        return Store(self.pipeline.store)

    @cached_property
    def catalog(self) -> "Catalog":
        """The published versions."""
        from deskloop.store.catalog import Catalog

        return Catalog(self.pipeline.store / "catalog")

    @cached_property
    def registry(self) -> "Registry":
        """The registered models."""
        from deskloop.models import Registry

        return Registry(self.pipeline.store)


def opened(file: str, sample: int | None = None) -> Desk:
    """Load a pipeline file.

    Args:
        file: the pipeline file.
        sample: use the store of this sample.
    Raises:
        ConfigError: the file is refused, or there is no such sample; lists the samples.
    """
    from deskloop.pipeline.load import load_pipeline
    from deskloop.pipeline.samples import check_sample
    from tasks import stages

    pipeline = load_pipeline(Path(file), stages(), sample=sample)
    if sample is not None:
        check_sample(pipeline.own_store, sample, file)
    return Desk(pipeline)
