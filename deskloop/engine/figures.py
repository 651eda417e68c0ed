"""Evaluations, whose figures are published in the version's details."""

from dataclasses import replace

from deskloop.contract.stage import EvaluationStage
from deskloop.engine.decide import Decision
from deskloop.engine.inputs import Versions, parents_of
from deskloop.engine.publish import describe_output
from deskloop.engine.workspace import Workspace, as_inputs
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Version
from deskloop.store.digest import text_digest


def make_figures(work: Workspace, step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Compute the figures of an evaluation; return the unpublished version."""
    stage = step.stage
    if not isinstance(stage, EvaluationStage):
        raise TypeError(f"the output of step {step.name!r} is not an evaluation")
    run = (work.run_id, work.flow_run_id)
    version = describe_output(step, parents_of(stage, inputs), decision, "evaluation", run)
    details = stage.score(as_inputs(work, inputs), step.config, work.decider.context(step))
    return [replace(version, digest=text_digest(details), details=version.details | details)], decision
