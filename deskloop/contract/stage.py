"""The contract of a stage: what it reads, what it makes, and the functions that do it.

A module in `tasks/` ends in one `STAGE`, which is one of these shapes:

    SourceStage      reads the outside world into the raw zone
    RowStage         works on any batch of rows alone
    FittedStage      fits an artifact on the whole table, then works by row
    TableStage       needs some columns of the whole table at once
    ModelStage       trains or prepares a model in a folder
    EvaluationStage  computes figures
    PromotionStage   decides which model is the champion

The engine does the rest: partitions, rejects, versions, expectations, retries. The entry point group
`deskloop.stages` registers stages of other distributions (docs/stages.md). All that a stage's module needs is
importable from here.

A stage's functions are pure: they do not change their input and use neither network nor clock, and no files outside of
the folders passed to them. A rejected row stays in the result with a reason (a short snake_case word) in the column
`reject`; a row that is missing from the result breaks P7, and the run fails.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from deskloop.contract.context import Context, StageConfig
from deskloop.contract.ports import ARTIFACT, ROWS, Input, Inputs, Port
from deskloop.contract.schema import CONVERSATION, RAW_CONVERSATION

__all__ = [
    "ARTIFACT", "ROWS", "Context", "DataStage", "EvaluationStage", "FittedStage", "Input", "Inputs", "ModelStage",
    "Port", "PromotionStage", "RowStage", "SourceStage", "Stage", "StageConfig", "TableStage",
]  # fmt: skip

Zones = tuple[Literal["world", "raw", "clean"], Literal["raw", "clean"]]
Run = Callable[[pd.DataFrame, Any, Context], pd.DataFrame]
Fit = Callable[[pd.DataFrame, Any, Context], Mapping[str, bytes]]
Check = Callable[[Any, Context], None]
Equipment = Callable[[Any, Context], Mapping[str, str | None]]
Measure = Callable[[pd.DataFrame, Any, Context], dict[str, Any]]


COMPUTING = (
    "read", "inputs", "run", "fit", "measure", "remember", "proof", "make", "score",
    "choose", "judge", "decide", "explain",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What every stage declares.

    Attributes:
        name: the verb: file, function, YAML key.
        dataset: name of its output; "": the pipeline's name, for the model that a pipeline is named after.
        config: its frozen config.
        summary: what it does, in a sentence, for the report and the JSON Schema.
        ports: its inputs, by name.
        check: raises ConfigError or InputError before any step runs, for problems that show without reading the data: a
            missing file, an unavailable model.
        equipment: programs, local models and files that it uses besides Python's packages: name -> version or digest,
            part of the recipe. None: it is not installed, and the stage works without it.
        config_of: stages whose configs, in steps before this one, it also computes with; part of the recipe.
        libraries: distributions whose version is part of the recipe.
        keyed: its context has the key, whose id is part of the recipe.
        suite: module of its expectation suite; every stage that makes a table needs one.
        report: module with its `REPORT` (deskloop.contract.report); "": none.
        timeout: seconds after which the step fails; None: no limit.
    """

    name: str
    dataset: str
    config: type[StageConfig]
    summary: str = ""
    ports: Mapping[str, Port] = field(default_factory=lambda: ROWS)
    check: Check | None = None
    equipment: Equipment | None = None
    config_of: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    keyed: bool = False
    suite: str = ""
    report: str = ""
    timeout: float | None = None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions that it computes with; their code is part of the recipe."""
        functions = (getattr(self, name, None) for name in COMPUTING)
        return tuple(function for function in functions if function is not None)


@dataclass(frozen=True, kw_only=True)
class DataStage(Stage):
    """A stage whose output is a table, or one table for each split.

    Attributes:
        needs, provides: columns and facts; a pipeline in which a need is not provided earlier is refused.
        zone: where it reads and where it writes.
        schema: of its rows.
        by_split: rows are routed to one dataset per split (`train`, `validation`, `test`).
        suffix: appended to the split's name in a dataset name, when `by_split`.
        measure: a sample of the input rows, config, context -> figures of how well the step works, kept with the
            version; those at the top level are facts for its expectations, and the message of one that fails quotes
            `told`.
        words: reason of a reject -> how the report words it; by default, the reason with spaces.
        added, rejected: how the report words the rows that it adds, and its rejects where these are rows that it added
            itself: `copies added`, `copies rejected`.
    """

    needs: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    zone: Zones = ("clean", "clean")
    schema: pa.Schema = CONVERSATION
    by_split: bool = False
    suffix: str = ""
    measure: Measure | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    added: str = ""
    rejected: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceStage(DataStage):
    """A stage that reads the outside world instead of a dataset.

    Attributes:
        inputs: [(name, digest of the bytes)] of everything that `read` would read, in order; much cheaper than `read`.
        read: yields frames in the raw schema with two more columns: `reject` (reason or null) and `raw` (the bytes of
            an unreadable record, for the raw quarantine, or null).
    """

    ports: Mapping[str, Port] = field(default_factory=dict)
    zone: Zones = ("world", "raw")
    schema: pa.Schema = RAW_CONVERSATION
    keyed: bool = True
    inputs: Callable[[Any, Context], list[tuple[str, str]]]
    read: Callable[[Any, Context], Iterator[pd.DataFrame]]


@dataclass(frozen=True, kw_only=True)
class RowStage(DataStage):
    """A stage that works on any batch of rows alone, so that it is parallel and incremental.

    Attributes:
        run: rows, config, context -> the same or more rows.
    """

    run: Run


@dataclass(frozen=True, kw_only=True)
class FittedStage(RowStage):
    """A stage that fits an artifact on the whole table, then works by row with it in `Context.artifact`.

    With the input `artifact`, it uses the artifact of another step of the same stage and fits none.

    Attributes:
        fit: rows, config, context -> the artifact.
        refit_growth: refit when the table has grown by this share since the last fit; None: only on request.
        fit_fields: the config fields that `fit` depends on; the artifact is then pinned to them alone. None: it is
            pinned to the entire recipe, code included.
    """

    ports: Mapping[str, Port] = field(default_factory=lambda: ROWS | ARTIFACT)
    fit: Fit
    refit_growth: float | None = 0.2
    fit_fields: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TableStage(DataStage):
    """A stage that needs some columns of the whole table at once.

    Attributes:
        run: the columns of all rows, config, context -> one row for each. Of the result the engine takes `reject`, the
            columns that were not read, and those in `provides`; the rest of a row stays as it was.
        columns: the columns that `run` reads.
        remember: for the stage that keeps the ledger's families: result -> rows to store in the ledger.
        proof: for the stage that verifies the split: result, config -> counts, kept with the version for the report.
    """

    run: Run
    columns: tuple[str, ...]
    remember: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    proof: Callable[[pd.DataFrame, Any], dict[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelStage(Stage):
    """A stage that leaves a Hugging Face folder.

    Attributes:
        role: `base` or `candidate`.
        make: inputs, config, context, folder to make, folder for checkpoints -> what to record. Called again after a
            kill, with the same folder for checkpoints.
        pinned: made once for its options and inputs; code and libraries are not part of its recipe, so that later
            candidates stay comparable.
    """

    role: Literal["base", "candidate"]
    make: Callable[[Inputs, Any, Context, Path, Path], dict[str, Any]]
    pinned: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluationStage(Stage):
    """A stage that computes figures.

    Attributes:
        score: inputs, config, context -> the figures. Of candidates: `candidates` {name: the version}, `metrics`
            {name: {figure: value}}, `comparisons` [{of, against, difference, low, high, families}].
    """

    score: Callable[[Inputs, Any, Context], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class PromotionStage(Stage):
    """A stage that decides which model is the champion; it runs every time, and is idempotent.

    Attributes:
        judge: evaluations by step, each with the candidate's figures under `candidate`; config; whether the candidate
            is a former champion -> every gate `{gate, passed, value, threshold, low?, high?}`.
        choose: evaluations by step, config, gates by candidate -> the candidate to decide about.
        decide: gates, config, whether it is the champion -> `promoted`, `already_champion`, `kept` or `blocked`.
        explain: action, gates -> the decision and its reason, in a sentence.
        describe: a gate -> its figures, for a message.
    """

    judge: Callable[[Mapping[str, Mapping[str, Any]], Any, bool], list[dict[str, Any]]]
    choose: Callable[[Mapping[str, Mapping[str, Any]], Any, Mapping[str, list[dict[str, Any]]]], str]
    decide: Callable[[Sequence[Mapping[str, Any]], Any, bool], str]
    explain: Callable[[str, Sequence[Mapping[str, Any]]], str]
    describe: Callable[[Mapping[str, Any]], str]
