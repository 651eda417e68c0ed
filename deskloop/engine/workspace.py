"""What deciding about steps and computing them share: the pipeline, its store, and the outputs of a run so far."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.contract.progress import show
from deskloop.engine.decide import Decider, Decision
from deskloop.engine.inputs import Versions
from deskloop.engine.partitions import Executor
from deskloop.models.folder import check_folder, folder_of
from deskloop.pipeline.pipeline import Pipeline, Step
from deskloop.store.catalog import Version
from deskloop.store.store import Store

Result = TypeVar("Result")
Announce = Callable[[str, str, list[str], str], bool]  # run id, pipeline, failed gates, report -> whether it was sent
Progress = Callable[[str, int, int, str], None]  # step, done, total (0: unknown), unit


@dataclass(frozen=True)
class Made:
    """The output of a step in a run, and the decision behind it."""

    versions: list[Version]
    decision: Decision

    @property
    def reused(self) -> bool:
        """Whether the versions were published before this run and are still valid."""
        return self.decision.action == "reuse"

    @property
    def extended(self) -> bool:
        """Whether only the difference to the last version was computed."""
        return self.decision.action == "extend"


class Workspace(ABC):
    """The state of a run, and access to the versions that it reads.

    Attributes:
        made: step -> its output in this run.
        rebuilt: steps whose damaged tables were rebuilt since the caller last cleared this.
        attempted: damaged tables that this run has tried to rebuild.
        remembered: step -> families for the ledger, once the step's expectations are met.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        executor: Executor,
        run_id: str,
        refit: Sequence[str] = (),
        rebuild: Sequence[str] = (),
        announce: Announce | None = None,
        progress: Progress = show,
    ) -> None:
        self.pipeline, self.store, self.executor, self.run_id = pipeline, store, executor, run_id
        self.decider = Decider(pipeline, store, refit, rebuild)
        self.catalog, self.ledger = self.decider.catalog, self.decider.ledger
        self.announce, self.progress = announce, progress
        self.flow_run_id = ""
        self.made: dict[str, Made] = {}
        self.rebuilt: dict[str, Made] = {}
        self.attempted: set[str] = set()
        self.remembered: dict[str, pd.DataFrame] = {}

    @abstractmethod
    def rebuild(self, damage: DamageError, under_way: Step | None = None) -> None:
        """Rebuild a damaged table; see `Engine.rebuild`."""

    def mended(self, function: Callable[[], Result]) -> Result:
        """Call a function that reads versions; if one is damaged, rebuild it and call the function again.

        Args:
            function: resolves the versions that it reads by name on every call, since a rebuilt one is another commit.
        Raises:
            DamageError: a version cannot be rebuilt.
        """
        while True:
            try:
                return function()
            except DamageError as damage:
                self.rebuild(damage)

    def table(self, version: Version, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of a version, sorted by row_id; a damaged table is rebuilt first."""
        return self.mended(lambda: self.read([self.catalog.get(version.name)], columns))

    def read(self, versions: Sequence[Version], columns: Sequence[str] | None) -> pa.Table:
        """Read the rows of several versions, sorted by row_id so that the order of commits does not matter."""
        tables = [self.store.read(each.zone, each.dataset, each.delta_version, columns) for each in versions]
        joined = pa.concat_tables(tables)
        return joined.sort_by("row_id") if "row_id" in joined.column_names else joined


@dataclass(frozen=True)
class PublishedInput:
    """A published version as a stage sees it; see `deskloop.contract.stage.Input`."""

    work: "Workspace"
    version: Version

    @property
    def name(self) -> str:
        """`dataset@version`."""
        return self.version.name

    @property
    def dataset(self) -> str:
        """Its dataset, without the version."""
        return self.version.dataset

    @property
    def step(self) -> str:
        """The step that published it."""
        return self.version.step

    @property
    def is_table(self) -> bool:
        """Whether it has rows."""
        return self.version.kind == "dataset"

    @property
    def config(self) -> Mapping[str, Any]:
        """Options of the step that published it."""
        return self.version.config

    @property
    def details(self) -> Mapping[str, Any]:
        """Figures that the step recorded besides rows."""
        return self.version.details

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read its rows, sorted by row_id; a damaged table is rebuilt first."""
        return self.work.table(self.version, columns)

    def folder(self) -> Path:
        """Return a model's folder after comparing its files with their checksums."""
        check_folder(self.work.store.root, self.version)
        return folder_of(self.work.store.root, self.version)

    def artifact(self) -> Mapping[str, bytes]:
        """Return the files of the artifact that it was computed with, by name."""
        return self.work.ledger.files(self.version.artifact)

    def parents(self) -> Sequence["PublishedInput"]:
        """Return the versions that it was computed from."""
        return [PublishedInput(self.work, self.work.catalog.get(parent.name)) for parent in self.version.parents]


def as_inputs(work: "Workspace", inputs: Versions) -> dict[str, list[PublishedInput]]:
    """Return the versions for each port as a stage's function receives them."""
    return {port: [PublishedInput(work, version) for version in versions] for port, versions in inputs.items()}
