"""Models and evaluations as versions: made once under a fingerprint, published in the catalog like any dataset.

A model is a plain Hugging Face folder, `models/<pipeline>/<fingerprint>`. It is trained beside its place, in
`models/.work/<fingerprint>`, where checkpoints survive a kill; one rename puts it there, one commit publishes it.
"""

import hashlib
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from deskloop.catalog import Version
from deskloop.checksums import file_checksum
from deskloop.decide import Decider, Decision
from deskloop.digest import text_digest
from deskloop.engine import Engine
from deskloop.errors import DamageError
from deskloop.recipe import code_digest, library_versions
from deskloop.stage import StageConfig

LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate")
RECORD = "deskloop.json"
FILES = "files"  # in a model's details: its files' checksums
NOT_CHECKED = ("README.md",)


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


def readable(folder: Path) -> None:
    """Give every file of a model's folder the permissions that the umask allows; safetensors' own are 0600."""
    # The umask can only be read by setting it, and that for all threads: a new file tells it as well.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        probe = Path(scratch, "probe")
        probe.touch()
        mode = stat.S_IMODE(probe.stat().st_mode)
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def place_of(version: Version) -> str:
    """How messages name a model's folder."""
    return f"models/{version.dataset}/{version.fingerprint[:16]}"


def file_checksums(folder: Path) -> dict[str, str]:
    """File name -> BLAKE2b-128 of everything in a model's folder but its card, which each judgement writes anew."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_CHECKED]
    return {str(path.relative_to(folder)): file_checksum(path) for path in paths if not path.name.startswith(".card-")}


def folder_problem(root: Path, version: Version) -> str:
    """What is wrong with a model's folder, "" if nothing; reads all of it, about a second for each gigabyte."""
    folder = root / "models" / version.dataset / version.fingerprint[:16]
    if not folder.is_dir():
        return "its folder is missing"
    expected = version.details.get(FILES)
    if expected is None:  # of an earlier deskloop
        return "" if weights_digest(folder) == version.digest else "its weights or tokenizer are others"
    present = file_checksums(folder)
    missing = sorted(expected.keys() - present.keys())
    changed = sorted(name for name in expected.keys() & present.keys() if expected[name] != present[name])
    told = [*(f"{name} is missing" for name in missing), *(f"{name} does not match its checksum" for name in changed)]
    return "; ".join(told)


def check_folder(root: Path, version: Version) -> None:
    """Refuse a model whose folder is not what was published.

    Raises:
        DamageError: names the files.
    """
    problem = folder_problem(root, version)
    if problem:
        raise DamageError(place_of(version), problem)


def weights_digest(folder: Path) -> str:
    """Digest of a model's weights and tokenizer: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("tokenizer.json")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


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
