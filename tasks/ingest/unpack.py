"""What a compressed file may hold: a few kilobytes can stand for gigabytes."""

import io
from typing import NamedTuple

from deskloop.contract.errors import InputError

FREE = 4_000_000  # bytes that any file may hold, whatever its size


class Limits(NamedTuple):
    """How much a file may hold once unpacked.

    Attributes:
        ratio: times its own size (`max_ratio`); does not count for the first `FREE` bytes.
        size: bytes (`max_unpacked_bytes`).
        remedy: what to do about a file that is right, where there are no such options.
    """

    ratio: int
    size: int
    remedy: str = ""

    def check(self, label: str, unpacked: int, stored: int) -> None:
        """Refuse a file that holds too much.

        Args:
            label: names the file.
            unpacked: bytes that were unpacked so far.
            stored: bytes of the file that they were unpacked from.
        Raises:
            InputError: names the file, the limit and the option that raises it.
        """
        if unpacked > self.size:
            raise InputError(
                f"{label} unpacks to more than {self.size:,} bytes; if that is right, "
                f"{self.remedy or 'raise `max_unpacked_bytes`'}"
            )
        if unpacked > FREE and unpacked > self.ratio * stored:
            raise InputError(
                f"{label} unpacks to more than {self.ratio:,} times its size ({stored:,} bytes), as files do that are "
                f"made to fill a machine; if that is right, {self.remedy or 'raise `max_ratio`'}"
            )


NO_LIMITS = Limits(1 << 62, 1 << 62)


class Unpacked(io.RawIOBase):
    """A decompressing stream that stops at its limits."""

    def __init__(self, inner: io.BufferedIOBase, stored: io.BufferedReader, label: str, limits: Limits) -> None:
        self.inner, self.stored, self.label, self.limits = inner, stored, label, limits
        self.position = self.most = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True: backwards by unpacking again from the start."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer; returns how many bytes.

        Raises:
            InputError: more than the limits allow.
        """
        count = self.inner.readinto(buffer)
        self.position += count
        if self.position > self.most:
            self.most = self.position
            self.limits.check(self.label, self.most, self.stored.tell())
        return count

    def tell(self) -> int:
        """Bytes from the start."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; what lies before it is unpacked, and counted.

        Raises:
            InputError: more than the limits allow.
        """
        block = memoryview(bytearray(1 << 20))
        if whence == io.SEEK_END:
            while self.readinto(block):
                pass
        target = offset if whence == io.SEEK_SET else self.position + offset
        if target < self.position:
            self.position = self.inner.seek(target)
        while self.position < target and self.readinto(block[: target - self.position]):
            pass
        return self.position
