"""Progress for a person: lines on stderr, and a counter that overwrites itself on a terminal."""

import sys

from deskloop.contract.terminal import visible

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Suppress progress from now on, or show it again."""
    global _quiet
    _quiet = quiet


def say(line: str) -> None:
    """Print a line on stderr."""
    if not _quiet:
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        print(f"{clear}{visible(line)}", file=sys.stderr, flush=True)


def tick(line: str) -> None:
    """Print a temporary line, on a terminal only; the next line overwrites it."""
    if not _quiet and sys.stderr.isatty():
        print(f"\r\x1b[K{visible(line)}", end="", file=sys.stderr, flush=True)


def show(step: str, done: int, total: int, unit: str) -> None:
    """Show how far a step is on a terminal; a total of 0 is unknown."""
    tick(f"  {step}: {describe(done, total, unit)}")


def describe(done: int, total: int, unit: str) -> str:
    """Return `3,000 of 10,000 rows`, or `3,000 rows` where the total is unknown (0)."""
    return f"{done:,} of {total:,} {unit}" if total else f"{done:,} {unit}"
