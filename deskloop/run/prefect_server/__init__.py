"""The Prefect server of a command: the configured one, or a temporary one that ends with the command."""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from deskloop.contract.errors import MachineError
from deskloop.engine.firewall import explain, public

START_SECONDS = 120.0  # about 6 on an idle machine, more than 20 on a busy one
STOP_SECONDS = 3.0
LOG_SECONDS = 1.0  # to send the last log lines
CHECK_SECONDS = 30.0
TEMPORARY = "DESKLOOP_TEMPORARY_SERVER"  # variable with the URL of the temporary server
Result = TypeVar("Result")


@contextmanager
def connected() -> Iterator[Callable[[], None]]:
    """Bring up a Prefect server while the caller imports its flows.

    A server that PREFECT_API_URL or a Prefect profile configures is used as it is. Otherwise this starts a temporary
    one, which ends with this process, however that ends.

    Yields:
        A function that waits for the server, to call before the first flow; it raises MachineError if none answers.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield check
        return
    with TemporaryServer() as server:
        from prefect.settings import get_current_settings

        if get_current_settings().api.url:  # from a profile or a configuration file
            server.close()
            yield check
            return
        from prefect.context import refresh_global_settings_context

        os.environ["PREFECT_API_URL"] = os.environ[TEMPORARY] = server.url
        try:
            refresh_global_settings_context()
            yield server.wait
        finally:
            send_logs()
            del os.environ["PREFECT_API_URL"], os.environ[TEMPORARY]
            refresh_global_settings_context()


def send_logs() -> None:
    """Send the queued log lines now: when the process ends, the server has ended too, and Prefect would retry."""
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=LOG_SECONDS)


def lasting() -> bool:
    """Check that a server is configured that outlives this process, so that its automations can send messages."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return bool(url) and url != os.environ.get(TEMPORARY)


def check() -> None:
    """Check that the configured server answers.

    Raises:
        MachineError: it does not, or refuses the request; names its URL and what to do.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

    url = public(get_current_settings().api.url or "")
    seconds = min(CHECK_SECONDS, get_current_settings().api.request_timeout)
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": seconds}) as client,
        ):
            error = client.api_healthcheck()
    except Exception as raised:
        error = raised
    if error is not None:
        problem = (
            explain(error)
            or f"the Prefect server at {url} cannot be used ({type(error).__name__}). Check PREFECT_API_URL"
        )
        raise MachineError(problem) from None


class TemporaryServer:
    """A child process that serves Prefect's API to this process on a free port of 127.0.0.1.

    Attributes:
        url: of its API, which does not answer before `wait` has returned.
    """

    def __init__(self) -> None:
        """Start the process without waiting until it serves requests."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.set_inheritable(True)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            debug = os.environ.get("DESKLOOP_DEBUG")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deskloop.run.prefect_server.child", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if debug else subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )

    def __enter__(self) -> "TemporaryServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return once the server answers.

        Raises:
            MachineError: it does not start; gives the reason, if known, and what to do.
        """
        line = self._first_line(seconds)
        if line is None:
            raise MachineError(
                f"Prefect's temporary server did not start within {seconds:.0f} s: the machine is too busy. Run again "
                "later, or start a server of your own and set PREFECT_API_URL (docs/schedule.md)"
            )
        status = json.loads(line) if line else {"problem": None}
        if not status.get("ready"):
            reason = status["problem"] or (
                f"it ended with {status.get('kind', 'no message')}. `prefect server start` shows more"
            )
            raise MachineError(f"Prefect's temporary server cannot start: {reason}")

    def _first_line(self, seconds: float) -> bytes | None:
        """Return the line that the server prints when it has started; empty if it ended without one, None if late."""
        output = self._process.stdout
        assert output is not None
        deadline, line = time.monotonic() + seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                part = os.read(output.fileno(), 65_536)
                if not part:
                    return b""
                line += part
        return line

    def close(self) -> None:
        """End the server: it has `STOP_SECONDS` to shut down before it is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(STOP_SECONDS)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
