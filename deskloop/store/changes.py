"""Changes of a table between two of its commits, from its change data feed."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Changes:
    """New and changed rows (all columns) of a table between two of its commits, and the ids of deleted ones."""

    upserts: pa.Table
    deleted: list[str]
    only_inserts: bool


def net_changes(feed: pa.Table, schema: pa.Schema) -> Changes:
    """Return the last change of each row; a row that was changed and changed back counts as changed.

    Args:
        feed: in the order of commits, with `_change_type` and `_commit_version`.
        schema: of the returned rows.
    """
    last: dict[str, tuple[int, bool]] = {}
    kinds = feed.column("_change_type").to_pylist()
    for position, (row_id, kind) in enumerate(zip(feed.column("row_id").to_pylist(), kinds, strict=True)):
        # Within a commit a row may appear as delete and insert; the insert is what remains.
        if kind != "update_preimage" and not (kind == "delete" and _same_commit(feed, last.get(row_id), position)):
            last[row_id] = (position, kind == "delete")
    positions = sorted(position for position, is_deleted in last.values() if not is_deleted)
    deleted = sorted(row_id for row_id, (_, is_deleted) in last.items() if is_deleted)
    upserts = feed.take(pa.array(positions, pa.int64())).select(schema.names).cast(schema)
    return Changes(upserts, deleted, all(kind == "insert" for kind in kinds))


def _same_commit(feed: pa.Table, earlier: tuple[int, bool] | None, position: int) -> bool:
    commits = feed.column("_commit_version")
    return earlier is not None and not earlier[1] and commits[earlier[0]].as_py() == commits[position].as_py()
