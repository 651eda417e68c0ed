"""The exception firewall: the one place where exceptions of other libraries become ours.

Their messages may quote a conversation, so none is ever printed: only the kind of the problem is taken from them (an
error number, SQLite's result code, a known phrase), and a path only if it is in a folder that the user named.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deskloop.contract.errors import DeskloopError, MachineError, StepError
from deskloop.contract.extras import missing_extra
from deskloop.engine.machine import PASSING, machine_problem


def translated(error: BaseException, step: str, ids: Sequence[str] = (), store: Path | None = None) -> DeskloopError:
    """Return our error in place of a foreign one that ended a step.

    Args:
        ids: rows of the batch.
        store: root of the open store; its paths may be named.
    """
    problem = explain(error, store)
    if problem is None:
        return StepError(step, type(error).__name__, ids)
    return MachineError(f"step {step!r}: {problem}", is_passing(error))


def is_passing(error: BaseException) -> bool:
    """Check whether the cause of an error may pass, so that another attempt can help."""
    return any(
        cause.passing if isinstance(cause, MachineError) else isinstance(cause, OSError) and cause.errno in PASSING
        for cause in _chain(error)
    )


@contextmanager
def guarded(step: str, ids: Sequence[str] = (), store: Path | None = None) -> Iterator[None]:
    """Replace foreign exceptions: their messages may quote a conversation, and Prefect would store them.

    Raises:
        StepError, MachineError: in place of any exception that is not ours; arguments as of `translated`.
        KeyboardInterrupt, TerminationSignal: in place of an error that followed from it.
    """
    try:
        yield
    except Exception as error:
        signal = next(filter(_is_signal, _chain(error)), None)
        if signal is not None:  # the run was ending, and something failed while it did
            raise signal from None
        if isinstance(error, DeskloopError) or os.environ.get("DESKLOOP_DEBUG"):
            raise
        raise translated(error, step, ids, store) from None


def explain(error: BaseException, store: Path | None = None) -> str | None:
    """Return what stopped the command and what to do; None if the cause is unknown.

    Args:
        store: root of the open store; its paths may be named.
    """
    for cause in _chain(error):
        if isinstance(cause, MachineError):
            return str(cause)
        if problem := missing_extra(cause) or _of_prefect(cause) or machine_problem(cause, store):
            return problem
    return None


def withheld(error: BaseException) -> str:
    """Return the message for an exception of unknown cause."""
    return (
        f"unexpected {type(error).__name__}; its message is withheld, as it may quote a conversation. "
        "`deskloop --debug ...` shows it."
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, the outermost first, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            inner = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
            waiting += [*inner, getattr(current, "orig", None), current.__cause__, current.__context__]


def _is_signal(error: BaseException) -> bool:
    """Check for Ctrl-C, our own handlers' exception, or that of Prefect's handler of SIGTERM."""
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal"


def _of_prefect(error: BaseException) -> str | None:
    """Return what is wrong with Prefect's server; None if the exception has nothing to do with it."""
    url = _api_url()
    request = getattr(error, "_request", None) or getattr(error, "request", None) if _is_http(error) else None
    if url is None or request is None or not str(request.url).startswith(url.rstrip("/")):
        return None
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind = type(error).__name__
    if status in (401, 403):
        problem = f"refused the request (HTTP {status}). Check PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
    elif status is not None:
        problem = f"answered with HTTP {status}. Check the server's log, and compare its version with `prefect version`"
    elif "Timeout" in kind:
        problem = "does not answer in time. Check it, and run again"
    else:
        problem = "cannot be reached. Start it (docs/schedule.md), or correct or unset PREFECT_API_URL"
    return f"the Prefect server at {public(url)} {problem}"


def _is_http(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("httpx", "prefect")


def _api_url() -> str | None:
    """URL of the Prefect server that this process talks to."""
    if "prefect.settings" not in sys.modules:
        return None
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def public(url: str) -> str:
    """A URL without user, password, query and fragment."""
    parts = urlsplit(url)
    place = parts.hostname or ""
    place = f"[{place}]" if ":" in place else place
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{place}{port}{parts.path}"
