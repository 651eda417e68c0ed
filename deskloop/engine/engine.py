"""The engine brings a step's output up to date and publishes it, in the same way for every kind of output.

decide    reuse, extend or compute                              (deskloop.engine.decide)
make      a table, a model's folder, figures, or a promotion    (tables, folders, figures, promotion)
check     ids in = ids out + rejects, digests, expectations     (deskloop.engine.publish)
publish   families go to the ledger, then one commit to the catalog
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from deskloop.contract.errors import DamageError
from deskloop.contract.stage import DataStage, EvaluationStage, ModelStage, PromotionStage, Stage
from deskloop.engine.decide import Decision
from deskloop.engine.figures import make_figures
from deskloop.engine.folders import clear_checkpoints, make_model
from deskloop.engine.inputs import Versions
from deskloop.engine.promotion import make_promotion, opponent_of
from deskloop.engine.publish import declared_by, validate
from deskloop.engine.rebuild import revive
from deskloop.engine.tables import make_table
from deskloop.engine.workspace import Made, Workspace
from deskloop.pipeline.pipeline import Step
from deskloop.store import zones
from deskloop.store.catalog import Version

Make = Callable[[Workspace, Step, Versions, Decision], tuple[list[Version], Decision]]

MAKERS: Mapping[type[Stage], Make] = {
    DataStage: make_table,
    ModelStage: make_model,
    EvaluationStage: make_figures,
    PromotionStage: make_promotion,
}


class Engine(Workspace):
    """Brings the steps of one pipeline up to date in one store."""

    def run(self, step: Step, resolve: Callable[[], Versions] | None = None) -> Made:
        """Bring a step up to date: decide, and unless a version is reused, compute, check and publish its output.

        A damaged version that the step reads is rebuilt, and the step starts again.

        Args:
            resolve: returns the versions to read; None: those of this run, or the last published ones.
        Raises:
            DamageError: a damaged version cannot be rebuilt.
            ExpectationError: a critical expectation failed; no version was published.
            DataError, InputError, StepError: no version was published.
        """
        began, made = time.monotonic(), None
        while made is None:
            try:
                inputs = self.inputs_of(step) if resolve is None else resolve()
                decision = self.decider.decide(step, inputs)
                if decision.action == "reuse":
                    made = self._reused(step, decision)
                    break
                make = next(make for shape, make in MAKERS.items() if isinstance(step.stage, shape))
                repaired = any(name in self.decider.broken for name in step.tables)
                zone = step.stage.zone if isinstance(step.stage, DataStage) else ("clean", "clean")
                with zones.for_step(zone, step.name):
                    versions, decision = make(self, step, inputs, decision)
                    if decision.action != "reuse":
                        versions = self._publish(step, versions, decision, repaired, time.monotonic() - began)
                made = Made(versions, decision)
            except DamageError as damage:
                self.rebuild(damage, step)
        self.made[step.name] = made
        return made

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

    def rebuild(self, damage: DamageError, under_way: Step | None = None) -> None:
        """Run the step that produced a damaged table again.

        Args:
            under_way: the step that found the damage, which starts again by itself; None outside a step.
        Raises:
            DamageError: no step can rebuild the table, or this run has tried to before.
        """
        steps = [step for step in self.pipeline.steps if damage.name in step.tables]
        if damage.zone != "clean" or not steps or damage.name in self.attempted:
            raise damage
        self.attempted.add(damage.name)
        self.decider.broken[damage.name] = damage.problem
        (step,) = steps
        if step is under_way:
            return
        # This run may reuse an earlier version than the latest; before a run it is the latest.
        made = self.made.get(step.name)
        version = made.versions[0] if made else self.catalog.latest(next(iter(step.datasets.values())))
        if version is None:
            raise damage
        if not all(self._inputs_behind(step, version).values()):  # without an artifact, the step would fit another
            raise damage
        self.rebuilt[step.name] = self.run(step, lambda: self._inputs_behind(step, version))

    def _inputs_behind(self, step: Step, version: Version) -> Versions:
        """Return the versions that a published version was computed from, including one read for its artifact."""
        parents = [self.catalog.find_name(parent.name) for parent in version.parents]
        inputs = {"rows": [parent for parent in parents if parent is not None]}
        for port, references in step.inputs.items():
            if references and step.stage.ports[port].kind == "artifact":
                sources = [v for ref in references for v in self.catalog.versions if v.dataset == ref.dataset]
                inputs[port] = [source for source in sources if source.artifact == version.artifact][-1:]
        return inputs

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

    def _publish(
        self, step: Step, versions: list[Version], decision: Decision, repaired: bool, seconds: float
    ) -> list[Version]:
        """Check versions and publish them in one commit to the catalog.

        Args:
            repaired: a damaged table was rebuilt; versions with the same digests as before keep their names.
            seconds: how long the step took.
        """
        versions = validate(self.store, step, versions)
        if step.name in self.remembered:
            self.ledger.remember_families(self.remembered.pop(step.name))
        versions = [replace(version, seconds=round(seconds, 3)) for version in versions]
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
