"""SIGTERM and SIGHUP end a command as Ctrl-C does: it cleans up, reports that it can be resumed, and exits in seconds.

A signal raises `Interrupted` in the main thread, so that the clean-up releases locks, stops workers and updates
Prefect's record of the run. C code cannot be interrupted, and a library may wait indefinitely, so a watchdog thread
ends the process by force `SECONDS` after the signal. The store survives that as it survives `kill -9`.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from deskloop.contract.terminal import visible_lines

SECONDS = 4.0
MESSAGE = "interrupted; what was published stays, and running the same command again resumes"


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def exit_code(error: BaseException) -> int:
    """Return the exit code of a command that a signal ended: 128 + its number, as in shells."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)


@contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """End the command within `SECONDS` of one of these signals; ignored signals (`nohup`) stay ignored.

    Outside of the main thread, which alone can handle signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    watch = _Watch(set(before))
    for number in before:
        signal.signal(number, watch.interrupt)
    try:
        yield
        if watch.seen:  # a library swallowed the exception, as Prefect does once a flow's own code has ended
            raise Interrupted(watch.seen)
    except SystemExit:
        if watch.seen:
            complain(MESSAGE)
            os._exit(128 + watch.seen)  # the watchdog thread does not run while the interpreter shuts down
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        watch.close()


class _Watch:
    """End the process by force if a signal has not ended it in time.

    Attributes:
        seen: number of the first signal, 0 for none; set even if a library replaced our handler.
    """

    def __init__(self, numbers: set[signal.Signals]) -> None:
        self._numbers, self._caught, self.seen = numbers, False, 0
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        # Python's C-level handler writes the signal's number here at once, even while the main thread runs C code.
        self._before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._writer = writer
        threading.Thread(target=self._wait, daemon=True).start()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal; only the first one raises, as another exception would disturb the clean-up."""
        self.seen = self.seen or number
        if not self._caught:
            self._caught = True
            # `_wait` starts this too, but a library may have replaced the wakeup descriptor, and swallow the exception.
            threading.Thread(target=self._force, args=(number,), daemon=True).start()
            raise Interrupted(number)

    def close(self) -> None:
        """Stop watching; after a signal, the watchdog continues until the process ends."""
        signal.set_wakeup_fd(self._before)
        os.close(self._writer)

    def _wait(self) -> None:
        while number := os.read(self._reader, 1):
            if self._before >= 0:
                with suppress(OSError):
                    os.write(self._before, number)
            if number[0] in self._numbers:
                self.seen = self.seen or number[0]
                self._force(number[0])
        os.close(self._reader)

    def _force(self, number: int) -> None:
        threading.Event().wait(SECONDS)
        if os.environ.get("DESKLOOP_DEBUG"):
            faulthandler.dump_traceback()  # of the code that did not end
        complain(MESSAGE)
        os._exit(128 + number)


def complain(message: str) -> None:
    """Print a message on stderr, if it is still open: after SIGHUP the terminal is closed."""
    with suppress(OSError, ValueError):
        print(f"deskloop: {visible_lines(message)}", file=sys.stderr, flush=True)
