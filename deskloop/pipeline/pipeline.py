"""A valid pipeline: its settings, and its steps with their inputs resolved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, field_validator

from deskloop.contract.errors import ConfigError
from deskloop.contract.schema import SPLITS
from deskloop.contract.stage import DataStage, Stage, StageConfig
from deskloop.pipeline.expectations import Declared
from deskloop.pipeline.local_paths import check_local
from deskloop.pipeline.problems import nearest
from deskloop.pipeline.samples import sample_root


class Settings(StageConfig):
    """The top level of a pipeline file without its steps."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="names the pipeline and its model")
    store: str = Field(
        "", description="local folder of all versions, relative to this file; no URL; default .deskloop/<name>"
    )
    seed: int = Field(0, ge=0, description="seed of all random choices")
    base: str = Field("tiny", min_length=1, description="base model: `tiny`, a model id, or a folder")
    workers: int = Field(2, ge=1, le=256, description="number of worker processes")
    partition_rows: int = Field(1000, ge=1, description="rows per partition")
    measured_rows: int = Field(
        400,
        ge=1,
        description="rows of a version on which the recall of scrub is measured; more rows take longer and narrow the "
        "interval",
    )
    raw_days: int | None = Field(
        None, ge=1, description="days after which a raw row is deleted, from its arrival; default: raw rows are kept"
    )

    _local = field_validator("store")(check_local)


@dataclass(frozen=True)
class Reference:
    """An output of an earlier step, as another step's input."""

    step: str
    dataset: str


@dataclass(frozen=True)
class Step:
    """One entry of `steps`.

    Attributes:
        output: the name of its output; with `by_split`, empty or a prefix of the splits' names.
        inputs: port -> the outputs of earlier steps that it reads.
        expect: expectations in addition to those of its suite, and relaxed ones.
    """

    name: str
    stage: Stage
    config: StageConfig
    output: str
    inputs: Mapping[str, tuple[Reference, ...]] = field(default_factory=dict)
    expect: tuple[Declared, ...] = ()

    @property
    def datasets(self) -> dict[str | None, str]:
        """Split (None if rows are not routed) -> the dataset that the step publishes."""
        if not (isinstance(self.stage, DataStage) and self.stage.by_split):
            return {None: self.output}
        prefix = "" if self.name == self.stage.name else f"{self.name}_"
        return {split: f"{prefix}{split}{self.stage.suffix}" for split in SPLITS}

    @property
    def rejects(self) -> str:
        """The table of rejected rows; always in the clean zone, since it has ids and reasons only."""
        return f"{self.name}.rejects"

    @property
    def data(self) -> DataStage:
        """The stage of a step whose output is a table.

        Raises:
            TypeError: the output is not a table.
        """
        if not isinstance(self.stage, DataStage):
            raise TypeError(f"the output of step {self.name!r} is not a table")
        return self.stage

    @property
    def tables(self) -> list[str]:
        """Names of the tables that it writes: its datasets and its rejects; none for a model or figures."""
        return [*self.datasets.values(), self.rejects] if isinstance(self.stage, DataStage) else []

    @property
    def references(self) -> Iterator[Reference]:
        """Every output that it reads, by port."""
        return (reference for references in self.inputs.values() for reference in references)


@dataclass(frozen=True)
class Pipeline:
    """A valid pipeline file."""

    file: Path
    settings: Settings
    steps: tuple[Step, ...]
    sample: int | None = None

    @property
    def folder(self) -> Path:
        """The file's folder, to which relative paths refer."""
        return self.file.parent

    @property
    def store(self) -> Path:
        """The store's root; a sample has its own store, so that it does not affect the pipeline's."""
        root = self.own_store
        return root if self.sample is None else sample_root(root, self.sample)

    @property
    def own_store(self) -> Path:
        """The root of the pipeline's own store, also for a sample."""
        return self.folder / (self.settings.store or f".deskloop/{self.settings.name}")

    @property
    def data_steps(self) -> list[Step]:
        """The steps whose output is a table."""
        return [step for step in self.steps if isinstance(step.stage, DataStage)]

    @property
    def raw_datasets(self) -> list[str]:
        """The datasets of the raw zone."""
        raw = [step for step in self.data_steps if step.data.zone[1] == "raw"]
        return [name for step in raw for name in step.datasets.values()]

    def configs_of(self, stage: str) -> list[StageConfig]:
        """Return the configs of the steps of a stage, in order."""
        return [step.config for step in self.steps if step.stage.name == stage]

    def before(self, step: Step) -> list[Step]:
        """The steps that a step's inputs were made by, directly or through others, in order."""
        names = {reference.step for reference in step.references}
        for earlier in reversed(self.steps):
            if earlier.name in names:
                names |= {reference.step for reference in earlier.references}
        return [earlier for earlier in self.steps if earlier.name in names]

    def step(self, name: str) -> Step:
        """Return a step by name.

        Raises:
            ConfigError: there is no such step.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigError(f"no step {name!r}{nearest(name, [step.name for step in self.steps])}", "the command")

    def selected(self, begin: str | None = None, until: str | None = None) -> list[Step]:
        """Return the steps from `begin` to `until` inclusive, by default from the first to the last.

        Raises:
            ConfigError: there is no such step, or they are in the wrong order.
        """
        names = [step.name for step in self.steps]
        problems = [
            f"{option} {name}: there is no such step{nearest(name, names)}"
            for option, name in (("--from", begin), ("--until", until))
            if name is not None and name not in names
        ]
        if not problems and begin is not None and until is not None and names.index(until) < names.index(begin):
            problems.append(f"--until {until} comes before --from {begin}")
        if problems:
            raise ConfigError(problems, "the command")
        first = names.index(begin) if begin is not None else 0
        last = names.index(until) if until is not None else len(names) - 1
        return list(self.steps[first : last + 1])
