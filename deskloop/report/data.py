"""The data's sections: where every conversation went, what was scrubbed, and the proof of the split."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, bar
from deskloop.report.glossary import COPIES, LANGUAGES, REASONS, STEPS
from deskloop.report.words import number, percent, spoken, title

Run = dict[str, Any]
SPLITS = ("train", "validation", "test")
PROOFS = (
    # key, what it counts when it is 0, what it counts otherwise
    ("families_crossing", "No family crosses a split.", "families cross a split."),
    ("near_duplicates_crossing", "No near-duplicate pair crosses a split.", "near-duplicate pairs cross a split."),
    ("customers_crossing", "No customer appears in two splits.", "customers appear in more than one split."),
)


def arrivals(run: Run) -> tuple[int, int]:
    """How many conversations the first step read, and how many of them are left for the splits, copies not counted."""
    steps = [step for step in run.get("steps", {}).values() if "rows_out" in step]
    if not steps:
        return 0, 0
    splits = (run.get("proof") or {}).get("by_split") or {}
    whole = [step for step in steps if step.get("stage") != "encode"] or steps
    sources = [step for step in steps if not step.get("parents")] or steps[:1]
    copies = sum(_added(step) for step in whole if step not in sources)
    kept = sum(split.get("conversations", 0) for split in splits.values()) or max(whole[-1]["rows_out"] - copies, 0)
    return sum(step["rows_out"] + step.get("rejected", 0) for step in sources), kept


def funnel(run: Run) -> dict[str, Any] | None:
    """Every step in order: rows in and out, rejects by reason, what was done and why, a bar on a common scale."""
    steps = run.get("steps") or {}
    failed = run.get("failed_step") if run.get("status") == "failed" else None
    rows = [
        _step(name, step, first=not step["parents"] if "parents" in step else not index)
        for index, (name, step) in enumerate(steps.items())
    ]
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
        "drawn": [row for row in rows if row["counted"] or row["done"] == "failed"],
        "read": read,
        "kept": kept,
        "share": percent(kept / read) if read else None,
        "added": any(row["added"] for row in rows),
        "rejected": any(row["rejected"] for row in rows),
        "failed": run.get("status") == "failed",
    }


def _added(step: Mapping[str, Any]) -> int:
    """Rows that a step added and kept; copies that `augment` dropped count as added and as rejected."""
    added: int = step.get("added", 0)
    return max(added - step.get("rejected", 0), 0) if step.get("stage") == "augment" else added


def _step(name: str, step: Mapping[str, Any], first: bool) -> dict[str, Any]:
    """One step's row of the funnel. A first step has no parent: what it read is what it kept and rejected."""
    counted, rejected = "rows_out" in step, step.get("rejected", 0)
    rows_out, stage = step.get("rows_out", 0), step.get("stage") or name
    reasons = dict(sorted((step.get("reasons") or {}).items(), key=lambda item: (-item[1], item[0])))
    if (unnamed := rejected - sum(reasons.values())) > 0:
        reasons["no_reason_given"] = unnamed
    done = "reused" if step.get("reused") else "extended" if step.get("extended") else "computed"
    names = COPIES if stage == "augment" else REASONS
    return {
        "step": name,
        "does": STEPS.get(stage, ""),
        "counted": counted,
        "rows_in": rows_out + rejected if first else step.get("rows_in", rows_out + rejected - step.get("added", 0)),
        "rows_out": rows_out,
        "rejected": rejected,
        "added": 0 if first else _added(step),
        "noun": "copies added"
        if stage == "augment"
        else "from cutting long conversations"
        if stage == "encode"
        else "added",
        "dropped": "copies dropped: " if stage == "augment" else "",
        "touched": step.get("touched") if done == "extended" else None,
        "reasons": [(names.get(reason, spoken(reason)), count) for reason, count in reasons.items() if count],
        "done": done,
        "why": step.get("why"),
        "seconds": step.get("seconds"),
    }


def _flow(row: dict[str, Any], scale: int) -> str:
    """The stacked bar of a step: carried on, added, rejected by reason (in two alternating shades)."""
    kept = row["rows_out"] - row["added"]
    segments = [
        Segment("kept", kept, f"{number(kept)} kept"),
        Segment("added", row["added"], f"{number(row['added'])} {row['noun']}"),
    ]
    segments += [
        Segment(f"rejected shade-{index % 2}", count, f"{number(count)} {row['dropped'] or 'rejected: '}{reason}")
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


def proof(run: Run) -> dict[str, Any] | None:
    """What the split step proved on its own result; whatever was not checked is not claimed."""
    found = run.get("proof")
    if not found:
        return None
    lines = []
    for key, holds, broken in PROOFS:
        if (count := found.get(key)) is not None:
            verdict = "good" if not count else "warn" if key == "customers_crossing" else "bad"
            lines.append({"key": key, "verdict": verdict, "text": f"{number(count)} {broken}" if count else holds})
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
    parts = [
        Segment(row["split"], row["conversations"], f"{number(row['conversations'])} {row['split']}") for row in rows
    ]
    return {
        "lines": lines,
        "splits": rows,
        "bar": bar(parts, total, ", ".join(part.label for part in parts)) if total else None,
        "families": found.get("families"),
        "largest": found.get("largest_family"),
        "pairs": found.get("near_duplicate_pairs_checked"),
    }
