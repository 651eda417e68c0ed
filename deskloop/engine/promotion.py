"""Promotion: candidates are registered, and the best one becomes the champion if it passes every gate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deskloop.contract.errors import DataError
from deskloop.contract.stage import PromotionStage
from deskloop.engine.decide import Decision
from deskloop.engine.inputs import Versions, parents_of
from deskloop.engine.publish import describe_output
from deskloop.engine.workspace import Workspace
from deskloop.models import CHAMPION, Model, Registry
from deskloop.models.card import card, write_card
from deskloop.models.figures import candidates_of, figures_for
from deskloop.models.folder import folder_of
from deskloop.pipeline.pipeline import Step
from deskloop.store.catalog import Version
from deskloop.store.counts import rows_by
from deskloop.store.digest import text_digest


def make_promotion(work: Workspace, step: Step, inputs: Versions, decision: Decision) -> tuple[list[Version], Decision]:
    """Decide about promotion and carry the decision out; a single write moves a model with all that belongs to it.

    Returns:
        The decision as figures, such as `action`, `why`, `gates` and `model`. A decision that is the same as the last
        one reuses its version.
    """
    stage = step.stage
    if not isinstance(stage, PromotionStage):
        raise TypeError(f"step {step.name!r} is not a promotion")
    evaluations = {version.step: version.details for version in inputs["evaluation"]}
    registry, name = Registry(work.store.root), work.pipeline.settings.name
    first = next((version for version in inputs["evaluation"] if version.details.get("candidates")), None)
    if first is None:
        raise DataError(f"step {step.name!r}: none of its evaluations has figures of candidates")
    versions = {candidate: work.catalog.get(version) for candidate, version in candidates_of(first.details).items()}
    registered = {model.fingerprint: model for model in registry.models(name)}
    judged: dict[str, list[dict[str, Any]]] = {}
    for candidate, version in versions.items():
        shares = {evaluation: figures_for(figures, candidate) for evaluation, figures in evaluations.items()}
        before = registered.get(version.fingerprint)
        replaced = before is not None and CHAMPION not in before.aliases and before.promoted_at is not None
        judged[candidate] = stage.judge(shares, step.config, replaced)
    chosen = stage.choose(evaluations, step.config, judged)
    for candidate in sorted(versions, key=lambda candidate: candidate == chosen):  # the last one is the challenger
        figures = figures_for(first.details, candidate)
        model = _register(work, registry, name, versions[candidate], first, figures)
    gates, version, is_champion = judged[chosen], versions[chosen], CHAMPION in model.aliases
    action = stage.decide(gates, step.config, is_champion)
    why = stage.explain(action, gates)
    if not is_champion:
        write_card(model.folder, _card(work, version, figures, gates))
        model = registry.note_decision(model, why)
    if action == "promoted":
        model = registry.promote(name, model.version, f"run {work.run_id}")
    if action in ("kept", "blocked"):
        _announce(work, stage, registry, model, [gate for gate in gates if not gate["passed"]])
    details = {
        "action": action,
        "promoted": action == "promoted",
        "why": why,
        "gates": gates,
        "candidate": chosen,
        "model": {"name": model.name, "version": model.version, "alias": next(iter(model.aliases), None)},
        "catalog": model.catalog,
    }
    return _published(work, step, inputs, decision, details)


def opponent_of(work: Workspace, candidates: Sequence[Version]) -> list[Version]:
    """Return the version for the port `champion`: the champion, or the previous one if the champion is a candidate.

    Raises:
        DataError: the catalog has another model of this name, or the champion's folder is missing.
    """
    registry, name = Registry(work.store.root), work.pipeline.settings.name
    champion = registry.champion(name)
    if champion is not None and champion.fingerprint in {candidate.fingerprint for candidate in candidates}:
        previous = [model for model in registry.models(name) if model.version == champion.previous]
        champion = previous[0] if previous and previous[0].folder.is_dir() else None
    if champion is None:
        return []
    version = work.catalog.find_name(champion.catalog)
    if version is None or version.fingerprint != champion.fingerprint:
        raise DataError(
            f"the champion, {champion.catalog}, is not the model of that name in this store's catalog: a copy of the "
            "store seems to share its registry. Give one of them another `name` or its own registry (unset "
            "MLFLOW_TRACKING_URI); or promote a model of this store with `deskloop models promote`"
        )
    if not champion.folder.is_dir():
        raise DataError(
            f"the folder {champion.folder} of the champion, {champion.catalog}, is missing: restore it from a backup, "
            "or promote another version with `deskloop models promote`"
        )
    return [version]


def _published(
    work: Workspace, step: Step, inputs: Versions, decision: Decision, details: Mapping[str, Any]
) -> tuple[list[Version], Decision]:
    """Return the decision as a version, which is the last one if the decision is the same."""
    digest = text_digest(details)
    last = work.catalog.latest(step.output)
    if last is not None and (last.fingerprint, last.digest, last.gone) == (decision.fingerprint, digest, False):
        same = replace(decision, action="reuse", why="the same decision as before", versions=[last])
        return [last], same
    run = (work.run_id, work.flow_run_id)
    version = describe_output(step, parents_of(step.stage, inputs), decision, "promotion", run)
    return [replace(version, digest=digest, details=version.details | dict(details))], decision


def _announce(
    work: Workspace, stage: PromotionStage, registry: Registry, model: Model, failed: Sequence[Mapping[str, Any]]
) -> None:
    """Send one message per candidate and set of failed gates, also if it is evaluated again; none for a sample.

    The message is recorded after it was sent: if the process is killed in between, the next run sends it again.
    """
    names = tuple(sorted(gate["gate"] for gate in failed))
    if not names or names in model.announced or work.pipeline.sample is not None or work.announce is None:
        return
    page = work.store.root / "reports" / work.run_id / "index.html"
    if work.announce(work.run_id, work.pipeline.settings.name, list(map(stage.describe, failed)), str(page)):
        registry.note_announced(model, names)


def _register(
    work: Workspace,
    registry: Registry,
    name: str,
    version: Version,
    evaluation: Version,
    figures: Mapping[str, Any],
) -> Model:
    """Register a candidate, unless it is already registered with the same evaluation."""
    for model in registry.models(name):
        if model.fingerprint == version.fingerprint and model.evaluation == evaluation.name:
            return model
    datasets = [*_datasets(work, version), *_datasets(work, evaluation)]
    data = {dataset.dataset: dataset.name for dataset in datasets}
    data |= {parent.dataset: parent.name for dataset in datasets for parent in dataset.parents}
    return registry.register(
        name,
        version,
        folder_of(work.store.root, version),
        metrics=figures["metrics"]["candidate"],
        parameters=version.config,
        history=version.details["history"],
        data=data,
        evaluation=evaluation.name,
        report=work.run_id,
    )


def _datasets(work: Workspace, version: Version) -> list[Version]:
    """Return the tables that a model was trained on, or an evaluation used."""
    parents = [work.catalog.get(parent.name) for parent in version.parents]
    return [parent for parent in parents if parent.kind == "dataset"]


def _card(work: Workspace, version: Version, figures: Mapping[str, Any], gates: Sequence[Mapping[str, Any]]) -> str:
    """Write the model card, with counts of the training split before encoding."""
    encoded = _datasets(work, version)
    before = [work.catalog.get(parent.name) for parent in (encoded[0].parents if encoded else ())]
    counts = rows_by(work.store, before[0], ("language", "intent", "origin")) if before else {}
    return card(
        version,
        figures,
        gates=gates,
        datasets=before or encoded,
        base=str(version.config.get("base", "tiny")),
        languages=counts.get("language"),
        intents=counts.get("intent"),
        origins=counts.get("origin"),
    )
