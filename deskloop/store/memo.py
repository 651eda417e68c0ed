"""A cache of texts that neural generators produced, in one SQLite file, so that none is generated twice.

A model's output depends on the other items of its batch where two tokens are almost equally likely. The first output
is final: `remember` returns the stored output, also if another process was faster. Each output has a checksum, and a
total over all checksums detects outputs that were lost.

    with Memo(path) as memo:
        outputs = memo.recall(identity, items)
        outputs |= memo.remember(identity, {item: generate(item) for item in items if item not in outputs})
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
Item = tuple[str, int]  # input text and seed (0 if the generator has none)

BUSY = 60.0  # seconds that a process waits for another one's write
CHUNK = 500  # keys per query; the limit on variables is 999 in old versions of SQLite
SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (key BLOB PRIMARY KEY, text_hash BLOB NOT NULL, output TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_text ON outputs (text_hash);
CREATE TABLE IF NOT EXISTS checksums (key BLOB PRIMARY KEY, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY, outputs INTEGER NOT NULL, folded BLOB NOT NULL);
"""
Row = tuple[bytes, bytes, str | None]  # key, hash of the text, output


def text_hash(text: str) -> str:
    """Return the hash by which `forget` finds a text: 32 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Memo:
    """Outputs by (identity of the generator, text, seed)."""

    def __init__(self, path: str) -> None:
        """Open the file, or create it with mode 0600, and its folder with mode 0700 if there is none.

        Args:
            path: of the SQLite file; "" for a memo that stores no outputs.
        """
        self._database: sqlite3.Connection | None = None
        if not path:
            return
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its log and index files the same mode
        self._name = os.path.basename(path)
        with self._reported_damage():
            self._database = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
            self._database.execute("PRAGMA secure_delete = ON")  # in case a process is killed inside `forget`
            _write_ahead(self._database)
            self._database.executescript(SCHEMA)
            self._adopt()

    def recall(self, identity: str, items: Collection[Item]) -> dict[Item, str | None]:
        """Return the stored outputs of `items`; an output of None means that generation failed."""
        outputs: dict[Item, str | None] = {}
        for chunk in _chunks(items):
            keys = {_key(identity, item): item for item in chunk}
            with self._reported_damage():
                for row, recorded in self._select(list(keys)):
                    if _checksum(row) != recorded:
                        raise self._damage("an output does not match its checksum")
                    outputs[keys[row[0]]] = row[2]
        return outputs

    def remember(self, identity: str, outputs: Mapping[Item, str | None]) -> dict[Item, str | None]:
        """Store outputs of items that have none yet.

        Returns:
            For each item of `outputs`, the first output that any process has stored.
        """
        if self._database is None:
            return dict(outputs)
        rows = [(_key(identity, item), bytes.fromhex(text_hash(item[0])), output) for item, output in outputs.items()]
        with self._reported_damage(), self._database:
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
        """Delete all outputs of texts, including their bytes in the file.

        Args:
            text_hashes: `text_hash` of each text.
        Returns:
            The number of deleted outputs.
        """
        if self._database is None:
            return 0
        deleted = 0
        with self._reported_damage():
            for chunk in _chunks(text_hashes):
                marks = ",".join("?" * len(chunk))
                hashes = [bytes.fromhex(text) for text in chunk]
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    chosen = f"FROM outputs WHERE text_hash IN ({marks})"
                    rows: list[Row] = self._database.execute(
                        f"SELECT key, text_hash, output {chosen}", hashes
                    ).fetchall()
                    self._database.execute(f"DELETE {chosen}", hashes)
                    self._database.executemany("DELETE FROM checksums WHERE key = ?", [(row[0],) for row in rows])
                    self._count(rows, -1)
                deleted += len(rows)
            if deleted:
                self._database.execute("VACUUM")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still holds the old pages
        return deleted

    def check(self) -> int:
        """Compare every output with its checksum, and all of them with the total; return their number.

        Raises:
            DamageError: an output was changed or lost, or the file is not a valid database.
        """
        if self._database is None:
            return 0
        with self._reported_damage():
            # A transaction reads a consistent state: other processes may be writing.
            self._database.execute("BEGIN")
            try:
                if self._database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise self._damage("SQLite finds its structure damaged")
                count, folded = 0, bytes(16)
                for *row, recorded in self._database.execute(f"SELECT {_COLUMNS} FROM {_JOINED}"):
                    if _checksum(row) != recorded:
                        raise self._damage("an output does not match its checksum")
                    count, folded = count + 1, _folded(folded, recorded)
                if self._total() != (count, folded):
                    raise self._damage("outputs are missing")
            finally:
                self._database.execute("ROLLBACK")
        return count

    def close(self) -> None:
        """Close the file."""
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
        return [((key, text, output), recorded) for key, text, output, recorded in self._database.execute(query, keys)]

    def _total(self) -> tuple[int, bytes]:
        if self._database is None:
            return 0, bytes(16)
        row = self._database.execute("SELECT outputs, folded FROM total").fetchone()
        return row or (0, bytes(16))

    def _count(self, rows: Collection[Row], step: int) -> None:
        """Add rows to the total, or subtract them, inside the transaction that writes them."""
        count, folded = self._total()
        for row in rows:
            folded = _folded(folded, _checksum(row))
        total = (count + step * len(rows), folded)
        if self._database is not None:
            self._database.execute("INSERT OR REPLACE INTO total VALUES (1, ?, ?)", total)

    def _adopt(self) -> None:
        """Compute the checksums of a memo of an earlier version of deskloop, once."""
        if self._database is None or self._database.execute("SELECT 1 FROM total").fetchone():
            return
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if not self._database.execute("SELECT 1 FROM total").fetchone():
                rows: list[Row] = self._database.execute("SELECT key, text_hash, output FROM outputs").fetchall()
                checksums = [(row[0], _checksum(row)) for row in rows]
                self._database.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?)", checksums)
                self._count(rows, 1)

    def _damage(self, problem: str) -> DamageError:
        return DamageError(f"memo/{self._name}", problem)

    @contextmanager
    def _reported_damage(self) -> Iterator[None]:
        """Raise SQLite's errors about a damaged file as `DamageError`, without their messages.

        SQLite raises exactly `DatabaseError` for damage, and subclasses of it for other problems.
        """
        try:
            yield
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise self._damage("SQLite cannot read it") from None
        except UnicodeDecodeError:
            raise self._damage("an output is not valid text") from None


_COLUMNS = "outputs.key, outputs.text_hash, outputs.output, checksums.checksum"
_JOINED = "outputs LEFT JOIN checksums ON checksums.key = outputs.key"


def _checksum(row: Sequence[bytes | str | None]) -> bytes:
    """Return the BLAKE2b-128 hash of a row, whose fields may be of any type if the file is damaged."""
    return hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _folded(total: bytes, checksum: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(total, checksum, strict=True))


def _key(identity: str, item: Item) -> bytes:
    text, seed = item
    digest = hashlib.blake2b(digest_size=16)
    for part in (identity, str(seed), text):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite itself does not wait if another process is switching at the same time."""
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
    """Compare the outputs of a memo with their checksums, if its file exists.

    Raises:
        DamageError: they differ.
    """
    if path and Path(path).exists():
        with Memo(path) as memo:
            memo.check()
