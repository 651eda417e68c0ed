"""The engine: brings a step's output up to date and publishes it. There is one way, whatever the output is.

decide    reuse, extend or compute                              (deskloop.engine.decide)
make      a table, a model's folder, figures, or a promotion    (tables, folders, figures, promotion)
check     ids in = ids out + rejects, digests, expectations     (deskloop.engine.publish)
publish   what the step remembers goes to the ledger, then one commit to the catalog
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
from deskloop.engine.publish import validate
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
    """What a step stands for in this run, and how that was decided."""

    versions: list[Version]
    decision: Decision

    @property
    def reused(self) -> bool:
        """Published before this run, and still right."""
        return self.decision.action == "reuse"

    @property
    def extended(self) -> bool:
        """Only the difference was worked on."""
        return self.decision.action == "extend"


class Engine:
    """Brings the steps of one pipeline up to date in one store.

    Attributes:
        made: step -> what it stands for in this run.
        rebuilt: steps whose damaged tables were rebuilt since this was last emptied.
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
        self.remembered: dict[str, pd.DataFrame] = {}  # for the ledger, once the step's expectations are met

    def run(self, step: Step) -> Made:
        """Bring a step up to date.

        Raises:
            ExpectationError: a critical expectation failed; nothing was published.
            DataError, InputError, StepError: nothing was published.
        """
        self.made[step.name] = self.mended(lambda: self.bring_up(step, self.inputs_of(step)), step)
        return self.made[step.name]

    def inputs_of(self, step: Step) -> Versions:
        """The versions behind each of a step's ports: of this run, or as last published."""
        inputs: dict[str, list[Version]] = {}
        for port, references in step.inputs.items():
            inputs[port] = []
            for reference in references:
                made = self.made.get(reference.step)
                own = [one for one in made.versions if one.dataset == reference.dataset] if made else []
                inputs[port].append(self.catalog.get(own[0].name if own else reference.dataset))
        for port, declared in step.stage.ports.items():
            if declared.role == "champion":
                rivals = [name for name, one in step.stage.ports.items() if one.role == "candidate"]
                inputs[port] = opponent_of(self, [one for name in rivals for one in inputs.get(name, [])])
        return inputs

    def mended(self, function: Callable[[], Result], under_way: Step | None = None) -> Result:
        """Call a function that reads versions; rebuild a damaged one that it comes across, and call it again.

        Args:
            function: resolves the versions that it reads by name, each time: a rebuilt one lies elsewhere.
            under_way: the step that the function brings up to date.
        Raises:
            DamageError: of what cannot be rebuilt.
        """
        while True:
            try:
                return function()
            except DamageError as damage:
                rebuild(self, damage, under_way)

    def bring_up(self, step: Step, inputs: Versions) -> Made:
        """Decide, and make and publish what is not there yet."""
        began = time.monotonic()
        decision = self.decider.decide(step, inputs)
        if decision.action == "reuse":
            return Made(list(decision.versions), decision)
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

    def _publish(self, versions: list[Version], decision: Decision, repaired: bool) -> list[Version]:
        """One commit to the catalog; what was repaired stands again under its old name where it is the same."""
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
        """Rows of a version, sorted by row_id; a damaged table is rebuilt first."""
        return self.mended(lambda: self.read([self.catalog.get(version.name)], columns))

    def read(self, versions: Sequence[Version], columns: Sequence[str] | None) -> pa.Table:
        """Rows of versions together, sorted by row_id so that nothing depends on how a table was built up."""
        tables = [self.store.read(one.zone, one.dataset, one.delta_version, columns) for one in versions]
        joined = pa.concat_tables(tables)
        return joined.sort_by("row_id") if "row_id" in joined.column_names else joined
