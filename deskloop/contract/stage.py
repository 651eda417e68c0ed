"""The contract of a stage: a pure function, its config, and what it needs and provides.

A stage module in `tasks/` ends in one `STAGE = Stage(...)`. The engine does the rest: partitions, rejects, versions,
expectations. Stages of other packages are found by the entry point group `deskloop.stages`.

The pure function takes `(rows, config, context)` and returns a DataFrame of the same or more rows. It does not change
its input, and touches no file, network or clock. A row that is to be taken out stays in the result with a reason
(a short snake_case word) in the column `reject`; a row that is simply missing from the result breaks P7, and the
engine says so.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from deskloop.contract.erased import Erased
from deskloop.contract.schema import CONVERSATION


class StageConfig(BaseModel):
    """Base of every config: frozen, no unknown keys, and errors that never show the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True)
class Context:
    """What the engine lends to a stage's function besides rows and config.

    Attributes:
        step: the step's name in the pipeline.
        seed: the pipeline's seed.
        key: secret bytes for HMACs; empty for stages that do not declare `keyed`.
        folder: the pipeline file's folder; relative paths in a config start there.
        artifact: file name to bytes, of a fitted stage.
        families: the ledger's families `(conversation_id, family, split, held)`, for the stage that keeps them.
        memo: an SQLite file for outputs that must not be made twice, as a neural model's; "": nothing is kept.
        erased: whose older rows a source must refuse; None: nobody's.
        sample: how many records a source reads at most; None: all.
    """

    step: str
    seed: int = 0
    key: bytes = b""
    folder: str = "."
    memo: str = ""
    artifact: Mapping[str, bytes] = field(default_factory=dict)
    families: pd.DataFrame | None = None
    erased: Erased | None = None
    sample: int | None = None

    def rng(self, *parts: object) -> np.random.Generator:
        """A generator keyed by (seed, step, parts): the same for any batch size, order and worker (P4)."""
        text = "\x1f".join(map(str, (self.seed, self.step, *parts)))
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


Rows = Callable[[pd.DataFrame, Any, Context], pd.DataFrame]
Fit = Callable[[pd.DataFrame, Any, Context], Mapping[str, bytes]]
Check = Callable[[Any, Context], None]
Equipment = Callable[[Any, Context], Mapping[str, str | None]]
Measure = Callable[[pd.DataFrame, Any, Context], dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """The functions of a stage that reads the outside world instead of a dataset.

    Attributes:
        inputs: [(name, digest of the bytes)] of everything that `read` would read, in order; cheap beside `read`.
        read: yields frames in the raw schema with two more columns: `reject` (reason or null) and `raw` (the bytes of
            an unreadable record, for the raw quarantine, or null).
    """

    inputs: Callable[[Any, Context], list[tuple[str, str]]]
    read: Callable[[Any, Context], Iterator[pd.DataFrame]]


@dataclass(frozen=True)
class Stage:
    """One kind of step.

    Attributes:
        name: the verb: file, function, YAML key.
        dataset: name of the dataset it leaves behind; with `by_split`, one dataset for each split.
        config: its frozen config.
        kind: `source` reads the world; `row` works on any batch alone; `fitted` learns an artifact first, then works
            by row; `table` needs the whole table.
        run: the pure function (none for a source).
        check: raises ConfigError or InputError, before any step runs, for what can be told without reading the data: a
            missing file, a model that cannot be had.
        equipment: what it works with besides Python's packages, such as a program or a local model: name -> version or
            digest. It is part of the recipe. None: it is missing, and the stage goes on without it.
        fit: for `fitted`: the function that learns the artifact from the whole table.
        refit_growth: refit when the table has grown by this share since the last fit; None: only on request.
        fit_fields: the config fields that `fit` depends on; the artifact is then pinned to them alone, whatever else of
            the recipe changes. None: to the whole recipe, code included.
        needs, provides: columns and facts; a pipeline in which a need is not provided earlier is refused.
        zone: where it reads and where it writes.
        columns: for `table`: the columns that `run` reads. From its result the engine takes `reject`, the columns that
            were not read, and those in `provides`; the rest of a row stays as it was.
        remember: for the stage that keeps the ledger's families: result -> rows to remember.
        proof: for the stage that proves the split: result, config -> counts, kept with the version for the report.
        measure: some of the parents' rows, config -> figures of how well the step works, kept with the version; those
            at the top are facts for its expectations, `told` is said when one of these fails.
        by_split: rows are routed to one dataset per split (`train`, `validation`, `test`).
        suffix: appended to the split's name in a dataset name, when `by_split`.
        keyed: the key is lent to it, and its id is part of the recipe.
        libraries: distributions whose version is part of the recipe.
    """

    name: str
    dataset: str
    config: type[StageConfig]
    kind: Literal["source", "row", "fitted", "table"]
    run: Rows | None = None
    source: Source | None = None
    check: Check | None = None
    equipment: Equipment | None = None
    fit: Fit | None = None
    refit_growth: float | None = 0.2
    fit_fields: tuple[str, ...] | None = None
    needs: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    zone: tuple[Literal["world", "raw", "clean"], Literal["raw", "clean"]] = ("clean", "clean")
    schema: pa.Schema = CONVERSATION
    columns: tuple[str, ...] = ()
    remember: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    proof: Callable[[pd.DataFrame, Any], dict[str, Any]] | None = None
    measure: Measure | None = None
    by_split: bool = False
    suffix: str = ""
    keyed: bool = False
    libraries: tuple[str, ...] = ()
