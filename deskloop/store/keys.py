"""The secret keys behind customer keys, pseudonyms and hashes: the one in use, and those before it.

    keys/hmac.json         the key in use
    keys/hmac-<id>.json    a retired key: entries that were made under it, as erasures, are found by it

Whoever has a key can tell whether a guess at a name or a number is right, so that the files are for their owner alone
(mode 0600). A backup must hold them: a new key gives every customer another name.
"""

import fcntl
import os
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deskloop.contract.errors import ConfigError

CURRENT = "hmac.json"
ID_BYTES, KEY_BYTES = 4, 32
_ID, _KEY = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}"), re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes:
        id: what recipes and ledger entries name it by; tells nothing about the secret.
        secret: 32 random bytes.
        made_at: UTC; None for a key of an earlier version of deskloop.
        retired_at: UTC; None for the key in use.
    """

    id: str
    secret: bytes = field(repr=False)
    made_at: datetime | None = None
    retired_at: datetime | None = None


def current(folder: Path, new: bool = True) -> Key:
    """The key in use; made where there is none yet.

    Args:
        new: nothing was published under an earlier key.

    Raises:
        ConfigError: its file is damaged, or is missing where there was one.
    """
    path = folder / CURRENT
    if not path.exists():
        with _locked(folder):
            if not path.exists():  # another process may have been first
                if not new or _retired(folder):
                    raise ConfigError(
                        f"{path} is missing, and what is there was made under it: restore it from a backup. Without "
                        "one, `deskloop data keys rotate` makes a new key, and every customer gets another name",
                        "the store",
                    )
                _write(path, _made())
    return _read(path)


def all_keys(folder: Path) -> list[Key]:
    """Every key, the one in use first, then the retired ones, the latest first.

    Raises:
        ConfigError: a file is damaged or missing.
    """
    first = _read(folder / CURRENT)
    retired = [key for path in _retired(folder) if (key := _read(path)).id != first.id]
    return [first, *sorted(retired, key=lambda key: (str(key.retired_at), key.id), reverse=True)]


def rotate(folder: Path, announce: Callable[[Key], None] = lambda key: None) -> Key:
    """Retire the key in use, if there is one, and make a new one; killed in between, the old one stays in use.

    Args:
        announce: called with the new key before it is put in use; what it notes must not depend on whether it will be.
    Raises:
        ConfigError: the file of the key in use is damaged.
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
    """The key of a file, which becomes its owner's alone if it was not."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        content = orjson.loads(path.read_bytes())
        identity, secret = content["id"], content["key"]
        if not _ID.fullmatch(identity) or not _KEY.fullmatch(secret):
            raise ValueError
        return Key(identity, bytes.fromhex(secret), _time(content, "made_at"), _time(content, "retired_at"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read, or not be made its owner's alone: {error.strerror}", "the store"
                          ) from None  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is damaged; restore it from a backup", "the store") from None


def _time(content: dict[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(content[name]) if content.get(name) else None


def _write(path: Path, key: Key) -> None:
    """Put a key's file in place whole, and on the disk, or not at all."""
    times = {"made_at": key.made_at, "retired_at": key.retired_at}
    content = {"id": key.id, "key": key.secret.hex(), **{name: time for name, time in times.items() if time}}
    temporary = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(content))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with os.fdopen(os.open(folder / "hmac.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
