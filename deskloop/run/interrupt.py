"""SIGTERM and SIGHUP end a command as Ctrl-C does: it unwinds, says that it can be resumed, and is gone in seconds.

A signal raises `Interrupted` in the main thread, so that locks, workers and Prefect's record of the run are dealt with
on the way out. Code in C cannot be interrupted, and a library may wait for ever, so a thread watches over the end:
what a signal has not ended after `SECONDS` is ended by force. The store survives that as it survives `kill -9`.
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
    """128 + n of the signal that ended a command, as shells count."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)


@contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """End the command on these signals, in time; a signal that is ignored (`nohup`) stays ignored.

    Outside of the main thread, where signals cannot be handled, it does nothing.
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
        if watch.seen:  # swallowed on the way, as Prefect does once a flow's own code is done
            raise Interrupted(watch.seen)
    except SystemExit:
        if watch.seen:
            complain(MESSAGE)
            os._exit(128 + watch.seen)  # threads do not watch over the end of the interpreter
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        watch.close()


class _Watch:
    """Ends the process by force if a signal has not ended it in time.

    Attributes:
        seen: the first signal that came, 0 for none; also where a library's handler had taken the place of ours.
    """

    def __init__(self, numbers: set[signal.Signals]) -> None:
        self._numbers, self._caught, self.seen = numbers, False, 0
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        # The system's own handler writes the signal's number here at once, even while the main thread is in C code.
        self._before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._writer = writer
        threading.Thread(target=self._wait, daemon=True).start()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler; only the first signal raises, as another one would disturb the clean-up."""
        self.seen = self.seen or number
        if not self._caught:
            self._caught = True
            # Started here too: a library may have taken the wakeup descriptor, and swallow the exception.
            threading.Thread(target=self._force, args=(number,), daemon=True).start()
            raise Interrupted(number)

    def close(self) -> None:
        """Watch no more, unless a signal came: then the end of the interpreter is watched too."""
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
            faulthandler.dump_traceback()  # what did not end
        complain(MESSAGE)
        os._exit(128 + number)


def complain(message: str) -> None:
    """A line on stderr, if that is still there: after SIGHUP the terminal is gone."""
    with suppress(OSError, ValueError):
        print(f"deskloop: {visible_lines(message)}", file=sys.stderr, flush=True)
