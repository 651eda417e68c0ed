"""The plan of a run: the decision about each step, without running it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deskloop.contract.stage import PromotionStage
from deskloop.engine.engine import Engine
from deskloop.engine.partitions import Inline
from deskloop.engine.publish import declared_by
from deskloop.engine.workspace import Made
from deskloop.pipeline.pipeline import Pipeline, Step
from deskloop.store.catalog import Version
from deskloop.store.store import Store


def plan(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Decide about every step from the published versions; reads digests of inputs and the code, no rows.

    Returns:
        One dict per step: step, inputs (names of earlier steps), action (reuse, extend, compute, decide, unknown), why,
        versions (that would be reused). `unknown`: an earlier step would run, so that the step's inputs are not known
        and it may still be reused.
    """
    store = Store(pipeline.store)
    store.prepare()
    engine = Engine(pipeline, store, Inline(), "plan")
    return [_entry(engine, step) for step in pipeline.steps]


def _entry(engine: Engine, step: Step) -> dict[str, Any]:
    """Return the decision about one step, and record the versions of a reused step in the engine."""
    read = list(dict.fromkeys(reference.step for reference in step.references))
    unknown = [name for name in read if name not in engine.made]
    if unknown:
        why = f"depends on the output of {', '.join(unknown)}; reused if its digest stays the same"
        return _row(step, read, "unknown", why)
    if isinstance(step.stage, PromotionStage):
        return _row(step, read, "decide", "promotion is decided in every run")
    decision = engine.decider.decide(step, engine.inputs_of(step))
    if decision.action == "reuse":
        engine.made[step.name] = Made(list(decision.versions), decision)
        if decision.versions[0].details.get("expect", []) != declared_by(step):
            decision = replace(decision, why="only its expectations have changed; its rows will be validated again")
    return _row(step, read, decision.action, decision.why, decision.versions if decision.action != "compute" else ())


def _row(step: Step, inputs: Sequence[str], action: str, why: str, versions: Sequence[Version] = ()) -> dict[str, Any]:
    names = [version.name for version in versions]
    return {"step": step.name, "inputs": list(inputs), "action": action, "why": why, "versions": names}
