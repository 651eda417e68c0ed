"""The inputs of a stage: the ports that it declares, and the versions that a model, evaluation or promotion reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Port:
    """A named input of a stage.

    Attributes:
        kind: `rows` of a table, a `model`'s folder, the `artifact` of a fitted step, or an evaluation's `figures`. What
            is made from an artifact depends on the artifact alone, not on the rows of its step.
        split: the split whose dataset it reads, from a step that routes rows by split.
        fact: what the step must provide, such as `input_ids`.
        role: of a model: `base` or `candidate`; the `champion` comes from the registry, not from a step.
        many: accepts any number of inputs; by default, all that fit.
        optional: may stay empty.
    """

    kind: Literal["rows", "model", "artifact", "figures"] = "rows"
    split: str = ""
    fact: str = ""
    role: str = ""
    many: bool = False
    optional: bool = False


ROWS = {"rows": Port(many=True)}
ARTIFACT = {"artifact": Port(kind="artifact", optional=True)}


class Input(Protocol):
    """One published version that a model, evaluation or promotion stage reads."""

    @property
    def name(self) -> str:
        """`dataset@version`."""

    @property
    def dataset(self) -> str:
        """Its dataset, without the version."""

    @property
    def step(self) -> str:
        """The step that made it."""

    @property
    def is_table(self) -> bool:
        """Whether it has rows."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Options of the step that made it."""

    @property
    def details(self) -> Mapping[str, Any]:
        """Everything that the step recorded besides rows: figures, the history of a training."""

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return its rows, sorted by row_id."""

    def folder(self) -> Path:
        """Return a model's folder.

        Raises:
            DamageError: its files do not match their checksums.
        """

    def artifact(self) -> Mapping[str, bytes]:
        """Return the artifact that its step used, by file name."""

    def parents(self) -> Sequence["Input"]:
        """Return the versions that it was made from."""


Inputs = Mapping[str, Sequence[Input]]  # port -> versions, in the order of the pipeline file
