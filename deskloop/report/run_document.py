"""The outcome of a run as one document: `run --json` prints its core, the report page shows all of it.

It holds counts, ids, types and figures, and the models' replies to the prompts that the pipeline file declares.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from deskloop import __version__
from deskloop.contract.report import Report
from deskloop.contract.stage import DataStage, EvaluationStage, ModelStage, PromotionStage, Stage
from deskloop.engine.workspace import Made
from deskloop.models import Registry
from deskloop.models.figures import candidates_of, figures_for
from deskloop.models.folder import folder_of
from deskloop.pipeline.extensions import report_of
from deskloop.pipeline.pipeline import Step
from deskloop.report.attempt import attempt
from deskloop.run.session import Run
from deskloop.store.catalog import Version

KINDS = {DataStage: "dataset", ModelStage: "model", EvaluationStage: "evaluation", PromotionStage: "promotion"}


def summarize(run: Run, error: str | None = None, counted: bool = True) -> dict[str, Any]:
    """Return the document of a run, as far as it has run.

    Args:
        error: the message of the error that ended it, if one did.
        counted: read the datasets for counts.
    """
    document: dict[str, Any] = {
        "run_id": run.id,
        "status": "failed" if error else "completed",
        "error": error,
        "failed_step": run.failed or None,
        "pipeline": run.pipeline.settings.name,
        "version": __version__,
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - run.started_at).total_seconds(), 1),
        "steps": {name: _step(made) for name, made in run.entries.items()},
        **_models(run),
        "graph": [_declared(step) for step in run.pipeline.steps],
        "lineage": [_lineage(version) for made in run.entries.values() for version in made.versions],
        "libraries": {key: value for made in run.entries.values() for key, value in made.versions[0].libraries.items()},
    }
    return document | (_tallies(run) if counted else {"problems": []})


def _tallies(run: Run) -> dict[str, Any]:
    """Return the keys that stages count; those of a stage with several steps are under `by_step`, stage and step.

    `problems` has a sentence for each step whose stage could not count.
    """
    tallies: dict[str, Any] = {}
    problems: list[str] = []
    by_step: dict[str, dict[str, Any]] = {}
    uses = Counter(step.stage.name for step in run.pipeline.steps)
    for step, made in _of(run, Stage):
        if report := report_of(step.stage):
            tally = attempt(f"the counts of {step.name}", problems, partial(_tally, report, run, made), lambda _: {})
            if uses[step.stage.name] == 1:
                tallies |= tally
            else:
                by_step.setdefault(step.stage.name, {})[step.name] = tally
    return {**tallies, "by_step": by_step or None, "problems": problems}


def _tally(report: Report, run: Run, made: Made) -> dict[str, Any]:
    """Return the keys that a stage counts for a step; raises if JSON has no type for a value."""
    tally = report.tally(run, made)
    orjson.dumps(tally, option=orjson.OPT_SERIALIZE_NUMPY)
    return dict(tally)


def _declared(step: Step) -> dict[str, Any]:
    """Return a step as the pipeline file declares it."""
    kind = next(kind for shape, kind in KINDS.items() if isinstance(step.stage, shape))
    inputs = [(port, reference) for port, references in step.inputs.items() for reference in references]
    return {
        "step": step.name,
        "stage": step.stage.name,
        "kind": kind,
        "datasets": list(step.datasets.values()),
        "inputs": [{"port": port, "step": source.step, "dataset": source.dataset} for port, source in inputs],
    }


def _of(run: Run, shape: type[Stage]) -> Iterator[tuple[Step, Made]]:
    """Yield the steps of a shape that this run has brought up to date."""
    steps = (step for step in run.pipeline.steps if isinstance(step.stage, shape) and step.name in run.entries)
    return ((step, run.entries[step.name]) for step in steps)


def _models(run: Run) -> dict[str, Any]:
    """Return the candidates with their training and comparisons, and the decision on the chosen one."""
    promotion, made = next(_of(run, PromotionStage), (None, None))
    decided = made.versions[0].details if made else None
    evaluations = [made.versions[0] for _, made in _of(run, EvaluationStage)]
    evaluations = [version for version in evaluations if candidates_of(version.details)]
    evaluation = evaluations[0] if evaluations else None
    candidates = list(candidates_of(evaluation.details)) if evaluation else []
    chosen = decided["candidate"] if decided else next(iter(candidates), None)
    figures = [figures_for(version.details, chosen) for version in evaluations] if chosen else []
    compared = [{key: each.get(key) for key in ("metrics", "comparisons", "confidence")} for each in figures]
    by_step = {version.step: each for version, each in zip(evaluations, compared, strict=False)}
    trained = {
        step.name: made.versions[0]
        for step, made in _of(run, ModelStage)
        if isinstance(step.stage, ModelStage) and step.stage.role == "candidate"
    }
    model = trained.get(chosen or "") or next(iter(trained.values()), None)
    margins = promotion.config.model_dump(include={"better_by", "margin"}) if promotion else None
    return {
        "model": _model(run, model, decided) if model else None,
        "champion": _champion(run, evaluation),
        "candidates": {"chosen": chosen, "steps": candidates} if len(candidates) > 1 else None,
        **(compared[0] if compared else {"metrics": {}, "comparisons": [], "confidence": None}),
        "evaluations": by_step if len(by_step) > 1 else None,
        "margins": margins,
        "decision": {key: decided[key] for key in ("promoted", "action", "why", "gates")} if decided else None,
        "replies": figures[0].get("replies", []) if figures else [],
        "training": {name: {**version.details, "settings": version.config} for name, version in trained.items()},
    }


def _lineage(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "kind": version.kind,
        "step": version.step,
        "zone": version.zone,
        "rows": version.rows if version.kind == "dataset" else None,
        "digest": version.digest,
        "parents": [parent.name for parent in version.parents],
    }


def _step(made: Made) -> dict[str, Any]:
    first = made.versions[0]
    is_table = first.kind == "dataset"
    equipment = first.details.get("equipment", {})
    counts = {
        "rows_in": first.rows_in,
        "rows_out": first.rows_out,
        "added": first.added,
        "rejected": first.rejected,
        "reasons": first.reasons,
        "touched": 0 if made.reused else first.touched,
        "expectations": first.expectations,
    }
    return {
        "stage": first.stage,
        "datasets": [
            {
                "dataset": version.dataset,
                "version": version.version,
                "rows": version.rows if is_table else None,
                "digest": version.digest,
            }
            for version in made.versions
        ],
        **(counts if is_table else {}),
        "reused": made.reused,
        "extended": made.extended,
        "why": made.decision.why,
        "seconds": 0.0 if made.reused else first.seconds,
        "fingerprint": first.fingerprint,
        "parents": [parent.name for parent in first.parents],
        **({"equipment": equipment} if equipment else {}),
    }


def _model(run: Run, version: Version, decided: dict[str, Any] | None) -> dict[str, Any]:
    """Return the candidate: from the registry if it was evaluated for promotion, else from the catalog."""
    registered = decided["model"] if decided and decided["catalog"] == version.name else {}
    return {
        "name": run.pipeline.settings.name,
        "version": registered.get("version", version.version),
        "alias": registered.get("alias"),
        "folder": str(folder_of(run.store.root, version)),
        "catalog": version.name,
    }


def _champion(run: Run, evaluation: Version | None) -> dict[str, Any] | None:
    """Return the champion that the candidates were compared with."""
    candidates = set(candidates_of(evaluation.details).values()) if evaluation else set()
    read = {parent.name for parent in evaluation.parents} - candidates if evaluation else set()
    if evaluation is None or "champion" not in evaluation.details["metrics"]:
        return None
    models = Registry(run.store.root).models(run.pipeline.settings.name)
    model = next((model for model in models if model.catalog in read), None)
    if model is None:
        return None
    since = model.promoted_at.isoformat(timespec="seconds") if model.promoted_at else None
    return {"name": model.name, "version": model.version, "since": since, "catalog": model.catalog}
