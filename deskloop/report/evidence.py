"""The evidence's sections: what was expected of the data, and where every dataset comes from."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.words import number, observed, relative, title

Run = dict[str, Any]


def expectations(run: Run) -> dict[str, Any] | None:
    """Expectations by step, failed ones first, in plain words."""
    groups = []
    for name, step in (run.get("steps") or {}).items():
        if results := step.get("expectations"):
            rows = sorted((_result(result) for result in results), key=_urgency)
            groups.append(
                {
                    "step": name,
                    "rows": rows,
                    "passed": sum(row["passed"] for row in rows),
                    "verdict": rows[0]["verdict"],
                }
            )
    if not groups:
        return None
    return {
        "groups": groups,
        "total": sum(len(group["rows"]) for group in groups),
        "passed": sum(group["passed"] for group in groups),
        "docs": relative(run.get("data_docs")),
    }


def _urgency(row: dict[str, Any]) -> tuple[bool, bool]:
    """Failed before passed, critical before warning; otherwise the suite's own order."""
    return row["passed"], row["severity"] != "critical"


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    """One expectation's row; `verdict` is the style class of its outcome: good, warn or bad."""
    unexpected, rows = result.get("unexpected"), result.get("rows")
    passed, severity = bool(result.get("passed")), result.get("severity", "critical")
    return {
        "text": result.get("description") or title(result.get("expectation", "")),
        "name": result.get("expectation"),
        "severity": severity,
        "passed": passed,
        "verdict": "good" if passed else "bad" if severity == "critical" else "warn",
        "unexpected": None if unexpected is None else number(unexpected),
        "rows": None if rows is None else number(rows),
        "observed": None if result.get("observed") is None else observed(result["observed"]),
    }


def lineage(run: Run) -> dict[str, Any] | None:
    """A row for each published dataset: what it was made from, its digest, and its step's fingerprint."""
    rows = [
        {
            "step": name,
            "dataset": "@".join(str(dataset[key]) for key in ("dataset", "version") if key in dataset),
            "parents": step.get("parents") or [],
            "rows": number(dataset.get("rows")),
            "digest": dataset.get("digest") or "",
            "fingerprint": step.get("fingerprint") or "",
        }
        for name, step in (run.get("steps") or {}).items()
        for dataset in step.get("datasets") or []
        if "dataset" in dataset
    ]
    if not rows:
        return None
    return {"rows": rows, "libraries": sorted((run.get("libraries") or {}).items())}
