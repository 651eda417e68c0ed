"""The end of the model part: the candidate is judged beside base and champion, and takes its place or not."""

from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from deskloop.contract.errors import DataError
from deskloop.contract.schema import ENCODED, to_frame, to_table
from deskloop.contract.stage import Context
from deskloop.engine.engine import Engine
from deskloop.engine.models import Product, make_evaluation, model_folder
from deskloop.models import CHAMPION, Model, Registry
from deskloop.models.card import card, write_card
from deskloop.models.folder import check_folder
from deskloop.report import tallies
from deskloop.run.notify import gate_blocked
from deskloop.run.session import Run, current, guarded_step
from deskloop.store.catalog import Version
from flows.results import Withheld
from tasks.encode import encode
from tasks.encode import tokenizer as tokenizer_module
from tasks.evaluate.compare import evaluate
from tasks.evaluate.config import EvaluateConfig
from tasks.finetune.products import base_of
from tasks.promote import PromoteConfig, decide, judge, sentence, told


@task(task_run_name="evaluate", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def evaluate_task(run_id: str, base: str, candidate: str, encoded: list[str]) -> str:
    """Judge base, candidate and champion on the test split, next to two count models, and let all reply."""
    run = current(run_id)
    config = cast(EvaluateConfig, run.pipeline.sections["evaluate"])
    product = Product("evaluate", "evaluation", "evaluation", "tasks.evaluate.compare", config)
    train, _, test = run.versions(encoded)
    models = dict(zip(("base", "candidate"), run.versions([base, candidate]), strict=True))
    with guarded_step(run, "evaluate"):
        opponent = _opponent(run, models["candidate"])
        if opponent is not None:
            run.judged["champion"] = opponent
            models["champion"] = _published(run.engine, opponent)
            check_folder(run.store.root, models["champion"])
            _check_unseen(run.engine, opponent, models["champion"], test)

        def make() -> dict[str, Any]:
            folders = {name: model_folder(run.engine, one) for name, one in models.items()}
            own = {} if opponent is None else {"champion": _in_tokens_of(run, opponent.folder, test)}
            tables = {name: table for name, table in own.items() if table is not None}
            train_rows, test_rows = run.engine.table(train), run.engine.table(test)
            return evaluate(folders, train_rows, test_rows, config, run.pipeline.settings.seed, tables)

        version, decision = make_evaluation(run.engine, product, [*models.values(), train, test], make)
    return run.record("evaluate", [version], decision)[0]


@task(task_run_name="promote", cache_policy=NO_CACHE, persist_result=False, result_serializer=Withheld())
def promote_task(run_id: str, candidate: str, evaluation: str, encoded: list[str]) -> None:
    """Register the candidate, and promote it if it passes every gate; one write moves all that belongs to it."""
    run = current(run_id)
    config = cast(PromoteConfig, run.pipeline.sections["promote"])
    registry, name = Registry(run.store.root), run.pipeline.settings.name
    with guarded_step(run, "promote"):
        (version,), (found,) = run.versions([candidate]), run.versions([evaluation])
        model = _register(run, registry, version, found, encoded)
        in_use = CHAMPION in model.aliases
        gates = judge(found.details, config, taken_out=not in_use and model.promoted_at is not None)
        action = decide(gates, config, in_use)
        why = sentence(action, gates)
        if not in_use:
            write_card(model.folder, _card(run, version, found, gates, encoded))
            model = registry.note_decision(model, why)
        if action == "promoted":
            model = registry.promote(name, model.version, f"run {run.id}")
        if action in ("kept", "blocked"):
            _announce(run, registry, model, [gate for gate in gates if not gate["passed"]])
        run.judged["model"] = model
        run.judged["decision"] = {"promoted": action == "promoted", "action": action, "why": why, "gates": gates}
    run.say(f"  {'promote':<12} {why}")


def _announce(run: Run, registry: Registry, model: Model, failed: list[dict[str, Any]]) -> None:
    """One message for a candidate and its failed gates, however often a schedule judges it again; none for a sample.

    It is noted after it has been sent: killed in between, the next run sends it again.
    """
    names = tuple(sorted(gate["gate"] for gate in failed))
    if not names or names in model.announced or run.pipeline.sample is not None:
        return
    page = run.store.root / "reports" / run.id / "index.html"
    if gate_blocked(run.id, run.pipeline.settings.name, list(map(told, failed)), str(page)):
        registry.note_announced(model, names)


def _register(run: Run, registry: Registry, version: Version, evaluation: Version, encoded: list[str]) -> Model:
    """The candidate in the registry; what is there already, judged by the same evaluation, stays as it is."""
    for model in registry.models(version.dataset):
        if model.fingerprint == version.fingerprint and model.evaluation == evaluation.name:
            return model
    data = {one.dataset: one.name for one in run.versions(encoded)}
    data |= {parent.dataset: parent.name for parent in run.versions(encoded)[0].parents}
    return registry.register(
        version,
        model_folder(run.engine, version),
        metrics=evaluation.details["metrics"]["candidate"],
        parameters=version.config,
        history=version.details["history"],
        data=data,
        evaluation=evaluation.name,
        report=run.id,
    )


def _card(run: Run, version: Version, evaluation: Version, gates: list[dict[str, Any]], encoded: list[str]) -> str:
    """The model card, with counts of the training split as it was before encoding."""
    train, *_ = splits = [run.engine.catalog.get(parent.name) for parent in run.versions(encoded)[0].parents]
    counts = tallies.rows_by(run.store, train, ("language", "intent", "origin"))
    return card(
        version,
        evaluation.details,
        gates=gates,
        datasets=splits,
        base=base_of(run.pipeline),
        languages=counts["language"],
        intents=counts["intent"],
        origins=counts["origin"],
    )


def _opponent(run: Run, candidate: Version) -> Model | None:
    """The model in use; where that is the candidate itself, the one that it took over from."""
    registry, name = Registry(run.store.root), run.pipeline.settings.name
    champion = registry.champion(name)
    if champion is None or champion.fingerprint != candidate.fingerprint:
        return champion
    before = [one for one in registry.models(name) if one.version == champion.previous]
    return before[0] if before and before[0].folder.is_dir() else None


def _published(engine: Engine, champion: Model) -> Version:
    """The champion in the catalog.

    Raises:
        DataError: the catalog has another model under its name: a copy of this store shares the registry.
    """
    known = {one.name: one for one in engine.catalog.versions}
    version = known.get(champion.catalog)
    if version is None or version.fingerprint != champion.fingerprint:
        raise DataError(
            f"the champion, {champion.catalog}, is not the model of that name in this store's catalog: a copy of the "
            "store seems to share its registry. Give one of them another `name`, or a registry of its own (unset "
            "MLFLOW_TRACKING_URI); or promote a model of this store with `deskloop models promote`"
        )
    return version


def _check_unseen(engine: Engine, champion: Model, version: Version, test: Version) -> None:
    """P3: the champion was trained on no family that it is judged on.

    Raises:
        DataError: it was; with how many.
    """
    if not champion.folder.is_dir():
        raise DataError(
            f"the champion, {champion.catalog}, has no folder {champion.folder} any more: restore it from a backup, or "
            "put another version in use with `deskloop models promote`"
        )
    trained = [engine.catalog.get(one.name) for one in version.parents]
    seen = {family for one in trained if one.kind == "dataset" for family in _families(engine, one)}
    shared = seen & _families(engine, test)
    if shared:
        raise DataError(
            f"the champion, {champion.catalog}, was trained on {len(shared):,} families of the test split {test.name}, "
            "so it cannot be judged on it; was the ledger removed? Promote a model that this ledger's data made."
        )


def _families(engine: Engine, version: Version) -> set[str]:
    def read() -> pa.Table:
        now = engine.catalog.get(version.name)
        return engine.store.read(now.zone, now.dataset, now.delta_version, ["family"])

    return set(engine.mended(read)["family"].to_pylist())


def _in_tokens_of(run: Run, folder: Path, test: Version) -> pa.Table | None:
    """The test split in the tokens of another model; None where its tokenizer is the candidate's."""
    files = run.engine.ledger.files(test.artifact)
    own = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
    if tokenizer_module.digest(own) == tokenizer_module.digest(files):
        return None
    step = run.pipeline.steps[-1]
    (source,) = [parent for parent in test.parents if parent.dataset == test.dataset.removesuffix(step.stage.suffix)]
    rows = to_frame(run.engine.table(run.engine.catalog.get(source.name)))
    encoded = encode(rows, cast(Any, step.config), Context(step="evaluate", artifact=own))
    return to_table(encoded[encoded["reject"].isna()], ENCODED).sort_by("row_id")
