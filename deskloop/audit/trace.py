"""One example followed back: through every dataset it went, by lineage, with what each step did to it.

The raw row is shown on request alone, and whoever asks leaves a line in `ledger/access.jsonl`.
"""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import ConfigError
from deskloop.pipeline.pipeline import Pipeline
from deskloop.store.catalog import Catalog, Version
from deskloop.store.store import Store
from deskloop.store.zones import RAW, allow_raw

ACCESS = "access.jsonl"
_SHOWN = ("intent", "intent_source", "language", "origin", "parent_id", "family", "split", "repeats", "weight")


@dataclass(frozen=True)
class Stop:
    """One dataset on the way.

    Attributes:
        row_id: under which the example is in it: an added row is made from the one without the last "/...".
        happened: what the step did to it.
        row: its columns as plain values; empty where it was rejected or is in the raw zone and was not asked for.
    """

    version: str
    step: str
    zone: str
    row_id: str
    happened: str
    row: dict[str, Any] = field(default_factory=dict)


def trace(pipeline: Pipeline, store: Store, row_id: str, raw: bool = False) -> list[Stop]:
    """Follow a row back from the last dataset that has it to the source.

    Args:
        raw: show the raw row as well; notes time, user and row id in the ledger.
    Returns:
        The datasets it went through, the last one first.
    Raises:
        ConfigError: no published version and no reject has such a row.
    """
    catalog = Catalog(store.root / "catalog")
    start, reason = _start(pipeline, store, catalog, row_id)
    if start is None:
        return _raw_only(pipeline, store, catalog, row_id, raw)
    stops: list[Stop] = []
    below: dict[str, Any] = {}
    version: Version | None = start
    if reason:
        stops.append(Stop(start.name, start.step, start.zone, row_id, f"rejected: {reason}"))
        version = _parent(store, catalog, start, row_id, raw)
    while version is not None:
        if version.zone == RAW:
            row = _raw_row(store, version, row_id) if raw else {}
            stops.append(_raw_stop(version, row_id, row, raw))
        else:
            row = _closest(store, version, row_id)
            stops.append(Stop(version.name, version.step, version.zone, row["row_id"], "", _tidy(row)))
        if below and row:
            stops[-2] = _told(stops[-2], below, row)
        below = row
        version = _parent(store, catalog, version, row_id, raw)
    return [stop if stop.happened else _first(stop) for stop in stops]


def note_access(ledger: Path, row_id: str | None) -> None:
    """Add a line on who looked at a raw row, and when; the row's id, no text.

    Args:
        row_id: None where there is no such row: what was typed may be anything.
    """
    ledger.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "user": getpass.getuser(), "row_id": row_id}
    handle = os.open(ledger / ACCESS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, orjson.dumps(line) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def ids_of(row_id: str) -> list[str]:
    """The ids that a row may have had, the latest first: `HD-1/noise-1/w2`, `HD-1/noise-1`, `HD-1`."""
    ids = [row_id]
    while "/" in ids[-1]:
        ids.append(ids[-1].rpartition("/")[0])
    return ids


def _start(pipeline: Pipeline, store: Store, catalog: Catalog, row_id: str) -> tuple[Version | None, str]:
    """The last version that holds the row, or the first of the step that rejected it, and why."""
    for step in reversed(pipeline.steps):
        latest = [catalog.latest(name) for name in step.datasets.values()]
        found = [version for version in latest if version is not None]
        for version in found:
            if version.zone != RAW and any(row["row_id"] == row_id for row in _rows(store, version, [row_id])):
                return version, ""
        if found and (reason := _rejected(store, found[0], row_id)):
            return found[0], reason
    return None, ""


def _raw_only(pipeline: Pipeline, store: Store, catalog: Catalog, row_id: str, raw: bool) -> list[Stop]:
    """A row that no step after the raw zone has seen yet."""
    problem = f"no published version has a row {row_id!r}" + (
        "" if raw else "; if it is new, --raw looks in the raw zone"
    )
    latest = [found for name in reversed(pipeline.raw_datasets) if (found := catalog.latest(name)) is not None]
    if raw:
        with allow_raw("trace"):
            held = [version for version in latest if _closest(store, version, row_id)]
        if held:
            stops = [_raw_stop(version, row_id, _raw_row(store, version, row_id), raw) for version in held]
            return [stop if stop.happened else _first(stop) for stop in stops]
        note_access(store.root / "ledger", None)
    raise ConfigError(problem, "the command")


def _raw_row(store: Store, version: Version, row_id: str) -> dict[str, Any]:
    """The row as it was read, or the bytes that could not be; whoever asks is noted first."""
    with allow_raw("trace"):
        row = _closest(store, version, row_id) or _quarantined(store, row_id)
    note_access(store.root / "ledger", row.get("row_id"))
    return row


def _raw_stop(version: Version, row_id: str, row: dict[str, Any], raw: bool) -> Stop:
    happened = "" if row else "not in the raw zone any more" if raw else "in the raw zone; --raw shows it and is noted"
    return Stop(version.name, version.step, RAW, row.get("row_id", ids_of(row_id)[-1]), happened, _tidy(row))


def _parent(store: Store, catalog: Catalog, version: Version, row_id: str, raw: bool) -> Version | None:
    """The parent that the row came from; the first of the raw zone, which is not opened to look."""
    parents = [_resolved(catalog, parent.name) for parent in version.parents]
    for parent in parents:
        if parent.kind == "dataset" and (parent.zone == RAW or _closest(store, parent, row_id)):
            return parent
    return None


def _resolved(catalog: Catalog, name: str) -> Version:
    """A version; where erasure or retention went over it, the latest one of its dataset."""
    (found,) = [version for version in catalog.versions if version.name == name]
    return catalog.get(found.dataset) if found.gone else found


def _rows(store: Store, version: Version, ids: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.rows(version.zone, version.dataset, version.delta_version, ids).to_pylist()
    return rows


def _closest(store: Store, version: Version, row_id: str) -> dict[str, Any]:
    ids = ids_of(row_id)
    rows = sorted(_rows(store, version, ids), key=lambda row: ids.index(row["row_id"]))
    return rows[0] if rows else {}


def _rejected(store: Store, version: Version, row_id: str) -> str:
    rejects = f"{version.step}.rejects"
    found = store.rows("clean", rejects, version.rejects_version, [row_id]) if version.rejects_version >= 0 else None
    return found["reason"][0].as_py() if found else ""


def _quarantined(store: Store, row_id: str) -> dict[str, Any]:
    if not store.exists(RAW, "quarantine"):
        return {}
    rows = store.rows(RAW, "quarantine", store.delta_version(RAW, "quarantine"), [row_id]).to_pylist()
    return {**rows[0], "raw": rows[0]["raw"].decode(errors="replace")} if rows else {}


def _told(stop: Stop, below: dict[str, Any], above: dict[str, Any]) -> Stop:
    """What a step made of the row above."""
    if stop.happened:
        return stop
    if "input_ids" in below:
        told = f"{len(below['input_ids']):,} tokens, {below['supervised_tokens']:,} of them learned"
    else:
        changed = [
            name for name in below if name in above and name not in ("batch", "row_id") and below[name] != above[name]
        ]
        told = f"changed {', '.join(changed)}" if changed else "unchanged"
    made = f"; made from {above['row_id']}" if below["row_id"] != above["row_id"] else ""
    return Stop(stop.version, stop.step, stop.zone, stop.row_id, told + made, stop.row)


def _first(stop: Stop) -> Stop:
    happened = "as it was read" if stop.zone == RAW else "made from the raw zone"
    return Stop(stop.version, stop.step, stop.zone, stop.row_id, happened, stop.row)


def _tidy(row: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to see: labels that are set, and the text or, where there is none, the counts."""
    kept = {name: row[name] for name in _SHOWN if row.get(name) is not None}
    if row.get("turns"):
        kept["turns"] = [{"role": turn["role"], "text": turn["text"]} for turn in row["turns"]]
    for name in ("metadata", "known", "reason", "raw", "supervised_tokens"):
        if row.get(name):
            kept[name] = dict(row[name]) if isinstance(row[name], list) else row[name]
    return kept
