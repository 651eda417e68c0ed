"""The section on measured recall: of the values planted into the run's own conversations, how many scrub found."""

from collections.abc import Mapping
from typing import Any

from deskloop.report.charts import Segment, bar
from deskloop.report.glossary import FORMS
from deskloop.report.words import number, percent, title

Run = dict[str, Any]


def recall(run: Run) -> dict[str, Any] | None:
    """The share found, over all, by type (the worst first) and by how the value was written."""
    found = run.get("recall") or {}
    whole = _row("", found)
    if whole is None:
        return None
    types = [row for name, cell in (found.get("types") or {}).items() if (row := _row(title(name), cell))]
    forms = [
        row
        for name, cell in (found.get("forms") or {}).items()
        if (row := _row(FORMS.get(name, ("", title(name)))[1], cell, FORMS.get(name, ("", ""))[0]))
    ]
    disturbed = found.get("disturbed")
    return {
        **whole,
        "types": sorted(types, key=lambda row: (row["part"], row["name"])),
        "forms": forms,
        "disturbed": percent(disturbed) if isinstance(disturbed, int | float) else None,
    }


def _row(name: str, cell: Mapping[str, Any], kind: str = "") -> dict[str, Any] | None:
    """A share with its interval and a bar of the length 1; None where nothing was planted."""
    planted, found = cell.get("planted"), cell.get("found")
    if not planted or found is None:
        return None
    low, high = cell.get("low"), cell.get("high")
    interval = (low, high) if low is not None and high is not None else None
    between = f"{percent(low, 0)} to {percent(high, 0)}" if interval else ""
    label = f"{number(found)} of {number(planted)}" + (f", 95% interval {between}" if interval else "")
    return {
        "name": name,
        "note": kind,
        "planted": planted,
        "found": found,
        "part": found / planted,
        "share": percent(found / planted),
        "interval": between,
        "bar": bar([Segment("kept", found / planted, label)], 1.0, label, interval),
    }
