"""The report of split: its checks, and the intents as logged, augmented, balanced and split."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from deskloop.contract.report import Document, Report, Section
from deskloop.contract.schema import SPLITS
from deskloop.engine.workspace import Made
from deskloop.report.charts import Segment, bar
from deskloop.report.words import number, percent
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store
from tasks.split.classes import classes, intents

PROOFS = (
    # key, what it counts when it is 0, what it counts otherwise
    ("families_crossing", "No family crosses a split.", "families cross a split."),
    ("near_duplicates_crossing", "No near-duplicate pair crosses a split.", "near-duplicate pairs cross a split."),
    ("customers_crossing", "No customer appears in two splits.", "customers appear in more than one split."),
)


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`intents`, `proof` and `classes` of the run's document."""
    before = upstream(run, made.versions[0])
    return {
        **count_intents(run.store, made.versions),
        "proof": made.versions[0].details.get("proof", {}),
        "classes": count_classes(run.store, before.get("augment", []), before.get("balance", []), made.versions),
    }


def upstream(run: Run, version: Version) -> dict[str, list[Version]]:
    """Return stage -> the versions of the last step of that stage that a version was made from."""
    stages: dict[str, list[Version]] = {}
    parents = {parent.name for parent in version.parents}
    for entry in reversed(run.entries.values()):
        if any(each.name in parents for each in entry.versions):
            stages.setdefault(entry.versions[0].stage, entry.versions)
            parents.update(parent.name for each in entry.versions for parent in each.parents)
    return stages


def count_intents(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Intents by split, in order of frequency."""
    intents: dict[str, dict[str, int]] = {}
    for version in versions:
        counts: Counter[str] = Counter()
        for batch in read_batches(store, [version], ["intent"]):
            counts.update(intent or "(none)" for intent in batch["intent"].to_pylist())
        intents[version.dataset] = dict(counts.most_common())
    return {"intents": intents}


def count_classes(
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
    rows = pa.concat_tables(read_batches(store, versions, columns)).to_pandas()
    rows = rows[rows["split"] == "train"]
    grouped = rows.assign(
        intent=rows["intent"].fillna("(none)"), logged=rows["origin"] == "log", rows=1
    ).groupby("intent")  # fmt: skip
    return grouped.agg({"rows": "sum", "logged": "sum", "repeats": "sum", "weight": "mean"})


def proof(document: Document) -> dict[str, Any] | None:
    """Return what the step verified on its own result; a check that did not run has no line."""
    counts = document.get("proof")
    if not counts:
        return None
    lines = []
    for key, holds, broken in PROOFS:
        if (count := counts.get(key)) is not None:
            verdict = "good" if not count else "warn" if key == "customers_crossing" else "bad"
            lines.append({"key": key, "verdict": verdict, "text": f"{number(count)} {broken}" if count else holds})
    splits = counts.get("by_split") or {}
    total = sum(split.get("conversations", 0) for split in splits.values())
    ordered = sorted(splits, key=lambda name: SPLITS.index(name) if name in SPLITS else len(SPLITS))
    rows = [
        {
            "split": name,
            "conversations": splits[name].get("conversations", 0),
            "families": splits[name].get("families"),
            "share": percent(splits[name].get("conversations", 0) / total) if total else "",
        }
        for name in ordered
    ]
    parts = [
        Segment(row["split"], row["conversations"], f"{number(row['conversations'])} {row['split']}") for row in rows
    ]
    return {
        "lines": lines,
        "splits": rows,
        "bar": bar(parts, total, ", ".join(part.label for part in parts)) if total else None,
        "families": counts.get("families"),
        "largest": counts.get("largest_family"),
        "pairs": counts.get("near_duplicate_pairs_checked"),
    }


def figures(document: Document) -> list[tuple[str, str, str]]:
    """Return how many families cross a split."""
    crossing = (document.get("proof") or {}).get("families_crossing")
    if crossing is None:
        return []
    note = "must be none" if crossing else "similar conversations stay together"
    return [("Families across splits", number(crossing), note)]


def notices(document: Document) -> list[dict[str, str]]:
    """Return a line for each check that failed."""
    lines = (proof(document) or {"lines": []})["lines"]
    return [{"kind": "bad", "text": line["text"], "to": "proof"} for line in lines if line["verdict"] == "bad"]


REPORT = Report(
    folder=Path(__file__).parent,
    sections=(
        Section("classes", "Intents before and after balancing", "Balance", classes),
        Section("proof", "Checks of the split", "Split", proof),
        Section("intents", "Intents in each split", "Intents", intents),
    ),
    tally=tally,
    figures=figures,
    notices=notices,
)
