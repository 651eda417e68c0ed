"""Run commands in their own processes, end them by signals, and find the processes that they leave behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = "DESKLOOP_TEST_MARK"


class Command:
    """A command in its own session, with its output in a file.

    Attributes:
        mark: identifies the process and its descendants by their environment.
    """

    def __init__(self, arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.mark, self.log = uuid.uuid4().hex, log
        ours = ("PREFECT_API", "DESKLOOP_TEMPORARY")  # the server of the tests themselves
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={**inherited, "PYTHONPATH": str(ROOT), **(environment or {}), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, ready: Callable[[str], bool], seconds: float = 240) -> None:
        """Wait until the output is `ready`."""
        end = time.monotonic() + seconds
        while not ready(self.output):
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.output}"
            assert time.monotonic() < end, self.output
            time.sleep(0.02)

    def end(self, number: signal.Signals, seconds: float = 60) -> tuple[int, float]:
        """Send a signal to the main process only; return its exit code and the seconds that it took."""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(seconds), time.monotonic() - begin

    def left(self, seconds: float = 5) -> list[str]:
        """Wait up to `seconds` for all processes of this command to end; return the remaining ones."""
        end = time.monotonic() + seconds
        while (remaining := marked(self.mark)) and time.monotonic() < end:
            time.sleep(0.05)
        return remaining


def deskloop(*arguments: object) -> list[str]:
    """Return the command line of `deskloop ARGUMENTS`."""
    return [sys.executable, "-m", "deskloop", *map(str, arguments)]


def marked(mark: str) -> list[str]:
    """Return the command lines of the running processes with a mark in their environment."""
    processes = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    processes.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue  # it has ended, or belongs to another user
    return processes
