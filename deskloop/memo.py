"""A memo of texts that neural generators made, in one SQLite file, so that none is made twice.

A model's output can flip with the batch around it, where two words are nearly as likely. What was made first stands:
`remember` gives back what the memo holds, also if another process was faster.

    with Memo(path) as memo:
        known = memo.recall(identity, items)
        known |= memo.remember(identity, {item: generate(item) for item in items if item not in known})
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import TypeVar

Element = TypeVar("Element")
Item = tuple[str, int]  # the text that went in, and the seed (0 where none matters)

BUSY = 60.0  # seconds that a process waits for another one's write
CHUNK = 500  # keys in one query; SQLite's oldest bound on variables is 999
SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (key BLOB PRIMARY KEY, text_hash BLOB NOT NULL, output TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_text ON outputs (text_hash);
"""


def text_hash(text: str) -> str:
    """What `forget` knows a text by: 32 hexadecimal digits of its BLAKE2b."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Memo:
    """Outputs by (who made it, text, seed). A path of "" keeps nothing."""

    def __init__(self, path: str) -> None:
        """Open the file, or make it with mode 0600; its folder must be there or is made with mode 0700.

        Args:
            path: of the SQLite file; "" for a memo that keeps nothing.
        """
        self._database: sqlite3.Connection | None = None
        if not path:
            return
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its log and index files the same mode
        self._database = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
        self._database.execute("PRAGMA secure_delete = ON")  # should a run be killed inside of `forget`
        _write_ahead(self._database)
        self._database.executescript(SCHEMA)

    def recall(self, identity: str, items: Collection[Item]) -> dict[Item, str | None]:
        """What is known of `items`; None is an output too: it could not be made."""
        found: dict[Item, str | None] = {}
        for chunk in _chunks(items):
            keys = {_key(identity, item): item for item in chunk}
            for key, output in self._select(list(keys)):
                found[keys[key]] = output
        return found

    def remember(self, identity: str, outputs: Mapping[Item, str | None]) -> dict[Item, str | None]:
        """Keep what was made, unless it is there already.

        Returns:
            For each item of `outputs` what holds from now on: the first output that any process remembered.
        """
        if self._database is None:
            return dict(outputs)
        rows = [(_key(identity, item), bytes.fromhex(text_hash(item[0])), made) for item, made in outputs.items()]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", rows)
        return self.recall(identity, outputs.keys())

    def forget(self, text_hashes: Collection[str]) -> int:
        """Delete everything that was made from texts, from the file's bytes too.

        Args:
            text_hashes: `text_hash` of each text.
        Returns:
            How many outputs were deleted.
        """
        if self._database is None:
            return 0
        deleted = 0
        for chunk in _chunks(text_hashes):
            marks = ",".join("?" * len(chunk))
            hashes = [bytes.fromhex(one) for one in chunk]
            deleted += self._database.execute(f"DELETE FROM outputs WHERE text_hash IN ({marks})", hashes).rowcount
        if deleted:
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still holds the pages of before
        return deleted

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> "Memo":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _select(self, keys: list[bytes]) -> list[tuple[bytes, str | None]]:
        if self._database is None:
            return []
        marks = ",".join("?" * len(keys))
        return self._database.execute(f"SELECT key, output FROM outputs WHERE key IN ({marks})", keys).fetchall()


def _key(identity: str, item: Item) -> bytes:
    text, seed = item
    digest = hashlib.blake2b(digest_size=16)
    for part in (identity, str(seed), text):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait by itself where another process is switching just then."""
    until = time.monotonic() + BUSY
    while database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _chunks(elements: Collection[Element]) -> Iterator[list[Element]]:
    remaining = iter(elements)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
