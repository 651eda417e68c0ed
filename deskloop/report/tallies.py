"""Counts for the report, read from the datasets themselves: what was scrubbed, labelled, copied and balanced."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.store import Store


def scrubbed(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
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


def recall(version: Version) -> dict[str, Any] | None:
    """How many of the planted values were found, over all, by type and by form; None where none were planted."""
    details = version.details
    if "recall" not in details:
        return None
    whole = {name: details[name] for name in ("planted", "found", "low", "high", "disturbed")}
    return {**whole, "types": details["recall"], "forms": details["recall_by_form"]}


def intents(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Intents by split, in order of frequency."""
    intents: dict[str, dict[str, int]] = {}
    for version in versions:
        counts: Counter[str] = Counter()
        for batch in _batches(store, [version], ["intent"]):
            counts.update(intent or "(none)" for intent in batch["intent"].to_pylist())
        intents[version.dataset] = dict(counts.most_common())
    return {"intents": intents}


def rows_by(store: Store, version: Version, columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """Rows of a version by the values of each column, most frequent first; nulls are left out."""
    rows = pa.concat_tables(_batches(store, [version], columns))
    counted = {name: Counter(value for value in rows[name].to_pylist() if value is not None) for name in columns}
    return {name: dict(counts.most_common()) for name, counts in counted.items()}


def annotation(run: Run, version: Version) -> dict[str, Any]:
    """Where the intents come from, and how well the classifier did on families that it had not seen."""
    sources: Counter[str] = Counter()
    for batch in _batches(run.store, [version], ["intent_source"]):
        sources.update(source or "none" for source in batch["intent_source"].to_pylist())
    files = run.engine.ledger.files(version.artifact) if version.artifact else {}
    return {"sources": dict(sources.most_common()), "metrics": orjson.loads(files.get("metrics.json", b"null"))}


def augmentation(store: Store, version: Version) -> list[dict[str, Any]]:
    """Copies kept and dropped by generator, and which generators were off because something is not installed."""
    kept: Counter[str] = Counter()
    for batch in _batches(store, [version], ["row_id", "origin"]):
        copies = batch.filter(pc.not_equal(batch["origin"], "log"))["row_id"].to_pylist()
        kept.update(map(_generator, copies))
    dropped: dict[str, Counter[str]] = {}
    rejects = store.read("clean", f"{version.step}.rejects", version.rejects_version, ["row_id", "reason"])
    for row_id, reason in zip(rejects["row_id"].to_pylist(), rejects["reason"].to_pylist(), strict=True):
        dropped.setdefault(_generator(row_id), Counter())[reason] += 1
    off = {
        name.partition(": ")[0]: f"{name.partition(': ')[2]} is not installed"
        for name, found in version.details.get("equipment", {}).items()
        if found is None
    }
    declared = [one.get("name") or one["kind"] for one in version.config.get("generators", [])]
    return [
        {
            "generator": name,
            "kept": kept[name],
            "dropped": dict(dropped.get(name, Counter()).most_common()),
            "off": off.get(name),
        }
        for name in dict.fromkeys([*declared, *kept, *dropped])
    ]


def _generator(row_id: str) -> str:
    """The label of the generator that made a copy: `noise` of `HD-1/noise-2`."""
    return row_id.rpartition("/")[2].rpartition("-")[0]


def classes(
    store: Store, augmented: Sequence[Version], balanced: Sequence[Version], split: Sequence[Version]
) -> list[dict[str, Any]]:
    """Training conversations of each intent: logged, with copies, after balancing, and as the model counts them."""
    last = [version for version in split if version.dataset.endswith("train")]
    tables = {
        "augmented": _by_intent(store, augmented or balanced or last),
        "balanced": _by_intent(store, balanced or last),
    }
    frame = pd.concat([table.add_suffix(f"_{name}") for name, table in tables.items()], axis="columns")
    frame = frame.fillna(0).sort_values("rows_augmented", ascending=False, kind="stable")
    return [
        {
            "intent": intent,
            "logged": int(row["logged_augmented"]),
            "augmented": int(row["rows_augmented"]),
            "balanced": int(row["rows_balanced"]),
            "effective": int(row["repeats_balanced"]),
            "weight": round(float(row["weight_balanced"]), 4),
        }
        for intent, row in frame.iterrows()
    ]


def _by_intent(store: Store, versions: Sequence[Version]) -> pd.DataFrame:
    """(intents, rows, logged, repeats, weight) of the training rows; `weight` is their mean."""
    columns = ["intent", "split", "origin", "repeats", "weight"]
    rows = pa.concat_tables(_batches(store, versions, columns)).to_pandas()
    rows = rows[rows["split"] == "train"]
    grouped = rows.assign(
        intent=rows["intent"].fillna("(none)"), logged=rows["origin"] == "log", rows=1
    ).groupby("intent")  # fmt: skip
    return grouped.agg({"rows": "sum", "logged": "sum", "repeats": "sum", "weight": "mean"})


def _batches(store: Store, versions: Sequence[Version], columns: Sequence[str]) -> list[pa.Table]:
    return [
        batch
        for one in versions
        for batch in store.batches(one.zone, one.dataset, one.delta_version, columns)
    ]  # fmt: skip
