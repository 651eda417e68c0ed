"""What a run came to, as one document: `run --json` is its core, the report page is made from all of it.

Counts, ids, types and figures only; the one exception are the replies of models to the prompts that the pipeline
file declares.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop import __version__
from deskloop.catalog import Version
from deskloop.session import Entry, Run
from deskloop.store import Store


def summarize(run: Run, error: str | None = None) -> dict[str, Any]:
    """The document of a run, so far as it got.

    Args:
        error: the message of the error that ended it, if one did.
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
        "metrics": evaluation.get("metrics", {}),
        "decision": evaluation.get("decision"),
        "replies": evaluation.get("replies", []),
        "training": _training(model),
        "libraries": {key: value for entry in entries.values() for key, value in entry.versions[0].libraries.items()},
    }
    for entry in entries.values():
        stage = entry.versions[0].stage
        if stage == "scrub":
            document |= scrubbed_summary(run.store, entry.versions)
        elif stage == "split":
            document |= split_summary(run.store, entry.versions)
            document["proof"] = entry.versions[0].details.get("proof", {})
    return document


def scrubbed_summary(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Placeholders by type (how many, in how many conversations), and languages."""
    counts: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for batch in _batches(store, versions, ["entities", "language"]):
        types = pc.struct_field(pc.list_flatten(batch["entities"]), "type")
        pairs = pa.table({"row": pc.list_parent_indices(batch["entities"]), "type": types})
        counts.update(types.to_pylist())
        touched.update(pairs.group_by(["row", "type"]).aggregate([])["type"].to_pylist())
        languages.update(batch["language"].to_pylist())
    entities = {kind: {"count": count, "conversations": touched[kind]} for kind, count in counts.most_common()}
    return {"entities": entities, "languages": dict(languages.most_common())}


def split_summary(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Intents by split, in order of frequency."""
    intents: dict[str, dict[str, int]] = {}
    for version in versions:
        counts: Counter[str] = Counter()
        for batch in _batches(store, [version], ["intent"]):
            counts.update(intent or "(none)" for intent in batch["intent"].to_pylist())
        intents[version.dataset] = dict(counts.most_common())
    return {"intents": intents}


def _batches(store: Store, versions: Sequence[Version], columns: Sequence[str]) -> list[pa.Table]:
    return [
        batch
        for one in versions
        for batch in store.batches(one.zone, one.dataset, one.delta_version, columns)
    ]  # fmt: skip


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
    }


def _details(entry: Entry | None) -> dict[str, Any]:
    return entry.versions[0].details if entry else {}


def _training(entry: Entry | None) -> dict[str, Any] | None:
    return {**entry.versions[0].details, "settings": entry.versions[0].config} if entry else None


def _model(run: Run, version: Version) -> dict[str, Any]:
    from deskloop.models import model_folder

    folder: Path = model_folder(run.engine, version)
    return {"name": version.dataset, "version": version.version, "alias": None, "folder": str(folder)}
