"""Models and evaluations as versions: made once under a fingerprint, published in the catalog like any dataset.

A model is a plain Hugging Face folder, `models/<pipeline>/<fingerprint>`. It is trained beside its place, in
`models/.work/<fingerprint>`, where checkpoints survive a kill; one rename puts it there, one commit publishes it.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import DamageError
from deskloop.contract.stage import StageConfig
from deskloop.engine.decide import Decider, Decision
from deskloop.engine.engine import Engine
from deskloop.engine.recipe import code_digest, library_versions
from deskloop.models.folder import FILES, RECORD, file_checksums, folder_problem, place_of, readable, weights_digest
from deskloop.store.catalog import Version
from deskloop.store.digest import text_digest

LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate")


@dataclass(frozen=True)
class Product:
    """A kind of thing that is made from versions but is no table.

    Attributes:
        step: its step in the run (`base`, `finetune`, `evaluate`).
        dataset: its name in the catalog.
        kind: `model` or `evaluation`.
        module: the module that makes it; its code and libraries are part of the recipe. None: pinned, made once.
    """

    step: str
    dataset: str
    kind: str
    module: str | None
    config: StageConfig


def decide(engine: Engine | Decider, product: Product, parents: Sequence[Version], extra: object = None) -> Decision:
    """Reuse or compute; `extra` is whatever else decides what comes out (a base model's id)."""
    recipe = text_digest(
        product.step,
        product.config.model_dump(mode="json"),
        engine.pipeline.settings.seed,
        (library_versions(LIBRARIES), code_digest((product.module,))) if product.module else "pinned",
        extra,
    )
    fingerprint = text_digest(recipe, [parent.digest for parent in parents])
    found = engine.catalog.find(product.step, fingerprint) if product.step not in engine.rebuild else []
    problem = folder_problem(engine.store.root, found[0]) if found and product.kind == "model" else ""
    if problem:
        return Decision("compute", f"{place_of(found[0])} was damaged: {problem}", recipe, "", fingerprint, found)
    if found:
        return Decision("reuse", "nothing it depends on has changed", recipe, "", fingerprint, found)
    last = engine.catalog.latest(product.dataset)
    if last is None:
        why = "first run"
    elif product.step in engine.rebuild:
        why = "rebuild on request"
    else:
        why = "its input has changed" if last.recipe == recipe else "its options, code or libraries have changed"
    return Decision("compute", why, recipe, "", fingerprint)


def make_model(
    engine: Engine,
    product: Product,
    parents: Sequence[Version],
    make: Callable[[Path, Path], dict[str, Any]],
    extra: object = None,
) -> tuple[Version, Decision]:
    """The published model for these parents, made if there is none.

    Args:
        make: (folder to make, folder for checkpoints) -> details to record. Called again after a kill, with the same
            folder for checkpoints.
    """
    decision = decide(engine, product, parents, extra)
    if decision.action == "reuse":
        return decision.versions[0], decision
    began = time.monotonic()
    models = engine.store.root / "models"
    target = models / product.dataset / decision.fingerprint[:16]
    work = models / ".work" / decision.fingerprint[:16]
    damaged = decision.versions[0] if decision.versions else None
    if not target.exists() or product.step in engine.rebuild or damaged:
        # A folder left by a kill between the rename and the publication is whole, and is adopted instead.
        shutil.rmtree(work / "model", ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        details = make(work / "model", work / "checkpoints")
        (work / "model" / RECORD).write_bytes(
            orjson.dumps(details, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        )
        readable(work / "model")
        if damaged and product.module is None and weights_digest(work / "model") != damaged.digest:
            raise DamageError(
                place_of(damaged), f"{decision.why}; making it again gave other weights, on another stack"
            )
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        (work / "model").rename(target)
    details = orjson.loads((target / RECORD).read_bytes()) | {FILES: file_checksums(target)}
    version = _version(engine, product, parents, decision, weights_digest(target), details, began)
    if damaged and damaged.digest == version.digest:
        published = replace(damaged, why=version.why, details=version.details)
        engine.catalog.supersede([published])
    else:
        published = engine.catalog.publish([version])[0]
    shutil.rmtree(work, ignore_errors=True)
    return published, decision


def make_evaluation(
    engine: Engine, product: Product, parents: Sequence[Version], make: Callable[[], dict[str, Any]]
) -> tuple[Version, Decision]:
    """The published evaluation for these parents, made if there is none; its figures are in `details`."""
    decision = decide(engine, product, parents)
    if decision.action == "reuse":
        return decision.versions[0], decision
    began = time.monotonic()
    details = make()
    version = _version(engine, product, parents, decision, text_digest(details), details, began)
    return engine.catalog.publish([version])[0], decision


def model_folder(engine: Engine, version: Version) -> Path:
    """Where a published model lies."""
    return engine.store.root / "models" / version.dataset / version.fingerprint[:16]


def _version(
    engine: Engine,
    product: Product,
    parents: Sequence[Version],
    decision: Decision,
    digest: str,
    details: dict[str, Any],
    began: float,
) -> Version:
    return Version(
        dataset=product.dataset,
        version=0,
        kind=product.kind,
        zone="models",
        step=product.step,
        stage=product.step,
        fingerprint=decision.fingerprint,
        recipe=decision.recipe,
        digest=digest,
        rows=0,
        parents=[parent.as_parent() for parent in parents],
        rows_in=sum(parent.rows for parent in parents),
        why=decision.why,
        seconds=round(time.monotonic() - began, 3),
        run_id=engine.run_id,
        flow_run_id=engine.flow_run_id,
        config=product.config.model_dump(mode="json"),
        libraries=library_versions(LIBRARIES),
        details=details,
    )
