"""The report of augment: copies kept and rejected by generator."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from deskloop.contract.report import Document, Report, Section
from deskloop.engine.workspace import Made
from deskloop.report.charts import Segment, bar
from deskloop.report.words import number, percent, spoken, title
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store
from tasks.augment import REASONS

GENERATORS = {
    "back_translation": "translated into another language and back",
    "synonyms": "words replaced by synonyms",
    "noise": "typing errors as customers make them",
    "paraphrase": "reworded by a language model",
    "synthetic": "written by a language model",
}


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`augmentation` of the run's document."""
    return {"augmentation": count_copies(run.store, made.versions[0])}


def count_copies(store: Store, version: Version) -> list[dict[str, Any]]:
    """Return copies kept and rejected by generator, and which generators were off because a tool is not installed."""
    accepted: Counter[str] = Counter()
    for batch in read_batches(store, [version], ["row_id", "origin"]):
        copies = batch.filter(pc.not_equal(batch["origin"], "log"))["row_id"].to_pylist()
        accepted.update(map(_label, copies))
    dropped: dict[str, Counter[str]] = {}
    rejects = store.read("clean", f"{version.step}.rejects", version.rejects_version, ["row_id", "reason"])
    for row_id, reason in zip(rejects["row_id"].to_pylist(), rejects["reason"].to_pylist(), strict=True):
        dropped.setdefault(_label(row_id), Counter())[reason] += 1
    off = {
        name.partition(": ")[0]: f"{name.partition(': ')[2]} is not installed"
        for name, installed in version.details.get("equipment", {}).items()
        if installed is None
    }
    declared = [generator.get("name") or generator["kind"] for generator in version.config.get("generators", [])]
    return [
        {
            "generator": name,
            "kept": accepted[name],
            "dropped": dict(dropped.get(name, Counter()).most_common()),
            "off": off.get(name),
        }
        for name in dict.fromkeys([*declared, *accepted, *dropped])
    ]


def _label(row_id: str) -> str:
    """Return the label of the generator that made a copy: `noise` of `HD-1/noise-2`."""
    return row_id.rpartition("/")[2].rpartition("-")[0]


def augmentation(document: Document) -> dict[str, Any] | None:
    """Return copies by generator: kept, rejected by reason, and the generators that could not work."""
    generators = document.get("augmentation")
    if not generators:
        return None
    rows = [_generator(generator) for generator in generators]
    most = max(row["made"] for row in rows)
    for row in rows:
        parts = [Segment("added", row["kept"], f"{number(row['kept'])} kept")]
        parts += [
            Segment(f"rejected shade-{index % 2}", count, f"{number(count)} rejected: {reason}")
            for index, (reason, count) in enumerate(row["dropped"])
        ]
        row["bar"] = bar(parts, most, ", ".join(part.label for part in parts)) if row["made"] else None
    return {"generators": rows, "kept": sum(row["kept"] for row in rows), "made": sum(row["made"] for row in rows)}


def _generator(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one generator."""
    dropped = sorted((counts.get("dropped") or {}).items(), key=lambda item: (-item[1], item[0]))
    accepted, name = counts.get("kept", 0), counts.get("generator", "")
    made = accepted + sum(count for _, count in dropped)
    return {
        "generator": title(name),
        "does": GENERATORS.get(name) or GENERATORS.get(counts.get("origin", ""), ""),
        "kept": accepted,
        "made": made,
        "share": percent(accepted / made, 0) if made else None,
        "dropped": [(REASONS.get(reason, spoken(reason)), count) for reason, count in dropped if count],
        "off": counts.get("off"),
    }


def figures(document: Document) -> list[tuple[str, str, str]]:
    """Return how many copies were kept."""
    generators = document.get("augmentation")
    if generators is None:
        return []
    copies = sum(generator.get("kept", 0) for generator in generators)
    return [("Copies written", number(copies), "for rare intents, in training only")]


REPORT = Report(
    folder=Path(__file__).parent,
    sections=(Section("augmentation", "Copies written for rare intents", "Copies", augmentation),),
    tally=tally,
    figures=figures,
)
