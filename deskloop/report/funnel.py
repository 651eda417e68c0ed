"""Where every conversation went: rows in and out of each step, and the rejected and added rows."""

from collections.abc import Mapping
from typing import Any

from deskloop.contract.stage import DataStage, Stage, StageConfig
from deskloop.report.charts import Segment, bar
from deskloop.report.words import number, percent, spoken

Run = dict[str, Any]
Stages = Mapping[str, Stage]
OTHER = DataStage(name="", dataset="", config=StageConfig)  # stands for a stage that is not a data stage


def arrivals(run: Run, stages: Stages) -> tuple[int, int]:
    """Return how many conversations the sources read, and how many of them are left for the splits, without copies.

    Without a split, the conversations left are those of the last steps of every branch. Branches that share a source
    share conversations, so that only the largest of them counts.
    """
    steps = {name: step for name, step in (run.get("steps") or {}).items() if "rows_out" in step}
    parents = _parents(steps)
    read = sum(step["rows_out"] + step.get("rejected", 0) for name, step in steps.items() if not parents[name])
    splits = (run.get("proof") or {}).get("by_split") or {}
    if splits:
        return read, sum(split.get("conversations", 0) for split in splits.values())
    whole = [name for name in steps if "turns" in _stage(name, steps[name], stages).schema.names] or list(steps)
    above: dict[str, set[str]] = {}
    for name in steps:
        above[name] = {name}.union(*(above.get(parent, ()) for parent in parents[name]))
    left = {}
    for name in whole:
        if not any(name in above[other] for other in whole if other != name):
            copied = above[name] & {other for other in whole if parents[other]}
            copies = sum(_added(steps[other], _stage(other, steps[other], stages)) for other in copied)
            left[name] = max(steps[name]["rows_out"] - copies, 0)
    total, counted = 0, set[str]()
    for name in sorted(left, key=lambda name: -left[name]):
        sources = {source for source in above[name] if not parents[source]}
        if not sources & counted:
            total += left[name]
            counted |= sources
    return read, total


def _parents(steps: Run) -> dict[str, list[str]]:
    """Return the steps that each step read; a step without lineage read the step before."""
    made_by = {
        "@".join(str(dataset[key]) for key in ("dataset", "version") if key in dataset): name
        for name, step in steps.items()
        for dataset in step.get("datasets") or []
    }
    read, before = {}, ""
    for name, step in steps.items():
        recorded = [made_by.get(parent, before) for parent in step["parents"]] if "parents" in step else [before]
        read[name] = [parent for parent in dict.fromkeys(recorded) if parent and parent != name]
        before = name
    return read


def funnel(run: Run, stages: Stages) -> dict[str, Any] | None:
    """Return every step in order: rows in and out, rejects by reason, what it did and why, a bar on a common scale."""
    steps = run.get("steps") or {}
    failed = run.get("failed_step") if run.get("status") == "failed" else None
    rows = [
        _step(name, step, stages, first=not step["parents"] if "parents" in step else not index)
        for index, (name, step) in enumerate(steps.items())
    ]
    if failed and failed not in steps:
        rows.append(_step(failed, {}, stages, first=False))
    if not rows:
        return None
    for row in rows:
        row["done"] = "failed" if row["step"] == failed else row["done"]
    scale = max((row["rows_out"] + row["rejected"] for row in rows if row["counted"]), default=0)
    for row in rows:
        row["bar"] = _flow(row, scale) if row["counted"] else None
    read, left = arrivals(run, stages)
    return {
        "steps": rows,
        "drawn": [row for row in rows if row["counted"] or row["done"] == "failed"],
        "read": read,
        "kept": left,
        "share": percent(left / read) if read else None,
        "added": any(row["added"] for row in rows),
        "rejected": any(row["rejected"] for row in rows),
        "failed": run.get("status") == "failed",
    }


def _stage(name: str, step: Mapping[str, Any], stages: Stages) -> DataStage:
    stage = stages.get(step.get("stage") or name)
    return stage if isinstance(stage, DataStage) else OTHER


def _added(step: Mapping[str, Any], stage: DataStage) -> int:
    """Return the rows that a step added and did not reject."""
    added: int = step.get("added", 0)
    return max(added - step.get("rejected", 0), 0) if stage.rejected else added


def _step(name: str, step: Mapping[str, Any], stages: Stages, first: bool) -> dict[str, Any]:
    """Return a step's row of the funnel. A first step has no parent: it read the rows that it kept and rejected."""
    counted, rejected, rows_out = "rows_out" in step, step.get("rejected", 0), step.get("rows_out", 0)
    stage, declared = _stage(name, step, stages), stages.get(step.get("stage") or name)
    reasons = dict(sorted((step.get("reasons") or {}).items(), key=lambda item: (-item[1], item[0])))
    if (unnamed := rejected - sum(reasons.values())) > 0:
        reasons["no_reason_given"] = unnamed
    done = "reused" if step.get("reused") else "extended" if step.get("extended") else "computed"
    return {
        "step": name,
        "does": declared.summary if declared else "",
        "counted": counted,
        "rows_in": rows_out + rejected if first else step.get("rows_in", rows_out + rejected - step.get("added", 0)),
        "rows_out": rows_out,
        "rejected": rejected,
        "added": 0 if first else _added(step, stage),
        "noun": stage.added or "added",
        "dropped": f"{stage.rejected}: " if stage.rejected else "",
        "touched": step.get("touched") if done == "extended" else None,
        "reasons": [(stage.words.get(reason, spoken(reason)), count) for reason, count in reasons.items() if count],
        "done": done,
        "why": step.get("why"),
        "seconds": step.get("seconds"),
    }


def _flow(row: dict[str, Any], scale: int) -> str:
    """Return the stacked bar of a step: kept, added, rejected by reason (in two alternating shades)."""
    remaining = row["rows_out"] - row["added"]
    segments = [
        Segment("kept", remaining, f"{number(remaining)} kept"),
        Segment("added", row["added"], f"{number(row['added'])} {row['noun']}"),
    ]
    segments += [
        Segment(f"rejected shade-{index % 2}", count, f"{number(count)} {row['dropped'] or 'rejected: '}{reason}")
        for index, (reason, count) in enumerate(row["reasons"])
    ]
    return bar(segments, scale, ", ".join(segment.label for segment in segments if segment.length))
