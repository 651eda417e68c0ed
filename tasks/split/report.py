"""What the report says of split: its proof, and the intents as they were logged, augmented, balanced and split."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from deskloop.engine.engine import Made
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`intents`, `proof` and `classes` of the run's document."""
    by_stage = {entry.versions[0].stage: entry.versions for entry in run.entries.values()}
    before = [by_stage.get(name, []) for name in ("augment", "balance")]
    return {
        **intents(run.store, made.versions),
        "proof": made.versions[0].details.get("proof", {}),
        "classes": classes(run.store, before[0], before[1], made.versions),
    }


def intents(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Intents by split, in order of frequency."""
    intents: dict[str, dict[str, int]] = {}
    for version in versions:
        counts: Counter[str] = Counter()
        for batch in read_batches(store, [version], ["intent"]):
            counts.update(intent or "(none)" for intent in batch["intent"].to_pylist())
        intents[version.dataset] = dict(counts.most_common())
    return {"intents": intents}


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
    rows = pa.concat_tables(read_batches(store, versions, columns)).to_pandas()
    rows = rows[rows["split"] == "train"]
    grouped = rows.assign(
        intent=rows["intent"].fillna("(none)"), logged=rows["origin"] == "log", rows=1
    ).groupby("intent")  # fmt: skip
    return grouped.agg({"rows": "sum", "logged": "sum", "repeats": "sum", "weight": "mean"})
