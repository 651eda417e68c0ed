"""What a stage's functions receive besides rows: the config of the step, and its context."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from deskloop.contract.erased import Erased


class StageConfig(BaseModel):
    """Base of every config: frozen, no unknown keys, and errors that never show the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _ignore(done: int, total: int, unit: str) -> None:
    """Discard progress outside a run; a named function, because contexts are pickled for workers."""


@dataclass(frozen=True)
class Context:
    """Everything that a stage's functions receive besides rows and config.

    Attributes:
        step: the step's name in the pipeline.
        seed: the pipeline's seed.
        key: secret bytes for HMACs; empty for stages that do not declare `keyed`.
        configs: stage -> the configs of the steps before this one, of the stages that `Stage.config_of` names.
        artifact: file name to bytes, of a fitted stage.
        families: the ledger's families `(conversation_id, family, split, excluded)`, for the stage that keeps them.
        memo: an SQLite file for outputs that must not be computed twice, such as a neural model's; "": no file.
        erased: the erased people, whose older rows a source must refuse; None: no one was erased.
        sample: maximum number of records that a source reads; None: all.
        progress: a model stage calls it with the number done, the total (0: unknown) and the unit.
    """

    step: str
    seed: int = 0
    key: bytes = b""
    memo: str = ""
    configs: Mapping[str, Sequence[StageConfig]] = field(default_factory=dict)
    artifact: Mapping[str, bytes] = field(default_factory=dict)
    families: pd.DataFrame | None = None
    erased: Erased | None = None
    sample: int | None = None
    progress: Callable[[int, int, str], None] = _ignore

    def rng(self, *parts: object) -> np.random.Generator:
        """Return a generator keyed by (seed, step, parts), equal for any batch size, order and worker (P4)."""
        text = "\x1f".join(map(str, (self.seed, self.step, *parts)))
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))
