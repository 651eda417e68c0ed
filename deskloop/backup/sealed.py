"""The file format of a backup: a stream encrypted with age (https://age-encryption.org), through pyrage.

    deskloop-backup/1 <mode> <length>\\n      `recipient` or `passphrase`, and the length of the next part in bytes
    <an age file>                            in mode `passphrase` only: the key of the rest, under the passphrase
    <an age file>                            the contents

age encrypts in authenticated chunks of 64 KiB, so that changed, missing or swapped bytes are detected; it derives keys
from passphrases with scrypt. pyrage encrypts streams only with keys, so a passphrase backup gets a key of its own.
Memory holds only a few chunks, and no plaintext is written to disk.
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
    """The secret with which a backup is encrypted or decrypted: either a passphrase or keys.

    Attributes:
        keys: a recipient's public key (`age1...` or an SSH key) to encrypt; the text of an identity file to decrypt.
    """

    passphrase: str = field(default="", repr=False)
    keys: str = field(default="", repr=False)


def recipient(text: str) -> Any:
    """Parse a public key.

    Raises:
        ConfigError: age does not support it.
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
    """Parse the private keys of an identity file in age's own format, or an SSH key.

    Raises:
        ConfigError: there is no such key.
    """
    from pyrage import IdentityError, ssh, x25519

    try:
        if "PRIVATE KEY-----" in text:
            return [ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        keys = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (IdentityError, ValueError):
        keys = []
    if not keys:
        raise ConfigError("--identity: the file holds no unencrypted private key of age or SSH", "the command")
    return keys


@contextmanager
def sealing(file: IO[bytes], lock: Lock) -> Iterator[IO[bytes]]:
    """Open a stream whose contents are written to `file` encrypted; the file is complete when the block ends."""
    import pyrage
    from pyrage import passphrase, x25519

    if lock.keys:
        chosen, wrapped = recipient(lock.keys), b""
    else:
        key = x25519.Identity.generate()
        chosen, wrapped = key.to_public(), passphrase.encrypt(str(key).encode(), lock.passphrase)
    mode = b"recipient" if lock.keys else b"passphrase"
    file.write(b"%b %b %d\n" % (MAGIC, mode, len(wrapped)) + wrapped)
    output = _Observed(file)
    try:
        with _piped(lambda source: pyrage.encrypt_io(source, output, [chosen]), writes=True) as stream:
            yield stream
    except pyrage.EncryptError:
        raise DataError(f"the backup cannot be written: {output.reason or 'age failed to encrypt it'}") from None


@contextmanager
def opening(file: IO[bytes], lock: Lock) -> Iterator[IO[bytes]]:
    """Open a stream of the decrypted contents, of which every byte is authenticated before it is returned.

    Raises:
        ConfigError: the file is not a backup, or cannot be decrypted with this passphrase or key.
        DataError: it is damaged.
    """
    import pyrage

    keys, source, sinks = _unlock(file, lock), _Observed(file), list[_Observed]()

    def decrypt(sink: IO[bytes]) -> None:
        sinks.append(_Observed(sink))
        pyrage.decrypt_io(source, sinks[0], keys)

    try:
        with _piped(decrypt, writes=False) as stream:
            yield stream
    except (pyrage.DecryptError, OSError) as error:
        if source.reason:
            raise DataError(f"the backup cannot be read: {source.reason}") from None
        if isinstance(error, pyrage.DecryptError):
            raise ConfigError(
                "the backup cannot be decrypted with this key, or its beginning is damaged", "the backup"
            ) from None
        if error.errno is not None and not sinks:
            raise
        raise DataError(DAMAGED) from None


def mode_of(file: IO[bytes]) -> str:
    """Return `recipient` or `passphrase`, and rewind the file.

    Raises:
        ConfigError: the file is not a backup.
    """
    mode, _ = _header(file)
    file.seek(0)
    return mode


def _header(file: IO[bytes]) -> tuple[str, int]:
    line = file.readline(LONGEST_HEADER)
    magic, _, rest = line.rstrip(b"\n").partition(b" ")
    mode, _, length = rest.partition(b" ")
    if magic != MAGIC or mode not in (b"recipient", b"passphrase") or not length.isdigit() or int(length) > LONGEST_KEY:
        raise ConfigError(f"the file is not a backup of this version of deskloop ({MAGIC.decode()})", "the backup")
    return mode.decode(), int(length)


def _unlock(file: IO[bytes], lock: Lock) -> list[Any]:
    import pyrage
    from pyrage import passphrase, x25519

    mode, length = _header(file)
    wrapped = file.read(length)
    if mode == "recipient":
        if not lock.keys:
            raise ConfigError("the backup was made for a recipient's key; add --identity FILE", "the backup")
        return identities(lock.keys)
    if not lock.passphrase:
        raise ConfigError("the backup was made with a passphrase; --identity cannot decrypt it", "the backup")
    try:
        return [x25519.Identity.from_str(passphrase.decrypt(wrapped, lock.passphrase).decode())]
    except (pyrage.DecryptError, pyrage.IdentityError, ValueError):
        raise ConfigError("the passphrase is wrong, or the backup's beginning is damaged", "the backup") from None


@contextmanager
def _piped(work: Callable[[IO[bytes]], None], writes: bool) -> Iterator[IO[bytes]]:
    """Connect the caller and `work`, which runs in another thread, by a pipe; errors of `work` are raised here.

    Args:
        work: reads from its stream, or writes to it.
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
                pass  # read to the end, which is authenticated last
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


class _Observed:
    """A file that keeps the reason of a failed read or write, which age replaces by an error of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.reason = file, ""

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase`."""
        return self._observed(lambda: self.file.read(size))

    def write(self, content: bytes) -> int:
        """See `io.RawIOBase`."""
        return self._observed(lambda: self.file.write(content))

    def flush(self) -> None:
        """See `io.RawIOBase`."""
        self._observed(self.file.flush)

    def _observed(self, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except OSError as error:
            self.reason = error.strerror or type(error).__name__
            raise


def private_text(path: Path, option: str) -> str:
    """Read the text of a file that holds a secret.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{option} {path}: {reason}", "the command") from None
