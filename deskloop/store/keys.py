"""The secret keys of customer keys, pseudonyms and hashes: the current one and its predecessors.

    keys/hmac.json         the current key
    keys/hmac-<id>.json    a retired key, which still recognizes entries that were hashed with it, such as erasures

A key makes it possible to verify a guess at a name or a number, so only the owner can read the files (mode 0600).
A backup must include them: a new key would change every customer's pseudonym.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import ConfigError
from deskloop.store.durable import replace_file, sync_folder

CURRENT = "hmac.json"
ID_BYTES, KEY_BYTES = 4, 32
_ID, _KEY = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}"), re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class Key:
    """A secret HMAC key.

    Attributes:
        id: its name in recipes and ledger entries; random, and not derived from the secret.
        secret: 32 random bytes.
        made_at: UTC; None for a key of an earlier version of deskloop.
        retired_at: UTC; None for the current key.
    """

    id: str
    secret: bytes = field(repr=False)
    made_at: datetime | None = None
    retired_at: datetime | None = None


def current(folder: Path, new: bool = True) -> Key:
    """Return the current key, creating it if the store has none yet.

    Args:
        new: the store has no published versions, so that a key can be created.
    Raises:
        ConfigError: the key's file is damaged or lost.
    """
    path = folder / CURRENT
    if not path.exists():
        with _locked(folder):
            if not path.exists():  # another process may have been first
                if not new or _retired(folder):
                    raise ConfigError(
                        f"{path} is missing, but the store's data was created with it: restore it from a backup. "
                        "Without a backup, `deskloop data keys rotate` creates a new key, and every customer gets "
                        "another pseudonym",
                        "the store",
                    )
                _write(path, _made())
    return _read(path)


def all_keys(folder: Path) -> list[Key]:
    """Return every key: the current one, then the retired ones, the latest first.

    Raises:
        ConfigError: a file is damaged or missing.
    """
    first = _read(folder / CURRENT)
    retired = [key for path in _retired(folder) if (key := _read(path)).id != first.id]
    return [first, *sorted(retired, key=lambda key: (str(key.retired_at), key.id), reverse=True)]


def rotate(folder: Path, announce: Callable[[Key], None] = lambda key: None) -> Key:
    """Retire the current key, if there is one, and create a new one; if the process is killed, the old one stays.

    Args:
        announce: called with the new key before it becomes the current one; it must allow for both outcomes.
    Raises:
        ConfigError: the file of the current key is damaged.
    """
    with _locked(folder):
        if (folder / CURRENT).exists():
            old = _read(folder / CURRENT)
            _write(folder / f"hmac-{old.id}.json", replace(old, retired_at=datetime.now(UTC)))
        new = _made()
        announce(new)
        _write(folder / CURRENT, new)
    return new


def _made() -> Key:
    return Key(secrets.token_hex(ID_BYTES), secrets.token_bytes(KEY_BYTES), datetime.now(UTC))


def _retired(folder: Path) -> list[Path]:
    return sorted(folder.glob("hmac-*.json"))


def _read(path: Path) -> Key:
    """Read the key in a file, whose mode is set to 0600 if it is not."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        content = orjson.loads(path.read_bytes())
        identity, secret = content["id"], content["key"]
        if not _ID.fullmatch(identity) or not _KEY.fullmatch(secret):
            raise ValueError
        return Key(identity, bytes.fromhex(secret), _time(content, "made_at"), _time(content, "retired_at"))
    except OSError as error:
        problem = f"{path} cannot be read, or its mode cannot be set to 0600: {error.strerror}"
        raise ConfigError(problem, "the store") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is damaged; restore it from a backup", "the store") from None


def _time(content: dict[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(content[name]) if content.get(name) else None


def _write(path: Path, key: Key) -> None:
    """Write a key's file atomically and durably."""
    times = {"made_at": key.made_at, "retired_at": key.retired_at}
    content = {"id": key.id, "key": key.secret.hex(), **{name: time for name, time in times.items() if time}}
    replace_file(path, orjson.dumps(content))
    sync_folder(path.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with os.fdopen(os.open(folder / "hmac.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
