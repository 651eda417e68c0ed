"""Models: Hugging Face folders, trained in a working folder, moved by one rename and published by one commit.

models/<dataset>/<fingerprint>     the model's folder
models/.work/<fingerprint>         its checkpoints, which remain if the process is killed
"""

import shutil
from dataclasses import replace
from functools import partial

import orjson

from deskloop.contract.errors import DamageError
from deskloop.contract.hub import weights_digest
from deskloop.contract.stage import ModelStage
from deskloop.engine.decide import Decision
from deskloop.engine.inputs import Versions, parents_of
from deskloop.engine.publish import describe_output
from deskloop.engine.workspace import Workspace, as_inputs
from deskloop.models.folder import FILES, RECORD, file_checksums, folder_of, place_of, readable
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Version


def make_model(work: Workspace, step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Train or prepare a model; return the unpublished version.

    If a process was killed between the rename and the publication, the folder is complete and is reused.

    Raises:
        DamageError: a pinned model was damaged, and a rebuild gave other weights.
    """
    stage = step.stage
    if not isinstance(stage, ModelStage):
        raise TypeError(f"the output of step {step.name!r} is not a model")
    root, damaged = work.store.root, decision.versions[0] if decision.versions else None
    version = describe_output(step, parents_of(stage, inputs), decision, "model", (work.run_id, work.flow_run_id))
    target, folder = folder_of(root, version), root / "models" / ".work" / version.fingerprint[:16]
    if not target.exists() or step.name in work.decider.rebuild or damaged:
        new = folder / "model"
        shutil.rmtree(new, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        context = replace(work.decider.context(step), progress=partial(work.progress, step.name))
        details = stage.make(as_inputs(work, inputs), step.config, context, new, folder / "checkpoints")
        (new / RECORD).write_bytes(orjson.dumps(details, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
        readable(new)
        if damaged and stage.pinned and weights_digest(new) != damaged.digest:
            problem = f"{decision.why}; a rebuild on this software and hardware gave other weights"
            raise DamageError(place_of(damaged), problem)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.rename(target)
    details = orjson.loads((target / RECORD).read_bytes()) | {FILES: file_checksums(target)}
    return [replace(version, digest=weights_digest(target), details=version.details | details)], decision


def clear_checkpoints(work: Workspace, version: Version) -> None:
    """Delete the checkpoints of a model that is published."""
    shutil.rmtree(work.store.root / "models" / ".work" / version.fingerprint[:16], ignore_errors=True)
