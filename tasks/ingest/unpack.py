"""Limit the unpacked size of compressed files, in which a few kilobytes can hold gigabytes."""

import io
from typing import NamedTuple

from deskloop.contract.errors import InputError

FREE = 4_000_000  # unpacked bytes that are always allowed


class Limits(NamedTuple):
    """Limits on the unpacked size of a file.

    Attributes:
        ratio: unpacked to stored size (`max_ratio`); applies beyond the first `FREE` bytes.
        size: unpacked bytes (`max_unpacked_bytes`).
        remedy: advice for a legitimate file, if it is not to raise these options.
    """

    ratio: int
    size: int
    remedy: str = ""

    def check(self, label: str, unpacked: int, stored: int) -> None:
        """Refuse a file that exceeds the limits.

        Args:
            label: the file's name in messages.
            unpacked: bytes unpacked so far.
            stored: bytes of the file that they were unpacked from.
        Raises:
            InputError: gives the file, the limit and the option that raises it.
        """
        if unpacked > self.size:
            raise InputError(
                f"{label} unpacks to more than {self.size:,} bytes; if that is expected, "
                f"{self.remedy or 'raise `max_unpacked_bytes`'}"
            )
        if unpacked > FREE and unpacked > self.ratio * stored:
            raise InputError(
                f"{label} unpacks to more than {self.ratio:,} times its size ({stored:,} bytes), like a decompression "
                f"bomb; if that is expected, {self.remedy or 'raise `max_ratio`'}"
            )


NO_LIMITS = Limits(1 << 62, 1 << 62)


class Unpacked(io.RawIOBase):
    """A decompressing stream that stops at its limits."""

    def __init__(self, inner: io.BufferedIOBase, stored: io.BufferedReader, label: str, limits: Limits) -> None:
        self.inner, self.stored, self.label, self.limits = inner, stored, label, limits
        self.position = self.most = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True; seeking backwards unpacks again from the start."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer and return the number of bytes.

        Raises:
            InputError: the limits are exceeded.
        """
        count = self.inner.readinto(buffer)
        self.position += count
        if self.position > self.most:
            self.most = self.position
            self.limits.check(self.label, self.most, self.stored.tell())
        return count

    def tell(self) -> int:
        """Return the position, in unpacked bytes."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, unpacking and counting everything before it.

        Raises:
            InputError: the limits are exceeded.
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
