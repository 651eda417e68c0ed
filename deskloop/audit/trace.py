"""Lineage of a row: every dataset that it passed through, with the changes that each step made.

The raw row is shown on request only, and every such access is recorded in `ledger/access.jsonl`.
"""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
    """One dataset that a row passed through.

    Attributes:
        row_id: its id in this dataset; an added row derives from the row whose id lacks the last "/...".
        happened: the change that the step made.
        row: its columns as plain values; empty if it was rejected, or is in the raw zone and was not requested.
    """

    version: str
    step: str
    zone: str
    row_id: str
    happened: str
    row: dict[str, Any] = field(default_factory=dict)


def trace(pipeline: Pipeline, store: Store, row_id: str, raw: bool = False) -> list[Stop]:
    """Follow a row from the last dataset that has it back to the source.

    Args:
        raw: include the raw row, and record time, user and row id in the ledger.
    Returns:
        The datasets that it passed through, the last one first.
    Raises:
        ConfigError: neither a published version nor the rejects have such a row.
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
            stops[-2] = _with_change(stops[-2], below, row)
        below = row
        version = _parent(store, catalog, version, row_id, raw)
    return [stop if stop.happened else _first(stop) for stop in stops]


def record_access(ledger: Path, row_id: str | None) -> None:
    """Record who accessed a raw row and when, with the row's id and no text.

    Args:
        row_id: None if there is no such row, since the requested id is arbitrary text.
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
    """Return the ids that a row may have had, the latest first: `HD-1/noise-1/w2`, `HD-1/noise-1`, `HD-1`."""
    ids = [row_id]
    while "/" in ids[-1]:
        ids.append(ids[-1].rpartition("/")[0])
    return ids


def _start(pipeline: Pipeline, store: Store, catalog: Catalog, row_id: str) -> tuple[Version | None, str]:
    """Return the last version that has the row, or the first one of the step that rejected it and the reason."""
    for step in reversed(pipeline.steps):
        latest = [version for name in step.datasets.values() if (version := catalog.latest(name)) is not None]
        for version in latest:
            if version.zone != RAW and any(row["row_id"] == row_id for row in _rows(store, version, [row_id])):
                return version, ""
        if latest and (reason := _rejected(store, latest[0], row_id)):
            return latest[0], reason
    return None, ""


def _raw_only(pipeline: Pipeline, store: Store, catalog: Catalog, row_id: str, raw: bool) -> list[Stop]:
    """Return the stops of a row that no step after the raw zone has processed yet."""
    latest = [version for name in reversed(pipeline.raw_datasets) if (version := catalog.latest(name)) is not None]
    if raw:
        with allow_raw("trace"):
            matching = [version for version in latest if _closest(store, version, row_id)]
        if matching:
            stops = [_raw_stop(version, row_id, _raw_row(store, version, row_id), raw) for version in matching]
            return [stop if stop.happened else _first(stop) for stop in stops]
        record_access(store.root / "ledger", None)
    hint = "" if raw else "; if it is new, --raw searches the raw zone"
    raise ConfigError(f"no published version has a row {row_id!r}{hint}", "the command")


def _raw_row(store: Store, version: Version, row_id: str) -> dict[str, Any]:
    """Return the row as it was read, or the unreadable bytes, after the access is recorded."""
    with allow_raw("trace"):
        row = _closest(store, version, row_id) or _quarantined(store, row_id)
    record_access(store.root / "ledger", row.get("row_id"))
    return row


def _raw_stop(version: Version, row_id: str, row: dict[str, Any], raw: bool) -> Stop:
    hidden = "no longer in the raw zone" if raw else "in the raw zone; --raw shows it and records the access"
    happened = "" if row else hidden
    return Stop(version.name, version.step, RAW, row.get("row_id", ids_of(row_id)[-1]), happened, _tidy(row))


def _parent(store: Store, catalog: Catalog, version: Version, row_id: str, raw: bool) -> Version | None:
    """Return the parent that has the row, or the first one in the raw zone, which is not opened to check."""
    parents = [_resolved(catalog, parent.name) for parent in version.parents]
    for parent in parents:
        if parent.kind == "dataset" and (parent.zone == RAW or _closest(store, parent, row_id)):
            return parent
    return None


def _resolved(catalog: Catalog, name: str) -> Version:
    """Return a version, or the latest one of its dataset if erasure or retention has deleted it."""
    (version,) = [version for version in catalog.versions if version.name == name]
    return catalog.get(version.dataset) if version.gone else version


def _rows(store: Store, version: Version, ids: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.rows(version.zone, version.dataset, version.delta_version, ids).to_pylist()
    return rows


def _closest(store: Store, version: Version, row_id: str) -> dict[str, Any]:
    ids = ids_of(row_id)
    rows = sorted(_rows(store, version, ids), key=lambda row: ids.index(row["row_id"]))
    return rows[0] if rows else {}


def _rejected(store: Store, version: Version, row_id: str) -> str:
    rejects = f"{version.step}.rejects"
    rows = store.rows("clean", rejects, version.rejects_version, [row_id]) if version.rejects_version >= 0 else None
    return rows["reason"][0].as_py() if rows else ""


def _quarantined(store: Store, row_id: str) -> dict[str, Any]:
    if not store.exists(RAW, "quarantine"):
        return {}
    rows = store.rows(RAW, "quarantine", store.delta_version(RAW, "quarantine"), [row_id]).to_pylist()
    return {**rows[0], "raw": rows[0]["raw"].decode(errors="replace")} if rows else {}


def _with_change(stop: Stop, below: dict[str, Any], above: dict[str, Any]) -> Stop:
    """Describe how a step changed the row above."""
    if stop.happened:
        return stop
    if "input_ids" in below:
        change = f"{len(below['input_ids']):,} tokens, {below['supervised_tokens']:,} of them supervised"
    else:
        changed = [
            name for name in below if name in above and name not in ("batch", "row_id") and below[name] != above[name]
        ]
        change = f"changed {', '.join(changed)}" if changed else "unchanged"
    origin = f"; derived from {above['row_id']}" if below["row_id"] != above["row_id"] else ""
    return replace(stop, happened=change + origin)


def _first(stop: Stop) -> Stop:
    return replace(stop, happened="as it was read" if stop.zone == RAW else "derived from the raw zone")


def _tidy(row: dict[str, Any]) -> dict[str, Any]:
    """Select the columns to show: labels that are set, and the text or, without text, the counts."""
    shown = {name: row[name] for name in _SHOWN if row.get(name) is not None}
    if row.get("turns"):
        shown["turns"] = [{"role": turn["role"], "text": turn["text"]} for turn in row["turns"]]
    for name in ("metadata", "known", "reason", "raw", "supervised_tokens"):
        if row.get(name):
            shown[name] = dict(row[name]) if isinstance(row[name], list) else row[name]
    return shown
