"""The file of a backup: a stream that is encrypted with age (https://age-encryption.org), through pyrage.

    deskloop-backup/1 <mode> <length>\\n      `recipient` or `passphrase`, and the length of what follows
    <an age file>                            of mode `passphrase` alone: the key of the rest, under the passphrase
    <an age file>                            the contents

age encrypts in chunks of 64 KiB with authentication, so that a changed, cut or swapped byte is noticed; a passphrase
goes through scrypt. pyrage encrypts streams for keys only, hence the key that is made for each backup. Nothing here
holds more than a few chunks in memory, and no plaintext touches the disk.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from deskloop.contract.errors import ConfigError, DataError, DeskloopError

Result = TypeVar("Result")

DAMAGED = "the backup is damaged or was cut off: it does not match its own authentication. Use another copy"
MAGIC = b"deskloop-backup/1"
LONGEST_HEADER = 64
LONGEST_KEY = 4096  # bytes of an age file with one key in it


@dataclass(frozen=True)
class Lock:
    """What a backup is encrypted with, or opened with; one of the two.

    Attributes:
        keys: of age: a recipient's public key (`age1...` or an SSH key) to encrypt, an identity file's text to open.
    """

    passphrase: str = field(default="", repr=False)
    keys: str = field(default="", repr=False)


def recipient(text: str) -> Any:
    """A public key.

    Raises:
        ConfigError: it is none that age knows.
    """
    from pyrage import RecipientError, ssh, x25519

    try:
        kind = ssh if text.startswith("ssh-") else x25519
        return kind.Recipient.from_str(text.strip())
    except (RecipientError, ValueError):
        raise ConfigError(
            "--recipient: not a public key of age (age1...) or SSH (ssh-ed25519, ssh-rsa)", "the command"
        ) from None


def identities(text: str) -> list[Any]:
    """The private keys of an identity file: age's own format, or an SSH key.

    Raises:
        ConfigError: there is none.
    """
    from pyrage import IdentityError, ssh, x25519

    try:
        if "PRIVATE KEY-----" in text:
            return [ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (IdentityError, ValueError):
        found = []
    if not found:
        raise ConfigError("--identity: the file holds no private key of age or SSH without a passphrase", "the command")
    return found


@contextmanager
def sealing(file: IO[bytes], lock: Lock) -> Iterator[IO[bytes]]:
    """A stream to write to; what is written comes out encrypted in `file`, complete when the block ends."""
    import pyrage
    from pyrage import passphrase, x25519

    if lock.keys:
        chosen, wrapped = recipient(lock.keys), b""
    else:
        own = x25519.Identity.generate()
        chosen, wrapped = own.to_public(), passphrase.encrypt(str(own).encode(), lock.passphrase)
    mode = b"recipient" if lock.keys else b"passphrase"
    file.write(b"%b %b %d\n" % (MAGIC, mode, len(wrapped)) + wrapped)
    noted = _Noted(file)
    try:
        with _piped(lambda source: pyrage.encrypt_io(source, noted, [chosen]), writes=True) as stream:
            yield stream
    except pyrage.EncryptError:
        raise DataError(f"the backup cannot be written: {noted.reason or 'age refused'}") from None


@contextmanager
def opening(file: IO[bytes], lock: Lock) -> Iterator[IO[bytes]]:
    """A stream to read the contents from; authentic up to where it was read, and complete at its end.

    Raises:
        ConfigError: the file is no backup, or does not open with this passphrase or key.
        DataError: it is damaged.
    """
    import pyrage

    keys, noted, sunk = _unlock(file, lock), _Noted(file), list[_Noted]()

    def decrypt(sink: IO[bytes]) -> None:
        sunk.append(_Noted(sink))
        pyrage.decrypt_io(noted, sunk[0], keys)

    try:
        with _piped(decrypt, writes=False) as stream:
            yield stream
    except (pyrage.DecryptError, OSError) as error:
        if noted.reason:
            raise DataError(f"the backup cannot be read: {noted.reason}") from None
        if isinstance(error, pyrage.DecryptError):
            raise ConfigError(
                "the backup does not open with this key, or its beginning is damaged", "the backup"
            ) from None
        if error.errno is not None and not sunk:
            raise
        raise DataError(DAMAGED) from None


def mode_of(file: IO[bytes]) -> str:
    """`recipient` or `passphrase`; leaves the file at its beginning.

    Raises:
        ConfigError: the file is no backup.
    """
    mode, _ = _header(file)
    file.seek(0)
    return mode


def _header(file: IO[bytes]) -> tuple[str, int]:
    line = file.readline(LONGEST_HEADER)
    magic, _, rest = line.rstrip(b"\n").partition(b" ")
    mode, _, length = rest.partition(b" ")
    if magic != MAGIC or mode not in (b"recipient", b"passphrase") or not length.isdigit() or int(length) > LONGEST_KEY:
        raise ConfigError(f"the file is no backup of this version of deskloop ({MAGIC.decode()})", "the backup")
    return mode.decode(), int(length)


def _unlock(file: IO[bytes], lock: Lock) -> list[Any]:
    import pyrage
    from pyrage import passphrase, x25519

    mode, length = _header(file)
    wrapped = file.read(length)
    if mode == "recipient":
        if not lock.keys:
            raise ConfigError("the backup was made for a recipient's key; open it with --identity FILE", "the backup")
        return identities(lock.keys)
    if not lock.passphrase:
        raise ConfigError("the backup was made with a passphrase; --identity does not open it", "the backup")
    try:
        return [x25519.Identity.from_str(passphrase.decrypt(wrapped, lock.passphrase).decode())]
    except (pyrage.DecryptError, pyrage.IdentityError, ValueError):
        raise ConfigError("the passphrase is wrong, or the backup's beginning is damaged", "the backup") from None


@contextmanager
def _piped(work: Callable[[IO[bytes]], None], writes: bool) -> Iterator[IO[bytes]]:
    """A stream whose other end another thread works on; an error there is raised here.

    Args:
        work: reads from the stream that it is given, or writes to it.
        writes: whether the caller writes.
    """
    reading, writing = os.pipe()
    ours, theirs = (writing, reading) if writes else (reading, writing)
    errors: list[Exception] = []

    def run() -> None:
        with suppress(BrokenPipeError), os.fdopen(theirs, "rb" if writes else "wb") as stream:
            try:
                work(stream)
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=run, name="age", daemon=True)
    thread.start()
    try:
        with os.fdopen(ours, "wb" if writes else "rb") as stream:
            yield stream
            while not writes and stream.read(1 << 16):
                pass  # up to the end, which is authenticated last
    except DeskloopError:
        raise
    except Exception:
        thread.join()
        if not errors:
            raise
    finally:
        thread.join()
    if errors:
        raise errors[0]


class _Noted:
    """A file that remembers why it could not be written or read: age gives its own error for that."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.reason = file, ""

    def read(self, size: int = -1) -> bytes:
        """Like the file's."""
        return self._noted(lambda: self.file.read(size))

    def write(self, content: bytes) -> int:
        """Like the file's."""
        return self._noted(lambda: self.file.write(content))

    def flush(self) -> None:
        """Like the file's."""
        self._noted(self.file.flush)

    def _noted(self, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except OSError as error:
            self.reason = error.strerror or type(error).__name__
            raise


def private_text(path: Path, option: str) -> str:
    """The text of a file that holds a secret.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{option} {path}: {reason}", "the command") from None
