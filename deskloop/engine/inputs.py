"""Inputs of a step: the versions for each of its ports, and a stage's access to their rows, folders and figures."""

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
    """Return the versions that an output is computed from, by port, except those read for their artifact."""
    return [v for name, port in stage.ports.items() if port.kind != "artifact" for v in inputs.get(name, ())]


def artifacts_of(stage: Stage, inputs: Versions) -> list[tuple[str, str]]:
    """Return (port, digest) of the artifacts that a step reads."""
    ports = [name for name, port in stage.ports.items() if port.kind == "artifact"]
    return [(name, version.artifact) for name in ports for version in inputs.get(name, ())]


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
        return self.engine.table(self.version, columns)

    def folder(self) -> Path:
        """Return a model's folder after comparing its files with their checksums."""
        check_folder(self.engine.store.root, self.version)
        return folder_of(self.engine.store.root, self.version)

    def artifact(self) -> Mapping[str, bytes]:
        """Return the files of the artifact that it was computed with, by name."""
        return self.engine.ledger.files(self.version.artifact)

    def parents(self) -> Sequence["PublishedInput"]:
        """Return the versions that it was computed from."""
        return [PublishedInput(self.engine, self.engine.catalog.get(parent.name)) for parent in self.version.parents]


def as_inputs(engine: "Engine", inputs: Versions) -> dict[str, list[PublishedInput]]:
    """Return the versions for each port as a stage's function receives them."""
    return {port: [PublishedInput(engine, version) for version in versions] for port, versions in inputs.items()}
