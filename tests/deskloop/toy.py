"""A toy pipeline for the engine's tests: real store, catalog, ledger and expectations, trivial stages."""

import json
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import ConfigError
from deskloop.contract.paths import LocalPath, written
from deskloop.contract.schema import RAW_CONVERSATION, conversations
from deskloop.contract.stage import Context, DataStage, RowStage, SourceStage, StageConfig, TableStage
from deskloop.engine import expect
from deskloop.engine.engine import Engine
from deskloop.engine.partitions import Executor, Inline
from deskloop.pipeline.load import load_pipeline
from deskloop.pipeline.pipeline import Pipeline
from deskloop.store.store import Store
from deskloop.store.zones import allow_raw


class LogConfig(StageConfig):
    path: Annotated[str, LocalPath()]


def _check(config: LogConfig, context: Context) -> None:
    if not Path(config.path).exists():
        raise ConfigError(f"{written(config.path)} does not exist")


def _inputs(config: LogConfig, context: Context) -> list[tuple[str, str]]:
    return [(written(config.path), Path(config.path).read_text())]


def _read(config: LogConfig, context: Context) -> Iterator[pd.DataFrame]:
    rows: dict[str, str] = json.loads(Path(config.path).read_text())
    turns = {key: [{"role": "customer", "text": text}, {"role": "agent", "text": "ok"}] for key, text in rows.items()}
    frame = conversations([{"conversation_id": key, "turns": turn} for key, turn in turns.items()], RAW_CONVERSATION)
    broken = [text == "broken" for text in rows.values()]
    yield frame.assign(
        reject=["bad_turns" if one else None for one in broken], raw=[b"{" if one else None for one in broken]
    )


class UpperConfig(StageConfig):
    longest: int = 100


seen: list[str] = []


def upper(rows: pd.DataFrame, config: UpperConfig, context: Context) -> pd.DataFrame:
    seen.extend(rows["row_id"])
    texts = [[{**turn, "text": turn["text"].upper()} for turn in turns] for turns in rows["turns"]]
    reject = ["too_long" if len(turns[0]["text"]) > config.longest else None for turns in rows["turns"]]
    return rows.assign(turns=texts, reject=pd.Series(reject, dtype=object, index=rows.index))


def assign(rows: pd.DataFrame, config: StageConfig, context: Context) -> pd.DataFrame:
    known = dict(zip(context.families["conversation_id"], context.families["split"], strict=True))  # type: ignore[index]
    cycle = ["train", "train", "validation", "test"]
    split = [known.get(one, cycle[len(one) % 4]) for one in rows["conversation_id"]]
    return rows.assign(family=rows["conversation_id"], split=split, reject=None, excluded=False)


def remember(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["conversation_id", "family", "split", "excluded"]]


def copies(rows: pd.DataFrame, config: StageConfig, context: Context) -> pd.DataFrame:
    """Two windows of every longer conversation."""
    out = []
    for row in rows.to_dict("records"):
        long = len(row["turns"][0]["text"]) > 3
        out += [{**row, "row_id": f"{row['row_id']}/w{n}"} for n in (1, 2)] if long else [row]
    return pd.DataFrame(out, columns=rows.columns)


LOG = SourceStage(
    name="log", dataset="logged", suite="expectations.logged", config=LogConfig, inputs=_inputs, read=_read,
    check=_check, keyed=False, provides=frozenset({"turns"}),
)  # fmt: skip
UPPER = RowStage(
    name="upper", dataset="uppered", suite="expectations.uppered", config=UpperConfig, run=upper, zone=("raw", "clean")
)
ASSIGN = TableStage(
    name="assign", dataset="assigned", suite="expectations.assigned", config=StageConfig, run=assign,
    columns=("row_id", "conversation_id"), provides=frozenset({"split"}), remember=remember,
)  # fmt: skip
COPY = RowStage(
    name="copy", dataset="copied", suite="expectations.copied", config=StageConfig, run=copies, by_split=True,
    suffix="_copied", needs=frozenset({"split"}),
)  # fmt: skip
STAGES: dict[str, DataStage] = {stage.name: stage for stage in (LOG, UPPER, ASSIGN, COPY)}


def suites(monkeypatch: Any) -> None:
    """Expectation suites for the toy datasets: row ids are unique."""
    gxe = expect.great_expectations().expectations
    for stage in STAGES.values():
        module = ModuleType(f"expectations.{stage.dataset}")
        module.measure = lambda table: table.select(["row_id"])  # type: ignore[attr-defined]
        unique = gxe.ExpectColumnValuesToBeUnique(column="row_id", severity="critical", description="ids are unique")
        module.suite = lambda unique=unique: [unique]  # type: ignore[attr-defined]
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Toy:
    """A toy pipeline in a folder, run again and again."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.folder, self.workers = folder, workers
        self.executor: Executor = Inline()
        self.settings: dict[str, Any] = {"name": "toy", "store": "store", "partition_rows": 2}

    def write(self, rows: dict[str, str]) -> None:
        (self.folder / "log.json").write_text(json.dumps(rows))

    def pipeline(self, **options: Any) -> Pipeline:
        return self.load({"upper": options})

    def load(self, upper: dict[str, Any]) -> Pipeline:
        steps = [{"log": {"path": "log.json"}}, upper, "assign", "copy"]
        file = self.folder / "pipeline.yaml"
        file.write_text(json.dumps({**self.settings, "steps": steps}))
        return load_pipeline(file, STAGES)

    def engine(self, rebuild: bool = False, **options: Any) -> Engine:
        pipeline = self.pipeline(**options)
        store = Store(pipeline.store)
        store.prepare()
        again = [step.name for step in pipeline.steps[1:]] if rebuild else []
        return Engine(pipeline, store, self.executor, "run", rebuild=again)

    def run(self, **options: Any) -> dict[str, tuple[str, list[Any]]]:
        """Step -> (what was decided, versions)."""
        seen.clear()
        engine = self.engine(**options)
        results = {}
        for step in engine.pipeline.steps:
            made = engine.run(step)
            results[step.name] = (made.decision.action, made.versions)
        return results


def digests(results: dict[str, tuple[str, list[Any]]]) -> dict[str, str]:
    return {version.dataset: version.digest for _, versions in results.values() for version in versions}


def rows(toy: Toy, version: Any) -> pa.Table:
    store = Store(toy.folder / "store")
    with allow_raw("test"):
        return store.read(version.zone, version.dataset, version.delta_version).sort_by("row_id")
