"""Verification of a store, which reads all files and changes no data.

Files are compared with their checksums, rows with their hashes, versions with their digests, artifacts with their
names, memos and models with their checksums. Damaged tables that can be rebuilt are marked for the next run.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from deskloop.contract.errors import ConfigError, DamageError, remedy
from deskloop.models.folder import folder_problem, place_of
from deskloop.store import key_checks, zones
from deskloop.store.catalog import Catalog, Version
from deskloop.store.checksums import DAMAGED, damage, expected, load
from deskloop.store.digest import row_hashes, table_digest
from deskloop.store.ledger import Ledger
from deskloop.store.memo import check_memo
from deskloop.store.snapshot import HASH, Snapshot, snapshot
from deskloop.store.store import Store


@dataclass(frozen=True)
class Finding:
    """A file or table that differs from what was written."""

    place: str
    problem: str
    remedy: str


@dataclass
class Verification:
    """The number of comparisons by kind, and their findings."""

    checked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the document for `--json`."""
        damaged = [asdict(finding) for finding in self.findings]
        return {"status": "damaged" if damaged else "ok", "checked": dict(self.checked), "damaged": damaged}

    def note(self, place: str, problem: str, todo: str = "") -> None:
        """Add a finding, unless another check has added it already."""
        finding = Finding(place, problem, todo or remedy(place))
        if finding not in self.findings:
            self.findings.append(finding)

    def attempt(self, kind: str, check: Callable[[], object], place: str = "") -> None:
        """Make one comparison, and add the damage that it detects to the findings."""
        self.checked[kind] += 1
        try:
            check()
        except DamageError as error:
            self.note(error.place, error.problem)
        except ConfigError as error:
            self.note(place, "; ".join(error.problems), "Follow the instructions in the message")


def verify(store: Store) -> Verification:
    """Verify all files of a store; the caller holds its lock."""
    result = Verification()
    with zones.allow_raw("verify"):
        result.attempt("keys", lambda: key_checks.verify_erasures(store.root, store.keys()), "keys")
        for folder in _tables(store.root):
            result.attempt("tables", partial(_check_table, folder))
        catalog = _catalog(store, result)
        for version in catalog.versions if catalog is not None else []:
            if version.kind == "dataset" and not version.gone:
                result.attempt("versions", partial(_check_version, store, version))
        _check_ledger(store, result)
        for path in sorted((store.root / "memo").glob("*.sqlite")):
            result.attempt("memos", partial(check_memo, str(path)))
        if catalog is not None:
            _check_models(store, catalog, result)
    return result


def _tables(root: Path) -> list[Path]:
    """Return every Delta table, including those that have lost their log."""
    parents, marks = ("raw", "clean", "ledger"), ("_delta_log", "_checksums.json")
    return sorted({path.parent for name in parents for mark in marks for path in (root / name).glob(f"[!.]*/{mark}")})


def _check_table(folder: Path) -> None:
    """Check all files of a table that have a checksum, its log, and the row hashes of its last commit.

    Raises:
        DamageError: a file, the log or a row differs.
    """
    record = load(folder)
    if record is not None and record.version < 0 and not (folder / "_delta_log").is_dir():
        return  # a run was killed before the first commit
    commit = snapshot(folder)
    commit.check_recorded()
    _check_rows(commit)
    (folder / DAMAGED).unlink(missing_ok=True)


def _check_rows(commit: Snapshot) -> None:
    if HASH not in commit.schema.names:
        commit.check()
        return
    for rows in commit.batches(commit.schema.names):
        if not row_hashes(rows).equals(rows[HASH].combine_chunks()):
            raise damage(commit.folder, "rows do not match their hashes")


def _check_version(store: Store, version: Version) -> None:
    """Check that a version can be read and has the digest that the catalog records.

    Raises:
        DamageError: it cannot be read, or its digest differs.
    """
    store.check(version)
    commit = store.snapshot(version.zone, version.dataset, version.delta_version)
    hashes = pa.chunked_array([batch[HASH].combine_chunks() for batch in commit.batches([HASH])], pa.binary())
    if len(hashes) != version.rows or table_digest(hashes) != version.digest:
        raise damage(commit.folder, f"its rows do not match the digest of {version.name}")


def _catalog(store: Store, result: Verification) -> Catalog | None:
    folder = store.root / "catalog"
    tables = any((store.root / "clean").glob("[!.]*/_delta_log"))
    try:
        result.checked["catalog"] += 1
        if (folder / "_delta_log").is_dir():
            _check_table(folder)
        catalog = Catalog(folder)
    except DamageError as error:
        result.note(error.place, error.problem)
        return None
    result.attempt("ledger", store.check_ledger)
    if tables and not catalog.versions:
        result.note("catalog", "it is missing or empty, but there are datasets")
    return catalog


def _check_ledger(store: Store, result: Verification) -> None:
    folder = store.root / "ledger"
    ledger = Ledger(folder)
    names: Sequence[str] = ()
    for zone in (folder, store.root / "raw"):
        try:
            names = expected(zone)
        except DamageError as error:
            result.note(error.place, error.problem)
        for name in names:
            if not (zone / name).is_dir():
                result.note(f"{zone.name}/{name}", "the whole table is missing")
    try:
        artifacts = ledger.artifacts()
    except DamageError as error:
        result.note(error.place, error.problem)
        artifacts = {}
    for digest in artifacts:
        result.attempt("blobs", partial(ledger.files, digest))
    for name in ("erasure.json", "access.jsonl"):
        path = folder / name
        try:
            for line in path.read_bytes().splitlines() if path.exists() else ():
                orjson.loads(line)
        except orjson.JSONDecodeError:
            result.note(f"ledger/{name}", "it is not valid JSON")


def _check_models(store: Store, catalog: Catalog, result: Verification) -> None:
    """Check the folders of models, of which those of earlier versions may have been deleted, and the registry."""
    for version in catalog.versions:
        if version.kind != "model" or version.gone:
            continue
        place = place_of(version)
        if (store.root / place).is_dir() or catalog.latest(version.dataset) == version:
            result.checked["models"] += 1
            problem = folder_problem(store.root, version)
            if problem:
                result.note(place, problem)
    registry = store.root / "mlflow.db"
    if registry.exists():
        result.checked["registry"] += 1
        database = sqlite3.connect(f"file:{registry}?mode=ro", uri=True)
        try:
            sound = database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError:
            sound = False
        finally:
            database.close()
        if not sound:
            result.note("mlflow.db", "SQLite finds the registry damaged")
