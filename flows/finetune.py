"""The model part: the base made or fetched, fine-tuned on the encoded training split; then judged (flows.judge)."""

from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from deskloop.contract.errors import ConfigError
from deskloop.contract.progress import tick
from deskloop.engine.engine import Engine
from deskloop.engine.models import make_model, model_folder
from deskloop.pipeline.load import Pipeline
from deskloop.report.write import conclude
from deskloop.run.session import current, guarded_step
from flows.judge import evaluate_task, promote_task
from flows.opened import opened
from flows.results import Withheld
from tasks.finetune import FinetuneConfig, prepare_base
from tasks.finetune import finetune as finetune_model
from tasks.finetune.products import base_of, base_product, model_product


@task(task_run_name="base", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def base_task(run_id: str, encoded: list[str]) -> str:
    """Make the base, or fetch it, with a token for every placeholder; pinned under its tokenizer."""
    run = current(run_id)
    base = base_of(run.pipeline)

    def make(out: Path, work: Path) -> dict[str, Any]:
        prepare_base(base, _tokenizer(run.engine, encoded), out, run.pipeline.settings.seed)
        return {"base": base}

    with guarded_step(run, "base"):
        product, extra = base_product(run.pipeline, run.versions(encoded)[0].artifact)
        version, decision = make_model(run.engine, product, [], make, extra)
    return run.record("base", [version], decision)[0]


@task(task_run_name="finetune", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def finetune_task(run_id: str, base: str, encoded: list[str]) -> str:
    """Train the candidate; goes on from its last checkpoint if it was killed."""
    run = current(run_id)
    config = cast(FinetuneConfig, run.pipeline.sections["finetune"])
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
        version, decision = make_model(run.engine, model_product(run.pipeline), [start, train, validation], make)
    return run.record("finetune", [version], decision)[0]


def finetune_steps(run_id: str, encoded: list[str], until: str | None = None) -> None:
    """Bring base, candidate and evaluation up to date with the encoded datasets (train, validation, test)."""
    base = base_task(run_id, encoded)
    candidate = finetune_task(run_id, base, encoded)
    if until == "finetune":
        return
    evaluation = evaluate_task(run_id, base, candidate, encoded)
    if until != "evaluate":
        promote_task(run_id, candidate, evaluation, encoded)


@flow(flow_run_name="finetune {pipeline}", persist_result=False, result_serializer=Withheld())
def finetune(pipeline: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Fine-tune on the datasets as last published; returns the run's document."""
    with opened(pipeline, overrides, begin="finetune", training=True) as run:
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


def _tokenizer(engine: Engine, encoded: list[str]) -> dict[str, bytes]:
    return engine.ledger.files(engine.catalog.get(encoded[0]).artifact)


def _show(progress: dict[str, Any]) -> None:
    loss = f"  loss {progress['loss']:.3f}" if progress.get("loss") is not None else ""
    tick(f"  finetune: step {progress['step']:,} of {progress['steps']:,}{loss}")
