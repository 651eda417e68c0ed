"""The model part: the base made or fetched, fine-tuned on the encoded training split, judged on the test split."""

from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from deskloop.catalog import Version
from deskloop.conclude import conclude
from deskloop.config import Pipeline
from deskloop.engine import Engine
from deskloop.errors import ConfigError
from deskloop.models import Product, make_evaluation, make_model, model_folder, weights_digest
from deskloop.progress import tick
from deskloop.session import Run, current, guarded_step
from flows.opened import opened
from tasks.evaluate.compare import evaluate
from tasks.evaluate.config import EvaluateConfig
from tasks.finetune import FinetuneConfig, prepare_base
from tasks.finetune import finetune as finetune_model


@task(task_run_name="base", cache_policy=NO_CACHE, persist_result=False)
def base_task(run_id: str, encoded: list[str]) -> str:
    """Make the base, or fetch it, with a token for every placeholder; pinned under its tokenizer."""
    run = current(run_id)
    product = Product("base", "base", "model", None, FinetuneConfig(base=_base(run)))

    def make(out: Path, work: Path) -> dict[str, Any]:
        prepare_base(_base(run), _tokenizer(run.engine, encoded), out, run.pipeline.settings.seed)
        return {"base": _base(run)}

    with guarded_step(run, "base"):
        own = weights_digest(Path(_base(run))) if Path(_base(run)).is_dir() else ""
        tokenizer = run.versions(encoded)[0].artifact
        version, decision = make_model(run.engine, product, [], make, extra=[tokenizer, own])
    return run.record("base", [version], decision)[0]


@task(task_run_name="finetune", cache_policy=NO_CACHE, persist_result=False)
def finetune_task(run_id: str, base: str, encoded: list[str]) -> str:
    """Train the candidate; goes on from its last checkpoint if it was killed."""
    run = current(run_id)
    config = cast(FinetuneConfig, run.pipeline.sections["finetune"])
    product = Product("finetune", run.pipeline.settings.name, "model", "tasks.finetune", config)
    (start,), data = run.versions([base]), {one.dataset: one for one in run.versions(encoded)}
    train, validation, _ = data.values()

    def make(out: Path, work: Path) -> dict[str, Any]:
        return finetune_model(
            run.engine.table(train),
            run.engine.table(validation),
            _tokenizer(run.engine, encoded),
            str(model_folder(run.engine, start)),
            config,
            run.pipeline.settings.seed,
            out,
            work,
            _show,
        )

    with guarded_step(run, "finetune"):
        version, decision = make_model(run.engine, product, [start, train, validation], make)
    return run.record("finetune", [version], decision)[0]


@task(task_run_name="evaluate", cache_policy=NO_CACHE, persist_result=False)
def evaluate_task(run_id: str, base: str, candidate: str, encoded: list[str]) -> str:
    """Judge base and candidate on the test split, next to a unigram and a bigram model, and let both reply."""
    run = current(run_id)
    config = cast(EvaluateConfig, run.pipeline.sections["evaluate"])
    product = Product("evaluate", "evaluation", "evaluation", "tasks.evaluate.compare", config)
    models: list[Version] = run.versions([base, candidate])
    train, _, test = run.versions(encoded)

    def make() -> dict[str, Any]:
        folders = {name: model_folder(run.engine, one) for name, one in zip(("base", "candidate"), models, strict=True)}
        seed = run.pipeline.settings.seed
        return evaluate(folders, run.engine.table(train), run.engine.table(test), config, seed)

    with guarded_step(run, "evaluate"):
        version, decision = make_evaluation(run.engine, product, [*models, train, test], make)
    return run.record("evaluate", [version], decision)[0]


def finetune_steps(run_id: str, encoded: list[str], until: str | None = None) -> None:
    """Bring base, candidate and evaluation up to date with the encoded datasets (train, validation, test)."""
    base = base_task(run_id, encoded)
    candidate = finetune_task(run_id, base, encoded)
    if until != "finetune":
        evaluate_task(run_id, base, candidate, encoded)


@flow(flow_run_name="finetune {pipeline}", persist_result=False)
def finetune(pipeline: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Fine-tune on the datasets as last published; returns the run's document."""
    with opened(pipeline, overrides) as run:
        check_encoded(run.pipeline)
        last = run.pipeline.steps[-1]
        finetune_steps(run.id, [run.engine.catalog.get(name).name for name in last.datasets.values()])
        return conclude(run)


def check_encoded(pipeline: Pipeline) -> None:
    """Refuse a pipeline whose last step leaves nothing that a model could be trained on.

    Raises:
        ConfigError: says which step is missing.
    """
    last = pipeline.steps[-1]
    if "input_ids" not in last.stage.provides:
        raise ConfigError(f"steps: ends in {last.name!r}; to fine-tune, end it in `encode`", str(pipeline.file))


def _base(run: Run) -> str:
    """The base of the finetune section; a relative folder starts at the pipeline file."""
    base = cast(FinetuneConfig, run.pipeline.sections["finetune"]).base
    local = run.pipeline.folder / base
    return str(local) if base != "tiny" and local.is_dir() else base


def _tokenizer(engine: Engine, encoded: list[str]) -> dict[str, bytes]:
    return engine.ledger.files(engine.catalog.get(encoded[0]).artifact)


def _show(progress: dict[str, Any]) -> None:
    loss = f"  loss {progress['loss']:.3f}" if progress.get("loss") is not None else ""
    tick(f"  finetune: step {progress['step']:,} of {progress['steps']:,}{loss}")
