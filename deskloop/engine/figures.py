"""Evaluations, whose figures are published in the version's details."""

from dataclasses import replace
from typing import TYPE_CHECKING

from deskloop.contract.stage import EvaluationStage
from deskloop.engine.decide import Decision
from deskloop.engine.inputs import Versions, as_inputs, parents_of
from deskloop.engine.publish import describe_output
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Version
from deskloop.store.digest import text_digest

if TYPE_CHECKING:
    from deskloop.engine.engine import Engine


def make_figures(engine: "Engine", step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Compute the figures of an evaluation; return the unpublished version."""
    stage = step.stage
    if not isinstance(stage, EvaluationStage):
        raise TypeError(f"the output of step {step.name!r} is not an evaluation")
    run = (engine.run_id, engine.flow_run_id)
    version = describe_output(step, parents_of(stage, inputs), decision, "evaluation", run)
    details = stage.score(as_inputs(engine, inputs), step.config, engine.decider.context(step))
    return [replace(version, digest=text_digest(details), details=version.details | details)], decision
