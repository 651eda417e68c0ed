"""What a step reads: the versions behind each of its ports, and how a stage gets at their rows, folders and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deskloop.contract.stage import Stage
from deskloop.models.folder import check_folder, folder_of
from deskloop.store.catalog import Version

if TYPE_CHECKING:
    from deskloop.engine.engine import Engine

Versions = Mapping[str, Sequence[Version]]  # port -> versions


def parents_of(stage: Stage, inputs: Versions) -> list[Version]:
    """The versions that a step's output is made from, port after port; those read for their artifact aside."""
    return [one for name, port in stage.ports.items() if port.kind != "artifact" for one in inputs.get(name, ())]


def artifacts_of(stage: Stage, inputs: Versions) -> list[tuple[str, str]]:
    """(port, digest) of the artifacts that it reads."""
    return [
        (name, one.artifact)
        for name, port in stage.ports.items()
        if port.kind == "artifact"
        for one in inputs.get(name, ())
    ]


@dataclass(frozen=True)
class PublishedInput:
    """A published version as a stage sees it; see `deskloop.contract.stage.Input`."""

    engine: "Engine"
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
        """The step that made it."""
        return self.version.step

    @property
    def is_table(self) -> bool:
        """Whether it has rows."""
        return self.version.kind == "dataset"

    @property
    def config(self) -> Mapping[str, Any]:
        """Options of the step that made it."""
        return self.version.config

    @property
    def details(self) -> Mapping[str, Any]:
        """What the step recorded besides rows."""
        return self.version.details

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows, sorted by row_id; a damaged table is rebuilt first."""
        return self.engine.table(self.version, columns)

    def folder(self) -> Path:
        """A model's folder, compared with its checksums."""
        check_folder(self.engine.store.root, self.version)
        return folder_of(self.engine.store.root, self.version)

    def artifact(self) -> Mapping[str, bytes]:
        """The artifact that it was made with, by file name."""
        return self.engine.ledger.files(self.version.artifact)

    def parents(self) -> Sequence["PublishedInput"]:
        """The versions it was made from."""
        return [PublishedInput(self.engine, self.engine.catalog.get(one.name)) for one in self.version.parents]


def as_inputs(engine: "Engine", inputs: Versions) -> dict[str, list[PublishedInput]]:
    """The versions behind each port, for a stage's function."""
    return {port: [PublishedInput(engine, version) for version in versions] for port, versions in inputs.items()}
