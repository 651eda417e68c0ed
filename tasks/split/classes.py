"""The sections of the report on intents: training rows as logged, with copies and after balancing; and each split."""

from collections.abc import Mapping
from typing import Any

from deskloop.contract.report import Document
from deskloop.contract.schema import SPLITS
from deskloop.report.charts import Segment, bar, logarithmic
from deskloop.report.words import number, spoken

UNLABELLED = ("", "(none)")
REBALANCING = {"augment", "balance"}  # the stages that change how many rows of an intent there are


def classes(document: Document) -> dict[str, Any] | None:
    """Return training conversations by intent: as logged, with copies, and after balancing, if these stages ran."""
    counts = document.get("classes")
    ran = _rebalancing(document)
    if not counts or not ran:
        return None
    rows = [_counts(row) for row in counts]
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
    """Return the figures of one intent; a count that the document lacks is that of the stage before."""
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
    """Return the bars of one intent, on the scale of all: logged; logged and copies; rows and their repeats."""
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
    """Return the ratio of the most frequent intent to the rarest one, without intents at 0 and unlabelled rows."""
    counts = [row[column] for row in rows if row["labelled"] and row[column]]
    return _ratio(max(counts), min(counts)) if len(counts) > 1 else None


def _ratio(most: int, least: int) -> str:
    return f"{most / least:,.1f}".removesuffix(".0")


def intents(document: Document) -> dict[str, Any] | None:
    """Return conversations of each intent in each split, most frequent first, with bars on one logarithmic scale."""
    counts = {split: table for split in SPLITS if (table := (document.get("intents") or {}).get(split))}
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
        "changed": bool(_rebalancing(document)),
    }


def _intent(split: str, count: int, most: float) -> dict[str, Any]:
    """Return one bar of one intent."""
    drawn = bar([Segment(split, logarithmic(count), "")], most, f"{count:,} in {split}")
    return {"split": split, "count": count, "bar": drawn}


def _rebalancing(document: Document) -> set[str]:
    """Return the stages of the run that changed the number of rows of an intent."""
    steps = (document.get("steps") or {}).items()
    return {step.get("stage") or name for name, step in steps} & REBALANCING
