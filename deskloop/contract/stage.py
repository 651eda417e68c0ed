"""The contract of a stage: what it reads, what it makes, and the functions that do it.

A module in `tasks/` ends in one `STAGE`, which is one of these shapes:

    SourceStage      reads the outside world into the raw zone
    RowStage         works on any batch of rows alone
    FittedStage      fits an artifact on the whole table, then works by row
    TableStage       needs some columns of the whole table at once
    ModelStage       trains or prepares a model in a folder
    EvaluationStage  computes figures
    PromotionStage   decides which model is the champion

The engine does the rest: partitions, rejects, versions, expectations, retries. Stages of other packages are found by
the entry point group `deskloop.stages`.

A stage's functions are pure: they do not change their input and touch no network or clock, and no file but the folders
that they are given. A row to be rejected stays in the result with a reason (a short snake_case word) in the column
`reject`; a row that is missing from the result breaks P7, and the run fails.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from deskloop.contract.erased import Erased
from deskloop.contract.schema import CONVERSATION, RAW_CONVERSATION


class StageConfig(BaseModel):
    """Base of every config: frozen, no unknown keys, and errors that never show the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _not_shown(done: int, total: int, unit: str) -> None:
    """Progress outside of a run; a function with a name, since contexts are sent to workers."""


@dataclass(frozen=True)
class Context:
    """What a stage's functions are given besides input and config.

    Attributes:
        step: the step's name in the pipeline.
        seed: the pipeline's seed.
        key: secret bytes for HMACs; empty for stages that do not declare `keyed`.
        folder: the pipeline file's folder; relative paths in a config start there.
        artifact: file name to bytes, of a fitted stage.
        families: the ledger's families `(conversation_id, family, split, held)`, for the stage that keeps them.
        memo: an SQLite file for outputs that must not be computed twice, as a neural model's; "": nothing is kept.
        erased: whose older rows a source must refuse; None: nobody's.
        sample: how many records a source reads at most; None: all.
        progress: for a model stage, to report how many are done, of how many (0: unknown), of what.
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
    progress: Callable[[int, int, str], None] = _not_shown

    def rng(self, *parts: object) -> np.random.Generator:
        """A generator keyed by (seed, step, parts): the same for any batch size, order and worker (P4)."""
        text = "\x1f".join(map(str, (self.seed, self.step, *parts)))
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


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
        """What the step recorded besides rows: figures, a training's history."""

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows, sorted by row_id."""

    def folder(self) -> Path:
        """A model's folder.

        Raises:
            DamageError: its files do not match their checksums.
        """

    def artifact(self) -> Mapping[str, bytes]:
        """The artifact that it was made with, by file name."""

    def parents(self) -> Sequence["Input"]:
        """The versions it was made from."""


Inputs = Mapping[str, Sequence[Input]]  # port -> versions, in the order of the pipeline file

Run = Callable[[pd.DataFrame, Any, Context], pd.DataFrame]
Fit = Callable[[pd.DataFrame, Any, Context], Mapping[str, bytes]]
Check = Callable[[Any, Context], None]
Equipment = Callable[[Any, Context], Mapping[str, str | None]]
Measure = Callable[[pd.DataFrame, Any, Context], dict[str, Any]]


@dataclass(frozen=True)
class Port:
    """A named input of a stage.

    Attributes:
        kind: `rows` of a table, a `model`'s folder, the `artifact` of a fitted step, or an evaluation's `figures`. An
            artifact alone decides what is made from it, whatever rows came with it.
        split: of a step that routes rows by split, the dataset that is meant.
        fact: what the step must provide, as `input_ids`.
        role: of a model: `base` or `candidate`; `champion` is taken from the registry, not from a step.
        many: takes any number of inputs; by default, all that fit.
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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What every stage declares.

    Attributes:
        name: the verb: file, function, YAML key.
        dataset: name of its output; "": the pipeline's own name, as the model that it is there to make.
        config: its frozen config.
        ports: its inputs, by name.
        check: raises ConfigError or InputError, before any step runs, for what can be told without reading the data: a
            missing file, an unavailable model.
        equipment: what it works with besides Python's packages, such as a program or a local model: name -> version or
            digest. It is part of the recipe. None: it is missing, and the stage goes on without it.
        libraries: distributions whose version is part of the recipe.
        keyed: it is given the key, whose id is part of the recipe.
        suite: module of its expectation suite; "": none.
        report: module with its part of the report; "": none.
        timeout: seconds after which the step has failed; None: no limit.
    """

    name: str
    dataset: str
    config: type[StageConfig]
    ports: Mapping[str, Port] = field(default_factory=lambda: ROWS)
    check: Check | None = None
    equipment: Equipment | None = None
    libraries: tuple[str, ...] = ()
    keyed: bool = False
    suite: str = ""
    report: str = ""
    timeout: float | None = None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with; their code is part of the recipe."""
        return ()


@dataclass(frozen=True, kw_only=True)
class DataStage(Stage):
    """A stage whose output is a table, or one table for each split.

    Attributes:
        needs, provides: columns and facts; a pipeline in which a need is not provided earlier is refused.
        zone: where it reads and where it writes.
        schema: of its rows.
        by_split: rows are routed to one dataset per split (`train`, `validation`, `test`).
        suffix: appended to the split's name in a dataset name, when `by_split`.
        measure: some of the input rows, config -> figures of how well the step works, kept with the version; those at
            the top are facts for its expectations, `told` is said when one of these fails.
    """

    needs: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    zone: tuple[Literal["world", "raw", "clean"], Literal["raw", "clean"]] = ("clean", "clean")
    schema: pa.Schema = CONVERSATION
    by_split: bool = False
    suffix: str = ""
    measure: Measure | None = None


@dataclass(frozen=True, kw_only=True)
class SourceStage(DataStage):
    """A stage that reads the outside world instead of a dataset.

    Attributes:
        inputs: [(name, digest of the bytes)] of everything that `read` would read, in order; cheap beside `read`.
        read: yields frames in the raw schema with two more columns: `reject` (reason or null) and `raw` (the bytes of
            an unreadable record, for the raw quarantine, or null).
    """

    ports: Mapping[str, Port] = field(default_factory=dict)
    zone: tuple[Literal["world", "raw", "clean"], Literal["raw", "clean"]] = ("world", "raw")
    schema: pa.Schema = RAW_CONVERSATION
    keyed: bool = True
    inputs: Callable[[Any, Context], list[tuple[str, str]]]
    read: Callable[[Any, Context], Iterator[pd.DataFrame]]

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.read, self.inputs)


@dataclass(frozen=True, kw_only=True)
class RowStage(DataStage):
    """A stage that works on any batch of rows alone, so that it is parallel and incremental.

    Attributes:
        run: rows, config, context -> the same or more rows.
    """

    run: Run

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.run,)


@dataclass(frozen=True, kw_only=True)
class FittedStage(RowStage):
    """A stage that fits an artifact on the whole table, then works by row with it in `Context.artifact`.

    With the input `artifact`, it takes the artifact of another step of the same stage and fits nothing.

    Attributes:
        fit: rows, config, context -> the artifact.
        refit_growth: refit when the table has grown by this share since the last fit; None: only on request.
        fit_fields: the config fields that `fit` depends on; the artifact is then pinned to them alone, whatever else of
            the recipe changes. None: to the whole recipe, code included.
    """

    ports: Mapping[str, Port] = field(default_factory=lambda: ROWS | ARTIFACT)
    fit: Fit
    refit_growth: float | None = 0.2
    fit_fields: tuple[str, ...] | None = None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.run, self.fit)


@dataclass(frozen=True, kw_only=True)
class TableStage(DataStage):
    """A stage that needs some columns of the whole table at once.

    Attributes:
        run: the columns of all rows, config, context -> one row for each. Of the result the engine takes `reject`, the
            columns that were not read, and those in `provides`; the rest of a row stays as it was.
        columns: that `run` reads.
        remember: for the stage that keeps the ledger's families: result -> rows to remember.
        proof: for the stage that verifies the split: result, config -> counts, kept with the version for the report.
    """

    run: Run
    columns: tuple[str, ...]
    remember: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    proof: Callable[[pd.DataFrame, Any], dict[str, Any]] | None = None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return tuple(one for one in (self.run, self.remember) if one is not None)


@dataclass(frozen=True, kw_only=True)
class ModelStage(Stage):
    """A stage that leaves a Hugging Face folder.

    Attributes:
        role: `base` or `candidate`.
        make: inputs, config, context, folder to make, folder for checkpoints -> what to record. Called again after a
            kill, with the same folder for checkpoints.
        pinned: made once for its options and inputs: code and libraries are no part of its recipe, so that later
            candidates stay comparable.
    """

    role: Literal["base", "candidate"]
    make: Callable[[Inputs, Any, Context, Path, Path], dict[str, Any]]
    pinned: bool = False

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.make,)


@dataclass(frozen=True, kw_only=True)
class EvaluationStage(Stage):
    """A stage that computes figures.

    Attributes:
        score: inputs, config, context -> the figures. Of candidates: `candidates` {name: the version}, `metrics`
            {name: {figure: value}}, `comparisons` [{of, against, difference, low, high, families}].
    """

    score: Callable[[Inputs, Any, Context], dict[str, Any]]

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.score,)


@dataclass(frozen=True, kw_only=True)
class PromotionStage(Stage):
    """A stage that decides which model is the champion; it runs every time, and changes nothing where nothing changed.

    Attributes:
        judge: evaluations by step, each with the candidate's figures under `candidate`; config; whether it was the
            champion once and was replaced -> every gate `{gate, passed, value, threshold, low?, high?}`.
        choose: evaluations by step, config, gates by candidate -> the candidate that is promoted or not.
        decide: gates, config, whether it is the champion -> `promoted`, `already_champion`, `kept` or `blocked`.
        explain: action, gates -> what became of the candidate and why, in a sentence.
        describe: one gate with its figures, for a message.
    """

    judge: Callable[[Mapping[str, Mapping[str, Any]], Any, bool], list[dict[str, Any]]]
    choose: Callable[[Mapping[str, Mapping[str, Any]], Any, Mapping[str, list[dict[str, Any]]]], str]
    decide: Callable[[Sequence[Mapping[str, Any]], Any, bool], str]
    explain: Callable[[str, Sequence[Mapping[str, Any]]], str]
    describe: Callable[[Mapping[str, Any]], str]

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What it computes with."""
        return (self.choose, self.judge, self.decide, self.explain)
