"""A table written afresh without a person: its kept versions one after the other, nothing else.

Deleting from a Delta table leaves the rows in older files, in the change feed and, as statistics, in the log. A new
table that never held them leaves nothing, and is put in the old one's place by one rename.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from deskloop.erase.search import MARKS, Person, parts, read_part
from deskloop.store.digest import table_digest
from deskloop.store.parts import Part, write_rows
from deskloop.store.store import Store

SCRATCH = ".erase"


@dataclass(frozen=True)
class Rewritten:
    """What became of one Delta version: its number in the new table, its rows and digest, and how many were taken."""

    delta_version: int
    rows: int
    digest: str
    erased: int

    def as_dict(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


def scratch_of(store: Store) -> Store:
    """Where the new tables are written: beside the zones, readable by the owner alone."""
    root = store.root / SCRATCH
    root.mkdir(mode=0o700, exist_ok=True)
    return Store(root)


def files_of(store: Store, zone: str, name: str, person: Person) -> int:
    """How many files of a table have a row of the person."""
    return sum(any(person.rows(read_part(path, MARKS))) for path in parts(store, zone, name))


def rewrite(store: Store, zone: str, name: str, kept: Sequence[int], person: Person) -> dict[int, Rewritten]:
    """Write a table's kept versions to the scratch store without the person's rows.

    Every version but the first is a difference to the one before, so that steps which extend still see one.

    Args:
        kept: Delta versions, ascending.
    """
    scratch = scratch_of(store)
    before: dict[str, bytes] | None = None
    made: dict[int, Rewritten] = {}
    for version in kept:
        schema = store.schema(zone, name, version)
        fresh = scratch.delta_version(zone, name)
        scratch.create(zone, name, schema)
        if scratch.delta_version(zone, name) != fresh:  # another schema: the table starts anew
            before = None
        now, erased = _hashes(store, zone, name, version, person)
        changed = {row_id for row_id, one in now.items() if before is None or before.get(row_id) != one}
        written = _write(store, scratch, zone, name, version, changed)
        if before is None:
            scratch.append_parts(zone, name, written)
        elif changed or before.keys() - now.keys():
            scratch.merge(zone, name, written, sorted(before.keys() - now.keys()))
        digest = table_digest(pa.chunked_array([pa.array(now.values(), pa.binary())]))
        made[version] = Rewritten(scratch.delta_version(zone, name), len(now), digest, erased)
        before = now
    scratch.clear_staging()
    return made


def filtered(store: Store, zone: str, name: str, drop: Collection[bytes], column: str) -> int:
    """Write the last version of a table to the scratch store without the rows that have one of these values.

    Returns:
        How many rows were left out.
    """
    version = store.delta_version(zone, name)
    scratch = scratch_of(store)
    scratch.create(zone, name, store.schema(zone, name, version))
    rows = store.read(zone, name, version, [*store.schema(zone, name, version).names, "_hash"])
    theirs = pa.array([cell in drop for cell in rows[column].to_pylist()], pa.bool_())
    left = rows.filter(pa.compute.invert(theirs))
    scratch.append_parts(zone, name, [_part(scratch, zone, name, left)] if left.num_rows else [])
    scratch.clear_staging()
    return rows.num_rows - left.num_rows


def _hashes(
    store: Store, zone: str, name: str, version: int, person: Person
) -> tuple[dict[str, bytes], int]:  # fmt: skip
    """Row id -> hash of the rows that stay, and how many do not."""
    present = [one for one in MARKS if one in store.schema(zone, name, version).names]
    hashes: dict[str, bytes] = {}
    erased = 0
    for batch in store.batches(zone, name, version, [*present, "_hash"]):
        theirs = person.rows(batch)
        erased += sum(theirs)
        cells = zip(batch["row_id"].to_pylist(), batch["_hash"].to_pylist(), theirs, strict=True)
        hashes |= {row_id: one for row_id, one, is_theirs in cells if not is_theirs}
    return hashes, erased


def _write(store: Store, scratch: Store, zone: str, name: str, version: int, chosen: Collection[str]) -> list[Part]:
    """The chosen rows of a version as parts, with the hashes that they have."""
    columns = [*store.schema(zone, name, version).names, "_hash"]
    written = []
    for batch in store.batches(zone, name, version, columns) if chosen else ():
        rows = batch.filter(pa.array([row_id in chosen for row_id in batch["row_id"].to_pylist()], pa.bool_()))
        if rows.num_rows:
            written.append(_part(scratch, zone, name, rows))
    return written


def _part(scratch: Store, zone: str, name: str, rows: pa.Table) -> Part:
    return write_rows(scratch.staging(zone) / name, rows)
