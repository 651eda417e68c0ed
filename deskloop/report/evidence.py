"""The evidence's sections: expectations, the lineage of every version, and the tools and libraries."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.lanes import Node, lanes
from deskloop.report.words import number, observed, relative, title

Run = dict[str, Any]
KINDS = ("dataset", "model", "evaluation", "promotion")


def expectations(run: Run) -> dict[str, Any] | None:
    """Return all failed expectations, critical ones first, and the expectations of every step."""
    groups, failed = [], []
    for name, step in (run.get("steps") or {}).items():
        if results := step.get("expectations"):
            rows = sorted((_result(result) for result in results), key=_urgency)
            failed += [row | {"step": name} for row in rows if not row["passed"]]
            passed = sum(row["passed"] for row in rows)
            groups.append({"step": name, "rows": rows, "passed": passed, "verdict": rows[0]["verdict"]})
    if not groups:
        return None
    return {
        "groups": groups,
        "failed": sorted(failed, key=_urgency),
        "total": sum(len(group["rows"]) for group in groups),
        "passed": sum(group["passed"] for group in groups),
        "docs": relative(run.get("data_docs")),
    }


def _urgency(row: dict[str, Any]) -> tuple[bool, bool]:
    """Failed before passed, critical before warning; otherwise the suite's own order."""
    return row["passed"], row["severity"] != "critical"


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return one expectation's row; `verdict` is the style class of its outcome: good, warn or bad."""
    unexpected, rows = result.get("unexpected"), result.get("rows")
    passed, severity = bool(result.get("passed")), result.get("severity", "critical")
    return {
        "text": result.get("description") or title(result.get("expectation", "")),
        "severity": severity,
        "passed": passed,
        "verdict": "good" if passed else "bad" if severity == "critical" else "warn",
        "unexpected": None if unexpected is None else number(unexpected),
        "rows": None if rows is None else number(rows),
        "relaxed": result.get("relaxed") or None,
        "observed": None if result.get("observed") is None else observed(result["observed"]),
    }


def lineage(run: Run) -> dict[str, Any] | None:
    """Return every step with its versions, and the lines that lead to it from the steps that it read."""
    versions = [version for version in run.get("lineage") or _of_steps(run) if version.get("name")]
    if not versions:
        return None
    made_by = {version["name"]: version.get("step") or version["name"] for version in versions}
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for version in versions:
        groups.setdefault(made_by[version["name"]], []).append(version)
    parents = {
        name: [parent for version in group for parent in version.get("parents") or []] for name, group in groups.items()
    }
    nodes = [
        Node(name, _kind(group[0]), [made_by.get(parent, parent) for parent in parents[name]])
        for name, group in groups.items()
    ]
    drawings, width = lanes(nodes)
    rows = [
        {
            "versions": [_version(version) for version in group],
            "drawing": drawing,
            "step": group[0].get("step"),
            "parents": list(dict.fromkeys(parents[name])),
            "source": not parents[name] and _kind(group[0]) == "dataset",
        }
        for (name, group), drawing in zip(groups.items(), drawings, strict=True)
    ]
    steps = (run.get("steps") or {}).items()
    return {
        "rows": rows,
        "versions": [_version(version) for version in versions],
        "width": width,
        "raw": any(version.get("zone") == "raw" for version in versions),
        "kinds": [kind for kind in KINDS if any(node.kind == kind for node in nodes)],
        "earlier": sorted({parent for names in parents.values() for parent in names if parent not in made_by}),
        "fingerprints": [(name, step["fingerprint"]) for name, step in steps if step.get("fingerprint")],
    }


def _version(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of one version."""
    return {
        "name": version["name"],
        "rows": number(version["rows"]) if version.get("rows") is not None else None,
        "digest": version.get("digest"),
        "raw": version.get("zone") == "raw",
    }


def _kind(version: Mapping[str, Any]) -> str:
    """Return the style class of a version's dot."""
    return version["kind"] if version.get("kind") in KINDS else "dataset"


def _of_steps(run: Run) -> list[dict[str, Any]]:
    """Return the versions as far as the steps name them, for a run without lineage."""
    return [
        {
            "name": "@".join(str(dataset[key]) for key in ("dataset", "version") if key in dataset),
            "step": name,
            "parents": step.get("parents") or [],
            "rows": dataset.get("rows"),
            "digest": dataset.get("digest"),
        }
        for name, step in (run.get("steps") or {}).items()
        for dataset in step.get("datasets") or []
        if "dataset" in dataset
    ]


def missing_tools(run: Run) -> list[tuple[str, str]]:
    """Return (step, a sentence) for each tool that is not installed, so that the step worked without it."""
    missing: dict[tuple[str, str], None] = {}
    for name, step in (run.get("steps") or {}).items():
        for equipment, version in (step.get("equipment") or {}).items():
            if version is None:
                part, _, tool = equipment.rpartition(": ")
                missing[name, f"{part} is off: {tool} is not installed" if part else f"{tool} is not installed"] = None
    return list(missing)


def environment(run: Run) -> dict[str, Any] | None:
    """Return versions of libraries, and of the tools and files outside them that affect a result."""
    tools = [
        {"step": name, "tool": tool, "version": None if version is None else str(version)}
        for name, step in (run.get("steps") or {}).items()
        for tool, version in (step.get("equipment") or {}).items()
    ]
    libraries = sorted((run.get("libraries") or {}).items())
    return {"tools": tools, "libraries": libraries} if tools or libraries else None
