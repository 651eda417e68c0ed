"""The report of annotate: where the intents come from, and how good the classifier is."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.report import Document, Report, Section
from deskloop.engine.workspace import Made
from deskloop.report.charts import Segment, bar
from deskloop.report.words import number, percent, title
from deskloop.run.session import Run
from deskloop.store.counts import read_batches

SOURCES = {
    "log": ("From the log", "the label that the support team assigned"),
    "human": ("By a person", "labelled by hand afterwards"),
    "rule": ("By a rule", "the words that the pipeline file names for an intent"),
    "model": ("By the classifier", "fitted on labelled training conversations; used only where it is confident enough"),
    "none": ("Without a label", "no source was confident enough; still used for training"),
}
CLASSIFIER = {
    "precision": ("Precision", "share of its labels that are correct"),
    "coverage": ("Coverage", "share of conversations that it is confident enough to label"),
    "accuracy": ("Accuracy", "share of correct labels if it had to label every conversation"),
    "macro_f1": ("Macro F1", "precision and recall combined; each intent counts the same"),
    "ece": ("Calibration error", "how far its confidence is from its accuracy (ECE)"),
    "threshold": ("Threshold", "the lowest confidence at which it assigns a label"),
}


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`annotation` of the run's document; the classifier was measured on families that it had not seen."""
    version = made.versions[0]
    sources: Counter[str] = Counter()
    for batch in read_batches(run.store, [version], ["intent_source"]):
        sources.update(source or "none" for source in batch["intent_source"].to_pylist())
    files = run.engine.ledger.files(version.artifact) if version.artifact else {}
    metrics = orjson.loads(files.get("metrics.json", b"null"))
    return {"annotation": {"sources": dict(sources.most_common()), "metrics": metrics}}


def labels(document: Document) -> dict[str, Any] | None:
    """Return how many intents came from where, and the measured quality of the classifier."""
    annotation = document.get("annotation") or {}
    counts = annotation.get("sources") or {}
    if not counts:
        return None
    order = [name for name in SOURCES if name in counts] + [name for name in counts if name not in SOURCES]
    total = sum(counts.values())
    sources = [
        {
            "kind": name if name in SOURCES else "none",
            "source": SOURCES.get(name, (title(name), ""))[0],
            "note": SOURCES.get(name, ("", ""))[1],
            "count": counts[name],
            "share": percent(counts[name] / total) if total else "",
        }
        for name in order
        if counts[name]
    ]
    parts = [
        Segment(f"source-{row['kind']}", row["count"], f"{number(row['count'])} {row['source']}") for row in sources
    ]
    metrics = annotation.get("metrics") or {}
    return {
        "sources": sources,
        "bar": bar(parts, total, ", ".join(part.label for part in parts)),
        "classifier": [
            (name, percent(metrics[key], 0) if metrics[key] >= 0.1 else percent(metrics[key]), note)
            for key, (name, note) in CLASSIFIER.items()
            if isinstance(metrics.get(key), int | float)
        ],
        "labelled": metrics.get("labelled"),
        "classes": metrics.get("classes", metrics.get("intents")),
        "reason": metrics.get("reason"),
    }


REPORT = Report(
    folder=Path(__file__).parent,
    sections=(Section("labels", "Where the labels come from", "Labels", labels),),
    tally=tally,
)
