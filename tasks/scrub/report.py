"""The report of scrub: values replaced by type, languages, and the measured recall."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deskloop.contract.report import Document, Report, Section
from deskloop.engine.workspace import Made
from deskloop.report.charts import Segment, bar
from deskloop.report.words import number, percent, title
from deskloop.run.session import Run
from deskloop.store.catalog import Version
from deskloop.store.counts import read_batches
from deskloop.store.store import Store

LANGUAGES = {
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "und": "not identified",
}
FORMS = {  # how a planted value was written: what that means, and its name
    "as_written": ("with capitals and punctuation", "As usual"),
    "lower_case": ("with punctuation", "In lower case"),
    "no_punctuation": ("in lower case", "Without punctuation"),
    "misspelled": ("in the value or beside it", "With a typo"),
    "hidden": ("HTML entities, tags, invisible or wide characters", "Obfuscated"),
    "spoken": ("numbers digit by digit, in words", "Spelled out"),
}


def tally(run: Run, made: Made) -> dict[str, Any]:
    """`entities`, `languages` and `recall` of the run's document."""
    return {**count_entities(run.store, made.versions), "recall": recall(made.versions[0])}


def count_entities(store: Store, versions: Sequence[Version]) -> dict[str, Any]:
    """Placeholders by type (how many, in how many conversations), and languages."""
    counts: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for batch in read_batches(store, versions, ["entities", "language"]):
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


def scrubbed(document: Document) -> dict[str, Any] | None:
    """Return placeholders by entity type, most frequent first, and the languages found."""
    entities = document.get("entities")
    if entities is None:
        return None
    ordered = sorted(entities.items(), key=lambda item: (-item[1].get("count", 0), item[0]))
    most = max((entity.get("count", 0) for entity in entities.values()), default=0)
    rows = [
        {
            "type": title(name),
            "count": entity.get("count", 0),
            "conversations": entity.get("conversations"),
            "bar": bar([Segment("kept", entity.get("count", 0), "")], most, f"{entity.get('count', 0):,} replaced"),
        }
        for name, entity in ordered
    ]
    languages = sorted((document.get("languages") or {}).items(), key=lambda item: (-item[1], item[0]))
    total = sum(count for _, count in languages)
    named = [(LANGUAGES.get(code, code), count, percent(count / total) if total else "") for code, count in languages]
    return {"entities": rows, "total": sum(row["count"] for row in rows), "languages": named}


def measured_recall(document: Document) -> dict[str, Any] | None:
    """Return the share found, over all, by type (the worst first) and by how the value was written."""
    recall = document.get("recall") or {}
    whole = _row("", recall)
    if whole is None:
        return None
    types = [row for name, cell in (recall.get("types") or {}).items() if (row := _row(title(name), cell))]
    forms = [
        row
        for name, cell in (recall.get("forms") or {}).items()
        if (row := _row(FORMS.get(name, ("", title(name)))[1], cell, FORMS.get(name, ("", ""))[0]))
    ]
    disturbed = recall.get("disturbed")
    return {
        **whole,
        "types": sorted(types, key=lambda row: (row["part"], row["name"])),
        "forms": forms,
        "disturbed": percent(disturbed) if isinstance(disturbed, int | float) else None,
    }


def _row(name: str, cell: Mapping[str, Any], kind: str = "") -> dict[str, Any] | None:
    """Return a share with its interval and a bar of the length 1; None where nothing was planted."""
    planted, detected = cell.get("planted"), cell.get("found")
    if not planted or detected is None:
        return None
    low, high = cell.get("low"), cell.get("high")
    interval = (low, high) if low is not None and high is not None else None
    between = f"{percent(low, 0)} to {percent(high, 0)}" if interval else ""
    label = f"{number(detected)} of {number(planted)}" + (f", 95% interval {between}" if interval else "")
    return {
        "name": name,
        "note": kind,
        "planted": planted,
        "found": detected,
        "part": detected / planted,
        "share": percent(detected / planted),
        "interval": between,
        "bar": bar([Segment("kept", detected / planted, label)], 1.0, label, interval),
    }


def figures(document: Document) -> list[tuple[str, str, str]]:
    """Return how many values were replaced."""
    entities = document.get("entities")
    if entities is None:
        return []
    total = sum(entity.get("count", 0) for entity in entities.values())
    return [("Personal values", number(total), f"replaced, of {len(entities)} types")]


REPORT = Report(
    folder=Path(__file__).parent,
    sections=(
        Section("scrubbed", "Personal data replaced", "Personal data", scrubbed),
        Section("recall", "How much personal data is detected", "Recall", measured_recall),
    ),
    tally=tally,
    figures=figures,
)
