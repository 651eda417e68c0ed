"""The engine brings a step's output up to date and publishes it, in the same way for every kind of output.

decide    reuse, extend or compute                              (deskloop.engine.decide)
make      a table, a model's folder, figures, or a promotion    (tables, folders, figures, promotion)
check     ids in = ids out + rejects, digests, expectations     (deskloop.engine.publish)
publish   families go to the ledger, then one commit to the catalog
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd
import pyarrow as pa

from deskloop.contract.errors import DamageError
from deskloop.contract.progress import show
from deskloop.contract.stage import DataStage, EvaluationStage, ModelStage, PromotionStage, Stage
from deskloop.engine.decide import Decider, Decision
from deskloop.engine.figures import make_figures
from deskloop.engine.folders import clear_checkpoints, make_model
from deskloop.engine.inputs import Versions
from deskloop.engine.partitions import Executor
from deskloop.engine.promotion import make_promotion, opponent_of
from deskloop.engine.publish import declared_by, validate
from deskloop.engine.rebuild import rebuild, revive
from deskloop.engine.tables import make_table
from deskloop.pipeline.pipeline import Pipeline, Step
from deskloop.store import zones
from deskloop.store.catalog import Version
from deskloop.store.store import Store

Result = TypeVar("Result")
Make = Callable[["Engine", Step, Versions, Decision], tuple[list[Version], Decision]]
Announce = Callable[[str, str, list[str], str], bool]  # run id, pipeline, failed gates, report -> whether it was sent
Progress = Callable[[str, int, int, str], None]  # step, how many are done, of how many (0: unknown), of what

MAKERS: Mapping[type[Stage], Make] = {
    DataStage: make_table,
    ModelStage: make_model,
    EvaluationStage: make_figures,
    PromotionStage: make_promotion,
}


@dataclass(frozen=True)
class Made:
    """The versions of a step's output in this run, and the decision that led to them."""

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


class Engine:
    """Brings the steps of one pipeline up to date in one store.

    Attributes:
        made: step -> its output in this run.
        rebuilt: steps whose damaged tables were rebuilt since the caller last cleared this.
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
        self.attempted: set[str] = set()  # damaged tables that this run has tried to rebuild
        self.remembered: dict[str, pd.DataFrame] = {}  # families for the ledger, once the step's expectations are met

    def run(self, step: Step) -> Made:
        """Bring a step up to date.

        Raises:
            ExpectationError: a critical expectation failed; no version was published.
            DataError, InputError, StepError: no version was published.
        """
        self.made[step.name] = self.mended(lambda: self.bring_up(step, self.inputs_of(step)), step)
        return self.made[step.name]

    def inputs_of(self, step: Step) -> Versions:
        """Return the versions for each of a step's ports: of this run, or the last published ones."""
        inputs: dict[str, list[Version]] = {}
        for port, references in step.inputs.items():
            inputs[port] = []
            for reference in references:
                made = self.made.get(reference.step)
                names = [v.name for v in made.versions if v.dataset == reference.dataset] if made else []
                inputs[port].append(self.catalog.get(names[0] if names else reference.dataset))
        ports = step.stage.ports
        for port in (name for name in ports if ports[name].role == "champion"):
            candidates = [v for name in ports if ports[name].role == "candidate" for v in inputs.get(name, [])]
            inputs[port] = opponent_of(self, candidates)
        return inputs

    def mended(self, function: Callable[[], Result], under_way: Step | None = None) -> Result:
        """Call a function that reads versions; if one is damaged, rebuild it and call the function again.

        Args:
            function: resolves the versions that it reads by name on every call, since a rebuilt one is another commit.
            under_way: the step that the function brings up to date.
        Raises:
            DamageError: a version cannot be rebuilt.
        """
        while True:
            try:
                return function()
            except DamageError as damage:
                rebuild(self, damage, under_way)

    def bring_up(self, step: Step, inputs: Versions) -> Made:
        """Decide about a step, and compute and publish its output unless a version is reused."""
        began = time.monotonic()
        decision = self.decider.decide(step, inputs)
        if decision.action == "reuse":
            return self._reused(step, decision)
        make = next(make for shape, make in MAKERS.items() if isinstance(step.stage, shape))
        broken = [name for name in step.tables if name in self.decider.broken]
        zone = step.stage.zone if isinstance(step.stage, DataStage) else ("clean", "clean")
        with zones.for_step(zone, step.name):
            versions, decision = make(self, step, inputs, decision)
            if decision.action == "reuse":
                return Made(versions, decision)
            versions = validate(self.store, step, versions)
            if step.name in self.remembered:
                self.ledger.remember_families(self.remembered.pop(step.name))
            seconds = round(time.monotonic() - began, 3)
            versions = [replace(version, seconds=seconds) for version in versions]
            published = self._publish(versions, decision, bool(broken))
        return Made(published, decision)

    def _reused(self, step: Step, decision: Decision) -> Made:
        """Return published versions; their rows are validated again if `expect` has changed in the pipeline file."""
        versions = list(decision.versions)
        if not isinstance(step.stage, DataStage) or versions[0].details.get("expect", []) == declared_by(step):
            return Made(versions, decision)
        with zones.for_step(step.stage.zone, step.name):
            versions = validate(self.store, step, versions)
        self.catalog.supersede(versions)
        return Made(
            versions, replace(decision, why="only its expectations have changed; its rows were validated again")
        )

    def _publish(self, versions: list[Version], decision: Decision, repaired: bool) -> list[Version]:
        """Publish versions in one commit to the catalog; repaired ones keep their names if their digests match."""
        if repaired:
            return revive(self.catalog, versions)
        old, new = (decision.versions[0] if decision.versions else None), versions[0]
        if new.kind == "model" and old is not None and old.digest == new.digest:
            published = [replace(old, why=new.why, details=new.details)]
            self.catalog.supersede(published)
        else:
            published = self.catalog.publish(versions)
        if new.kind == "model":
            clear_checkpoints(self, new)
        return published

    def table(self, version: Version, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of a version, sorted by row_id; a damaged table is rebuilt first."""
        return self.mended(lambda: self.read([self.catalog.get(version.name)], columns))

    def read(self, versions: Sequence[Version], columns: Sequence[str] | None) -> pa.Table:
        """Read the rows of several versions, sorted by row_id so that the order of commits does not matter."""
        tables = [self.store.read(each.zone, each.dataset, each.delta_version, columns) for each in versions]
        joined = pa.concat_tables(tables)
        return joined.sort_by("row_id") if "row_id" in joined.column_names else joined
