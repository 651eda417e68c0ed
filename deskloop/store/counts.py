"""Rows of a version counted by the values of a column."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from deskloop.store.catalog import Version
from deskloop.store.store import Store


def read_batches(store: Store, versions: Sequence[Version], columns: Sequence[str]) -> list[pa.Table]:
    """Some columns of versions, batch by batch."""
    return [
        batch
        for one in versions
        for batch in store.batches(one.zone, one.dataset, one.delta_version, columns)
    ]  # fmt: skip


def rows_by(store: Store, version: Version, columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """Rows of a version by the values of each column, most frequent first; nulls are left out."""
    rows = pa.concat_tables(read_batches(store, [version], columns))
    counted = {name: Counter(value for value in rows[name].to_pylist() if value is not None) for name in columns}
    return {name: dict(counts.most_common()) for name, counts in counted.items()}
