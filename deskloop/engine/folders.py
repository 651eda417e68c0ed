"""Models: Hugging Face folders, trained in a working folder, moved by one rename and published by one commit.

models/<dataset>/<fingerprint>     the model's folder
models/.work/<fingerprint>         its checkpoints, which remain if the process is killed
"""

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from deskloop.contract.errors import DamageError
from deskloop.contract.hub import weights_digest
from deskloop.contract.stage import ModelStage
from deskloop.engine.decide import Decision
from deskloop.engine.inputs import Versions, as_inputs, parents_of
from deskloop.engine.publish import describe_output
from deskloop.models.folder import FILES, RECORD, file_checksums, folder_of, place_of, readable
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Version

if TYPE_CHECKING:
    from deskloop.engine.engine import Engine


def make_model(engine: "Engine", step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Train or prepare a model; return the unpublished version.

    If a process was killed between the rename and the publication, the folder is complete and is reused.

    Raises:
        DamageError: a pinned model was damaged, and a rebuild gave other weights.
    """
    stage = step.stage
    if not isinstance(stage, ModelStage):
        raise TypeError(f"the output of step {step.name!r} is not a model")
    root, damaged = engine.store.root, decision.versions[0] if decision.versions else None
    version = describe_output(step, parents_of(stage, inputs), decision, "model", (engine.run_id, engine.flow_run_id))
    target, work = folder_of(root, version), root / "models" / ".work" / version.fingerprint[:16]
    if not target.exists() or step.name in engine.decider.rebuild or damaged:
        new = work / "model"
        shutil.rmtree(new, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        context = replace(engine.decider.context(step), progress=partial(engine.progress, step.name))
        details = stage.make(as_inputs(engine, inputs), step.config, context, new, work / "checkpoints")
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


def clear_checkpoints(engine: "Engine", version: Version) -> None:
    """Delete the checkpoints of a model that is published."""
    shutil.rmtree(engine.store.root / "models" / ".work" / version.fingerprint[:16], ignore_errors=True)
