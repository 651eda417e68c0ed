"""Row hashes, and digests of whole tables.

A row's hash is BLAKE2b-128 over its canonical JSON. It excludes `batch`, which says when a conversation arrived and is
not part of its content. A table's digest is the sum of its row hashes modulo 2**128, so that row order does not matter.
"""

import hashlib
from functools import partial

import numpy as np
import orjson
import pyarrow as pa

NOT_HASHED = ("batch", "_hash")


def row_hashes(table: pa.Table) -> pa.Array:
    """Return one hash per row.

    Args:
        table: (n, any columns).
    Returns:
        (n,) binary, 16 bytes each.
    """
    columns = [name for name in table.column_names if name not in NOT_HASHED]
    rows = table.select(columns).to_pylist()
    dump = partial(orjson.dumps, default=bytes.hex, option=orjson.OPT_SORT_KEYS)
    hashes = [hashlib.blake2b(dump(row), digest_size=16).digest() for row in rows]
    return pa.array(hashes, type=pa.binary())


def table_digest(hashes: pa.ChunkedArray) -> str:
    """Return the digest of a table from its `_hash` column: 32 hexadecimal digits."""
    total = 0
    for chunk in hashes.chunks:
        words = np.frombuffer(b"".join(chunk.to_pylist()), dtype=">u4").reshape(-1, 4)
        for column, shift in enumerate((96, 64, 32, 0)):
            total += int(words[:, column].sum(dtype=np.uint64)) << shift
    return f"{total % (1 << 128):032x}"


def text_digest(*parts: object) -> str:
    """Return the BLAKE2b-128 hash of values as JSON, for recipes and fingerprints: 32 hexadecimal digits."""
    payload = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(payload, digest_size=16).hexdigest()
