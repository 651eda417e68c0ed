"""A memo of texts that neural generators made, in one SQLite file, so that none is made twice.

A model's output can flip with the batch around it, where two words are nearly as likely. What was made first stands:
`remember` gives back what the memo holds, also if another process was faster. Each output has a checksum, and all
checksums together a total, so that neither a changed nor a lost output goes unnoticed.

    with Memo(path) as memo:
        known = memo.recall(identity, items)
        known |= memo.remember(identity, {item: generate(item) for item in items if item not in known})
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from deskloop.contract.errors import DamageError

Element = TypeVar("Element")
Item = tuple[str, int]  # the text that went in, and the seed (0 where none matters)

BUSY = 60.0  # seconds that a process waits for another one's write
CHUNK = 500  # keys in one query; SQLite's oldest bound on variables is 999
SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (key BLOB PRIMARY KEY, text_hash BLOB NOT NULL, output TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_text ON outputs (text_hash);
CREATE TABLE IF NOT EXISTS checksums (key BLOB PRIMARY KEY, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY, outputs INTEGER NOT NULL, folded BLOB NOT NULL);
"""
Row = tuple[bytes, bytes, str | None]  # key, hash of the text, output


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
        self._name = os.path.basename(path)
        with self._damage_is_ours():
            self._database = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
            self._database.execute("PRAGMA secure_delete = ON")  # should a run be killed inside of `forget`
            _write_ahead(self._database)
            self._database.executescript(SCHEMA)
            self._adopt()

    def recall(self, identity: str, items: Collection[Item]) -> dict[Item, str | None]:
        """What is known of `items`; None is an output too: it could not be made."""
        found: dict[Item, str | None] = {}
        for chunk in _chunks(items):
            keys = {_key(identity, item): item for item in chunk}
            with self._damage_is_ours():
                for row, known in self._select(list(keys)):
                    if _checksum(row) != known:
                        raise self._damage("an output does not match its checksum")
                    found[keys[row[0]]] = row[2]
        return found

    def remember(self, identity: str, outputs: Mapping[Item, str | None]) -> dict[Item, str | None]:
        """Keep what was made, unless it is there already.

        Returns:
            For each item of `outputs` what holds from now on: the first output that any process remembered.
        """
        if self._database is None:
            return dict(outputs)
        rows = [(_key(identity, item), bytes.fromhex(text_hash(item[0])), made) for item, made in outputs.items()]
        with self._damage_is_ours(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            added = [
                row
                for row in rows
                if self._database.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", row).rowcount
            ]
            self._database.executemany(
                "INSERT INTO checksums VALUES (?, ?)", [(row[0], _checksum(row)) for row in added]
            )
            self._count(added, 1)
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
        with self._damage_is_ours():
            for chunk in _chunks(text_hashes):
                marks = ",".join("?" * len(chunk))
                hashes = [bytes.fromhex(one) for one in chunk]
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    chosen = f"FROM outputs WHERE text_hash IN ({marks})"
                    gone: list[Row] = self._database.execute(
                        f"SELECT key, text_hash, output {chosen}", hashes
                    ).fetchall()
                    self._database.execute(f"DELETE {chosen}", hashes)
                    self._database.executemany("DELETE FROM checksums WHERE key = ?", [(row[0],) for row in gone])
                    self._count(gone, -1)
                deleted += len(gone)
            if deleted:
                self._database.execute("VACUUM")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still holds the pages of before
        return deleted

    def check(self) -> int:
        """Compare every output with its checksum, and all of them with the total; how many there are.

        Raises:
            DamageError: one was changed or lost, or the file is no database any more.
        """
        if self._database is None:
            return 0
        with self._damage_is_ours():
            # One transaction reads one state: other processes may be writing.
            self._database.execute("BEGIN")
            try:
                if self._database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise self._damage("SQLite finds its structure damaged")
                count, folded = 0, bytes(16)
                for *row, known in self._database.execute(f"SELECT {_COLUMNS} FROM {_JOINED}"):
                    if _checksum(row) != known:
                        raise self._damage("an output does not match its checksum")
                    count, folded = count + 1, _folded(folded, known)
                if self._total() != (count, folded):
                    raise self._damage("outputs are missing")
            finally:
                self._database.execute("ROLLBACK")
        return count

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

    def _select(self, keys: list[bytes]) -> list[tuple[Row, bytes | None]]:
        if self._database is None:
            return []
        marks = ",".join("?" * len(keys))
        query = f"SELECT {_COLUMNS} FROM {_JOINED} WHERE outputs.key IN ({marks})"
        return [((key, text, output), known) for key, text, output, known in self._database.execute(query, keys)]

    def _total(self) -> tuple[int, bytes]:
        if self._database is None:
            return 0, bytes(16)
        row = self._database.execute("SELECT outputs, folded FROM total").fetchone()
        return row or (0, bytes(16))

    def _count(self, rows: Collection[Row], step: int) -> None:
        """Add rows to the total, or take them off; inside of the transaction that writes them."""
        count, folded = self._total()
        for row in rows:
            folded = _folded(folded, _checksum(row))
        total = (count + step * len(rows), folded)
        if self._database is not None:
            self._database.execute("INSERT OR REPLACE INTO total VALUES (1, ?, ?)", total)

    def _adopt(self) -> None:
        """Give checksums to the outputs of a memo of an earlier deskloop, once."""
        if self._database is None or self._database.execute("SELECT 1 FROM total").fetchone():
            return
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if not self._database.execute("SELECT 1 FROM total").fetchone():
                rows: list[Row] = self._database.execute("SELECT key, text_hash, output FROM outputs").fetchall()
                known = [(row[0], _checksum(row)) for row in rows]
                self._database.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?)", known)
                self._count(rows, 1)

    def _damage(self, problem: str) -> DamageError:
        return DamageError(f"memo/{self._name}", problem)

    @contextmanager
    def _damage_is_ours(self) -> Iterator[None]:
        """SQLite's errors on a damaged file, without its message; a locked file or a full disk is none of them."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise self._damage("SQLite cannot read it") from None
        except UnicodeDecodeError:
            raise self._damage("an output is no text") from None


_COLUMNS = "outputs.key, outputs.text_hash, outputs.output, checksums.checksum"
_JOINED = "outputs LEFT JOIN checksums ON checksums.key = outputs.key"


def _checksum(row: Sequence[bytes | str | None]) -> bytes:
    """BLAKE2b-128 of a row; its fields may be of any type where the file is damaged."""
    return hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _folded(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


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


def check_memo(path: str) -> None:
    """Compare the outputs of a memo with their checksums, where there is one.

    Raises:
        DamageError: they differ.
    """
    if path and Path(path).exists():
        with Memo(path) as memo:
            memo.check()
