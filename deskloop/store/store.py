"""The store: its folders, its lock and its keys. Readers see a version completely or not at all.

raw/       personal data, mode 0700: `ingested`, its rejects, and the quarantine of unreadable records
clean/     all other tables                              (deskloop.store.delta)
catalog/   which Delta commits are versions              (deskloop.store.catalog)
ledger/    decisions that are state: families, artifacts (deskloop.store.ledger)
memo/      cached outputs of neural generators           (deskloop.store.memo)
models/    model folders, and checkpoints of the run in progress
reports/   one folder per run
keys/      the HMAC keys, mode 0600                      (deskloop.store.keys)
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from deskloop.contract.errors import ConfigError, DamageError
from deskloop.store import key_checks
from deskloop.store.delta import DeltaTables
from deskloop.store.keys import Key, all_keys, current, rotate
from deskloop.store.replacement import remove_leftovers
from deskloop.store.snapshot import has_commits

MODES = {"raw": 0o700, "clean": 0o755, "keys": 0o700, "memo": 0o700, "models": 0o755, "reports": 0o755}


class Store(DeltaTables):
    """Paths, tables, lock and keys of one store; its root is its only state."""

    def prepare(self) -> None:
        """Create the folders, and set the modes of existing ones.

        Raises:
            ConfigError: the root is a file or cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for name, mode in MODES.items():
                folder = self.root / name
                folder.mkdir(mode=mode, exist_ok=True)
                folder.chmod(mode)
            for secret in (*(self.root / "keys").iterdir(), *(self.root / "memo").iterdir()):
                with suppress(FileNotFoundError):  # another process's temporary file
                    secret.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"{self.root} cannot be used as a folder: {error.strerror}", "the store") from None
        self.key()

    @contextmanager
    def locked(self, erasing: bool = False) -> Iterator[None]:
        """Lock the store against other runs; the lock ends with the process, also if that is killed.

        Args:
            erasing: the caller completes an erasure that was interrupted, if there is one.
        Raises:
            ConfigError: another run has the lock, or an erasure was interrupted.
            DamageError: the ledger is missing.
        """
        remove_leftovers(self.root)
        self.prepare()
        with self.alone():
            if not erasing and (self.root / "ledger" / "erasure.json").exists():
                raise ConfigError(
                    f"an erasure in {self.root} was interrupted; finish it first: deskloop data erase", "the store"
                )
            self.check_ledger()
            keys = self.keys()
            key_checks.verify_erasures(self.root, keys)
            key_checks.record(self.root, keys)
            self.clear_staging()
            yield

    def check_ledger(self) -> None:
        """Refuse a store that has published versions but no ledger.

        Without it, splits would be assigned again and the data of erased people would return.

        Raises:
            DamageError: the ledger is missing.
        """
        if has_commits(self.root / "catalog") and not any((self.root / "ledger").glob("*/_delta_log")):
            raise DamageError("ledger", "all of its tables are missing")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock without creating, checking or clearing any part of the store.

        Raises:
            ConfigError: another run has the lock.
        """
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another run is working on {self.root}; wait for it to end", "the store") from None
            yield

    def key(self) -> tuple[str, bytes]:
        """Return the current HMAC key as (id, secret), creating it on first use.

        Raises:
            ConfigError: the file is damaged or lost, or holds another key than the one the data was created with; a
                new key would change every customer's pseudonym.
        """
        key = current(self.root / "keys", new=not (self.root / "catalog" / "_delta_log").is_dir())
        key_checks.verify(self.root, [key])
        return key.id, key.secret

    def keys(self) -> list[Key]:
        """Return every HMAC key: the current one, then the retired ones, the latest first.

        Raises:
            ConfigError: a file is damaged or lost, or holds a key of another store.
        """
        self.key()
        keys = all_keys(self.root / "keys")
        key_checks.verify(self.root, keys)
        return keys

    def rotate_key(self, given_up: Sequence[str] = ()) -> Key:
        """Retire the current key, if there is one, and create a new one; the caller holds the store's lock.

        If the process is killed, the store has either key as its current one and accepts both.

        Args:
            given_up: ids of lost keys whose erasures can no longer be recognized.
        """
        key = rotate(self.root / "keys", lambda new: key_checks.announce(self.root, new, given_up))
        key_checks.record(self.root, self.keys())
        return key
