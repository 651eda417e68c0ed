"""The inputs of a step: the versions for each of its ports."""

from collections.abc import Mapping, Sequence

from deskloop.contract.stage import Stage
from deskloop.store.catalog import Version

Versions = Mapping[str, Sequence[Version]]  # port -> versions


def parents_of(stage: Stage, inputs: Versions) -> list[Version]:
    """Return the versions that an output is computed from, by port, except those read for their artifact."""
    return [v for name, port in stage.ports.items() if port.kind != "artifact" for v in inputs.get(name, ())]


def artifacts_of(stage: Stage, inputs: Versions) -> list[tuple[str, str]]:
    """Return (port, digest) of the artifacts that a step reads."""
    ports = [name for name, port in stage.ports.items() if port.kind == "artifact"]
    return [(name, version.artifact) for name in ports for version in inputs.get(name, ())]
