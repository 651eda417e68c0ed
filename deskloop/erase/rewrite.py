"""Rewriting of a table without a person's rows: the kept versions are written to a new table, one after the other.

Deleting from a Delta table leaves the rows in older files, in the change feed and, as statistics, in the log. A new
table never contains them, and replaces the old one by one rename.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from deskloop.erase.search import MARKS, Person, parts, read_part
from deskloop.store.digest import table_digest
from deskloop.store.parts import Part, write_rows
from deskloop.store.store import Store

SCRATCH = ".erase"


@dataclass(frozen=True)
class Rewritten:
    """A Delta version in the new table: its number, rows and digest, and the number of erased rows."""

    delta_version: int
    rows: int
    digest: str
    erased: int


def scratch_of(store: Store) -> Store:
    """Return the store of the new tables, a folder beside the zones that only the owner can read."""
    root = store.root / SCRATCH
    root.mkdir(mode=0o700, exist_ok=True)
    return Store(root)


def files_of(store: Store, zone: str, name: str, person: Person) -> int:
    """Count the files of a table that have a row of the person."""
    return sum(any(person.rows(read_part(path, MARKS))) for path in parts(store, zone, name))


def rewrite(store: Store, zone: str, name: str, versions: Sequence[int], person: Person) -> dict[int, Rewritten]:
    """Write a table's kept versions to the scratch store without the person's rows.

    Every version except the first is written as a difference to the one before, so that steps can still extend.

    Args:
        versions: Delta versions to keep, in ascending order.
    """
    scratch = scratch_of(store)
    before: dict[str, bytes] | None = None
    rewritten: dict[int, Rewritten] = {}
    for version in versions:
        schema = store.schema(zone, name, version)
        last = scratch.delta_version(zone, name)
        scratch.create(zone, name, schema)
        if scratch.delta_version(zone, name) != last:  # another schema: the table was emptied
            before = None
        now, erased = _hashes(store, zone, name, version, person)
        changed = {row_id for row_id, row_hash in now.items() if before is None or before.get(row_id) != row_hash}
        written = _write(store, scratch, zone, name, version, changed)
        if before is None:
            scratch.append_parts(zone, name, written)
        elif changed or before.keys() - now.keys():
            scratch.merge(zone, name, written, sorted(before.keys() - now.keys()))
        digest = table_digest(pa.chunked_array([pa.array(now.values(), pa.binary())]))
        rewritten[version] = Rewritten(scratch.delta_version(zone, name), len(now), digest, erased)
        before = now
    scratch.clear_staging()
    return rewritten


def filtered(store: Store, zone: str, name: str, drop: Collection[bytes], column: str) -> int:
    """Write the last version of a table to the scratch store without the rows that have one of these values.

    Returns:
        The number of rows left out.
    """
    version = store.delta_version(zone, name)
    scratch = scratch_of(store)
    scratch.create(zone, name, store.schema(zone, name, version))
    rows = store.read(zone, name, version, [*store.schema(zone, name, version).names, "_hash"])
    theirs = pa.array([cell in drop for cell in rows[column].to_pylist()], pa.bool_())
    others = rows.filter(pa.compute.invert(theirs))
    scratch.append_parts(zone, name, [_part(scratch, zone, name, others)] if others.num_rows else [])
    scratch.clear_staging()
    return rows.num_rows - others.num_rows


def _hashes(store: Store, zone: str, name: str, version: int, person: Person) -> tuple[dict[str, bytes], int]:
    """Return row id -> hash of the other rows, and the number of the person's."""
    present = [column for column in MARKS if column in store.schema(zone, name, version).names]
    hashes: dict[str, bytes] = {}
    erased = 0
    for batch in store.batches(zone, name, version, [*present, "_hash"]):
        theirs = person.rows(batch)
        erased += sum(theirs)
        cells = zip(batch["row_id"].to_pylist(), batch["_hash"].to_pylist(), theirs, strict=True)
        hashes |= {row_id: row_hash for row_id, row_hash, is_theirs in cells if not is_theirs}
    return hashes, erased


def _write(store: Store, scratch: Store, zone: str, name: str, version: int, chosen: Collection[str]) -> list[Part]:
    """Write the chosen rows of a version as parts, with their existing hashes."""
    columns = [*store.schema(zone, name, version).names, "_hash"]
    written = []
    for batch in store.batches(zone, name, version, columns) if chosen else ():
        rows = batch.filter(pa.array([row_id in chosen for row_id in batch["row_id"].to_pylist()], pa.bool_()))
        if rows.num_rows:
            written.append(_part(scratch, zone, name, rows))
    return written


def _part(scratch: Store, zone: str, name: str, rows: pa.Table) -> Part:
    return write_rows(scratch.staging(zone) / name, rows)
