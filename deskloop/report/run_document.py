"""What a run came to, as one document: `run --json` is its core, the report page is made from all of it.

Counts, ids, types and figures only; the one exception are the replies of models to the prompts that the pipeline
file declares.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deskloop import __version__
from deskloop.report import tallies
from deskloop.run.session import Entry, Run
from deskloop.store.catalog import Version


def summarize(run: Run, error: str | None = None, counted: bool = True) -> dict[str, Any]:
    """The document of a run, so far as it got.

    Args:
        error: the message of the error that ended it, if one did.
        counted: read the datasets for counts.
    """
    entries = run.entries
    model = entries.get("finetune")
    evaluation = _details(entries.get("evaluate"))
    document: dict[str, Any] = {
        "run_id": run.id,
        "status": "failed" if error else "completed",
        "error": error,
        "failed_step": run.failed or None,
        "pipeline": run.pipeline.settings.name,
        "version": __version__,
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - run.started_at).total_seconds(), 1),
        "steps": {name: _step(entry) for name, entry in entries.items()},
        "model": _model(run, model.versions[0]) if model else None,
        "champion": _champion(run),
        "metrics": evaluation.get("metrics", {}),
        "comparisons": evaluation.get("comparisons", []),
        "confidence": evaluation.get("confidence"),
        "margins": _margins(run),
        "decision": run.judged.get("decision"),
        "replies": evaluation.get("replies", []),
        "training": _training(model),
        "lineage": [_lineage(version) for entry in entries.values() for version in entry.versions],
        "libraries": {key: value for entry in entries.values() for key, value in entry.versions[0].libraries.items()},
    }
    if counted:
        document |= _counts(run)
    return document


def _counts(run: Run) -> dict[str, Any]:
    """What the datasets themselves say, by stage."""
    document: dict[str, Any] = {}
    entries = run.entries
    for entry in entries.values():
        stage = entry.versions[0].stage
        if stage == "scrub":
            document |= tallies.scrubbed(run.store, entry.versions)
            document["recall"] = tallies.recall(entry.versions[0])
        elif stage == "annotate":
            document["annotation"] = tallies.annotation(run, entry.versions[0])
        elif stage == "augment":
            document["augmentation"] = tallies.augmentation(run.store, entry.versions[0])
        elif stage == "split":
            document |= tallies.intents(run.store, entry.versions)
            document["proof"] = entry.versions[0].details.get("proof", {})
    by_stage = {entry.versions[0].stage: entry.versions for entry in entries.values()}
    if "split" in by_stage:
        document["classes"] = tallies.classes(
            run.store, *(by_stage.get(name, []) for name in ("augment", "balance", "split"))
        )
    return document


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


def _step(entry: Entry) -> dict[str, Any]:
    first = entry.versions[0]
    if first.kind != "dataset":
        return {
            "stage": first.stage,
            "datasets": [{"dataset": first.dataset, "version": first.version, "rows": None, "digest": first.digest}],
            "reused": entry.reused,
            "extended": False,
            "why": entry.decision.why,
            "seconds": 0.0 if entry.reused else first.seconds,
            "fingerprint": first.fingerprint,
            "parents": [parent.name for parent in first.parents],
        }
    equipment = first.details.get("equipment", {})
    return {
        "stage": first.stage,
        "datasets": [
            {"dataset": one.dataset, "version": one.version, "rows": one.rows, "digest": one.digest}
            for one in entry.versions
        ],
        "rows_in": first.rows_in,
        "rows_out": first.rows_out,
        "added": first.added,
        "rejected": first.rejected,
        "reasons": first.reasons,
        "reused": entry.reused,
        "extended": entry.extended,
        "touched": 0 if entry.reused else first.touched,
        "why": entry.decision.why,
        "seconds": 0.0 if entry.reused else first.seconds,
        "fingerprint": first.fingerprint,
        "parents": [parent.name for parent in first.parents],
        "expectations": first.expectations,
        **({"equipment": equipment} if equipment else {}),
    }


def _details(entry: Entry | None) -> dict[str, Any]:
    return entry.versions[0].details if entry else {}


def _training(entry: Entry | None) -> dict[str, Any] | None:
    return {**entry.versions[0].details, "settings": entry.versions[0].config} if entry else None


def _model(run: Run, version: Version) -> dict[str, Any]:
    """The candidate: as the registry knows it once it was judged, else as the catalog does."""
    from deskloop.engine.models import model_folder

    folder: Path = model_folder(run.engine, version)
    model = run.judged.get("model")
    return {
        "name": version.dataset,
        "version": model.version if model else version.version,
        "alias": next(iter(model.aliases), None) if model else None,
        "folder": str(folder),
        "catalog": version.name,
    }


def _margins(run: Run) -> dict[str, float] | None:
    """What counts as better and as not worse, as shares of the other model's bits per byte."""
    config = run.pipeline.sections.get("promote")
    found = config.model_dump(include={"better_by", "margin"}) if config else {}
    return found or None


def _champion(run: Run) -> dict[str, Any] | None:
    """The model that the candidate was judged against."""
    model = run.judged.get("champion")
    if model is None:
        return None
    since = model.promoted_at.isoformat(timespec="seconds") if model.promoted_at else None
    return {"name": model.name, "version": model.version, "since": since, "catalog": model.catalog}
