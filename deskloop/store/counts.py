"""Counts of a version's rows by the values of a column."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from deskloop.store.catalog import Version
from deskloop.store.store import Store


def read_batches(store: Store, versions: Sequence[Version], columns: Sequence[str]) -> list[pa.Table]:
    """Read these columns of versions, batch by batch."""
    streams = (store.batches(v.zone, v.dataset, v.delta_version, columns) for v in versions)
    return [batch for stream in streams for batch in stream]


def rows_by(store: Store, version: Version, columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the rows of a version by the values of each column, most frequent first, without nulls."""
    rows = pa.concat_tables(read_batches(store, [version], columns))
    counted = {name: Counter(value for value in rows[name].to_pylist() if value is not None) for name in columns}
    return {name: dict(counts.most_common()) for name, counts in counted.items()}
