"""The data's sections: where every conversation went, what was scrubbed, the intents, and the split's proof."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, bar, logarithmic
from deskloop.report.words import LANGUAGES, STEPS, number, percent, spoken, title

Run = dict[str, Any]
SPLITS = ("train", "validation", "test")
PROOFS = (
    # key, what it counts when it is 0, what it counts otherwise
    ("families_crossing", "No family crosses a split.", "families cross a split."),
    ("near_duplicates_crossing", "No near-duplicate pair crosses a split.", "near-duplicate pairs cross a split."),
    ("customers_crossing", "No customer appears in two splits.", "customers appear in more than one split."),
)


def arrivals(run: Run) -> tuple[int, int]:
    """How many conversations the first step read, and how many are left for the splits (before encoding)."""
    steps = [step for step in run.get("steps", {}).values() if "rows_out" in step]
    if not steps:
        return 0, 0
    splits = (run.get("proof") or {}).get("by_split") or {}
    whole = [step for step in steps if step.get("stage") != "encode"] or steps
    kept = sum(split.get("conversations", 0) for split in splits.values()) or whole[-1]["rows_out"]
    return steps[0]["rows_out"] + steps[0].get("rejected", 0), kept


def funnel(run: Run) -> dict[str, Any] | None:
    """Every step in order: rows in and out, rejects by reason, what was done and why, a bar on a common scale."""
    steps = run.get("steps") or {}
    failed = run.get("failed_step") if run.get("status") == "failed" else None
    rows = [_step(name, step, first=not index) for index, (name, step) in enumerate(steps.items())]
    if failed and failed not in steps:
        rows.append(_step(failed, {}, first=False))
    if not rows:
        return None
    for row in rows:
        row["done"] = "failed" if row["step"] == failed else row["done"]
    scale = max((row["rows_out"] + row["rejected"] for row in rows if row["counted"]), default=0)
    for row in rows:
        row["bar"] = _flow(row, scale) if row["counted"] else None
    read, kept = arrivals(run)
    return {
        "steps": rows,
        "read": read,
        "kept": kept,
        "share": percent(kept / read) if read else None,
        "added": any(row["added"] for row in rows),
        "failed": run.get("status") == "failed",
    }


def _step(name: str, step: Mapping[str, Any], first: bool) -> dict[str, Any]:
    """One step's row of the funnel. A first step has no parent: what it read is what it kept and rejected."""
    counted, rejected = "rows_out" in step, step.get("rejected", 0)
    rows_out = step.get("rows_out", 0)
    reasons = dict(sorted((step.get("reasons") or {}).items(), key=lambda item: (-item[1], item[0])))
    if (unnamed := rejected - sum(reasons.values())) > 0:
        reasons["no_reason_given"] = unnamed
    done = "reused" if step.get("reused") else "extended" if step.get("extended") else "computed"
    return {
        "step": name,
        "does": STEPS.get(step.get("stage") or name, ""),
        "counted": counted,
        "rows_in": rows_out + rejected if first else step.get("rows_in", rows_out + rejected - step.get("added", 0)),
        "rows_out": rows_out,
        "rejected": rejected,
        "added": 0 if first else step.get("added", 0),
        "touched": step.get("touched") if done == "extended" else None,
        "reasons": [(spoken(reason), count) for reason, count in reasons.items() if count],
        "done": done,
        "why": step.get("why"),
        "seconds": step.get("seconds"),
    }


def _flow(row: dict[str, Any], scale: int) -> str:
    """The stacked bar of a step: carried on, added, rejected by reason (in two alternating shades)."""
    kept = row["rows_out"] - row["added"]
    segments = [
        Segment("kept", kept, f"{number(kept)} kept"),
        Segment("added", row["added"], f"{row['added']:,} added"),
    ]
    segments += [
        Segment(f"rejected shade-{index % 2}", count, f"{number(count)} rejected: {reason}")
        for index, (reason, count) in enumerate(row["reasons"])
    ]
    return bar(segments, scale, ", ".join(segment.label for segment in segments if segment.length))


def scrubbed(run: Run) -> dict[str, Any] | None:
    """Placeholders by entity type, most frequent first, and the languages found."""
    entities = run.get("entities")
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
    languages = sorted((run.get("languages") or {}).items(), key=lambda item: (-item[1], item[0]))
    total = sum(count for _, count in languages)
    named = [(LANGUAGES.get(code, code), count, percent(count / total) if total else "") for code, count in languages]
    return {"entities": rows, "total": sum(row["count"] for row in rows), "languages": named}


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
            "intent": spoken(name) if name else "no label",
            "cells": [_intent(split, counts[split].get(name, 0), most) for split in counts],
        }
        for name in sorted(names, key=lambda name: (-totals[name], name or ""))
    ]
    labelled = {name: count for name, count in counts.get("train", {}).items() if name and count}
    skew = None
    if len(labelled) > 1:
        largest, rarest = max(labelled, key=lambda name: labelled[name]), min(labelled, key=lambda name: labelled[name])
        skew = {"ratio": labelled[largest] / labelled[rarest], "largest": spoken(largest), "rarest": spoken(rarest)}
        skew |= {"most": labelled[largest], "least": labelled[rarest]}
    return {"splits": list(counts), "rows": rows, "skew": skew, "number": sum(1 for name in names if name)}


def _intent(split: str, count: int, most: float) -> dict[str, Any]:
    """One bar of one intent."""
    drawn = bar([Segment(split, logarithmic(count), "")], most, f"{count:,} in {split}")
    return {"split": split, "count": count, "bar": drawn}


def proof(run: Run) -> dict[str, Any] | None:
    """What the split step proved on its own result; whatever was not checked is not claimed."""
    found = run.get("proof")
    if not found:
        return None
    lines = []
    for key, holds, broken in PROOFS:
        if (count := found.get(key)) is not None:
            lines.append({"key": key, "holds": not count, "text": f"{number(count)} {broken}" if count else holds})
    splits = found.get("by_split") or {}
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
    return {
        "lines": lines,
        "splits": rows,
        "families": found.get("families"),
        "largest": found.get("largest_family"),
        "pairs": found.get("near_duplicate_pairs_checked"),
    }
