"""The intents' sections: where labels come from, how classes grew and were balanced, which copies were kept."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, bar, logarithmic
from deskloop.report.data import SPLITS
from deskloop.report.glossary import CLASSIFIER, COPIES, GENERATORS, SOURCES
from deskloop.report.words import number, percent, spoken, title

Run = dict[str, Any]
UNLABELLED = ("", "(none)")


def stages(run: Run) -> set[str]:
    """The stages of the run's steps, whatever the steps are called."""
    return {step.get("stage") or name for name, step in (run.get("steps") or {}).items()}


def labels(run: Run) -> dict[str, Any] | None:
    """How many intents came from where, and how far the classifier can be trusted."""
    found = run.get("annotation") or {}
    counts = found.get("sources") or {}
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
    metrics = found.get("metrics") or {}
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


def classes(run: Run) -> dict[str, Any] | None:
    """Training conversations by intent as logged, with copies, and after balancing; of the stages that ran."""
    found = run.get("classes")
    ran = stages(run) & {"augment", "balance"}
    if not found or not ran:
        return None
    rows = [_counts(row) for row in found]
    columns = ["logged"] + ["augmented"] * ("augment" in ran) + ["effective"] * ("balance" in ran)
    most = max((row[column] for row in rows for column in columns), default=0)
    return {
        "rows": [row | {"bars": _bars(row, columns, most)} for row in rows],
        "copies": "augment" in ran,
        "balance": "balance" in ran,
        "repeats": any(row["effective"] > row["balanced"] for row in rows),
        "changed": any(row["effective"] != row["logged"] or abs(row["weight"] - 1) >= 0.005 for row in rows),
        "weights": any(abs(row["weight"] - 1) >= 0.005 for row in rows),
        "skew": [(heading, skew) for column, heading in _headings(columns) if (skew := _skew(rows, column))],
    }


def _counts(row: Mapping[str, Any]) -> dict[str, Any]:
    """One intent's figures; what balancing left out of the document is as augmentation left it, and so on."""
    logged = row.get("logged", 0)
    augmented = row.get("augmented", logged)
    balanced = row.get("balanced", augmented)
    name = row.get("intent") or ""
    return {
        "intent": "no label" if name in UNLABELLED else spoken(name),
        "labelled": name not in UNLABELLED,
        "logged": logged,
        "augmented": augmented,
        "copies": max(augmented - logged, 0),
        "balanced": balanced,
        "effective": row.get("effective", balanced),
        "weight": row.get("weight", 1.0),
    }


def _bars(row: Mapping[str, Any], columns: list[str], most: float) -> list[dict[str, Any]]:
    """The bars of one intent, on the scale of all: logged; logged and copies; rows and their repeats."""
    repeats = max(row["effective"] - row["balanced"], 0)
    parts = {
        "logged": [Segment("kept", row["logged"], f"{number(row['logged'])} logged")],
        "augmented": [
            Segment("kept", row["augmented"] - row["copies"], f"{number(row['augmented'] - row['copies'])} logged"),
            Segment("added", row["copies"], f"{number(row['copies'])} copies"),
        ],
        "effective": [
            Segment("balanced", row["balanced"], f"{number(row['balanced'])} balanced"),
            Segment("repeats", repeats, f"{number(repeats)} repeats"),
        ],
    }
    return [
        {
            "name": heading,
            "count": row[column],
            "bar": bar(parts[column], most, ", ".join(part.label for part in parts[column] if part.length) or "none"),
        }
        for column, heading in _headings(columns)
    ]


def _headings(columns: list[str]) -> list[tuple[str, str]]:
    names = {"logged": "logged", "augmented": "with copies", "effective": "balanced"}
    return [(column, names[column]) for column in columns]


def _skew(rows: list[dict[str, Any]], column: str) -> str | None:
    """How many times as frequent the most frequent intent is as the rarest one; those at 0 and unlabelled aside."""
    counts = [row[column] for row in rows if row["labelled"] and row[column]]
    return _ratio(max(counts), min(counts)) if len(counts) > 1 else None


def _ratio(most: int, least: int) -> str:
    return f"{most / least:,.1f}".removesuffix(".0")


def augmentation(run: Run) -> dict[str, Any] | None:
    """Copies by generator: kept, dropped by reason, and the generators that could not work."""
    found = run.get("augmentation")
    if not found:
        return None
    rows = [_generator(generator) for generator in found]
    most = max(row["made"] for row in rows)
    for row in rows:
        parts = [Segment("added", row["kept"], f"{number(row['kept'])} kept")]
        parts += [
            Segment(f"rejected shade-{index % 2}", count, f"{number(count)} dropped: {reason}")
            for index, (reason, count) in enumerate(row["dropped"])
        ]
        row["bar"] = bar(parts, most, ", ".join(part.label for part in parts)) if row["made"] else None
    return {"generators": rows, "kept": sum(row["kept"] for row in rows), "made": sum(row["made"] for row in rows)}


def _generator(found: Mapping[str, Any]) -> dict[str, Any]:
    """One generator's row."""
    dropped = sorted((found.get("dropped") or {}).items(), key=lambda item: (-item[1], item[0]))
    kept, name = found.get("kept", 0), found.get("generator", "")
    made = kept + sum(count for _, count in dropped)
    return {
        "generator": title(name),
        "does": GENERATORS.get(name) or GENERATORS.get(found.get("origin", ""), ""),
        "kept": kept,
        "made": made,
        "share": percent(kept / made, 0) if made else None,
        "dropped": [(COPIES.get(reason, spoken(reason)), count) for reason, count in dropped if count],
        "off": found.get("off"),
    }


def intents(run: Run) -> dict[str, Any] | None:
    """Conversations of each intent in each split, most frequent first, with bars on one logarithmic scale."""
    counts = {split: table for split in SPLITS if (table := (run.get("intents") or {}).get(split))}
    if not counts:
        return None
    names = {name for table in counts.values() for name in table}
    totals = {name: sum(table.get(name, 0) for table in counts.values()) for name in names}
    most = logarithmic(max(count for table in counts.values() for count in table.values()))
    rows = [
        {
            "intent": "no label" if name in UNLABELLED else spoken(name),
            "cells": [_intent(split, counts[split].get(name, 0), most) for split in counts],
        }
        for name in sorted(names, key=lambda name: (-totals[name], name))
    ]
    labelled = {name: count for name, count in counts.get("train", {}).items() if name not in UNLABELLED and count}
    skew = None
    if len(labelled) > 1:
        largest, rarest = max(labelled, key=lambda name: labelled[name]), min(labelled, key=lambda name: labelled[name])
        skew = {
            "ratio": _ratio(labelled[largest], labelled[rarest]),
            "largest": spoken(largest),
            "rarest": spoken(rarest),
        }
        skew |= {"most": number(labelled[largest]), "least": number(labelled[rarest])}
    return {
        "splits": list(counts),
        "rows": rows,
        "skew": skew,
        "number": sum(name not in UNLABELLED for name in names),
        "changed": bool(stages(run) & {"augment", "balance"}),
    }


def _intent(split: str, count: int, most: float) -> dict[str, Any]:
    """One bar of one intent."""
    drawn = bar([Segment(split, logarithmic(count), "")], most, f"{count:,} in {split}")
    return {"split": split, "count": count, "bar": drawn}
