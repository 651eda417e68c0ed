"""Crash output without customer text: no core dumps, and no messages that may quote a conversation."""

import os
import resource
import sys
import threading


def hush() -> None:
    """Disable core dumps, and print only the type of an uncaught error, for this process.

    Child processes inherit the limit on core dumps. Hooks that were replaced already stay, and `--debug` leaves all of
    them unchanged. Python's fault handler prints functions and lines, but no values, and may be enabled.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if os.environ.get("DESKLOOP_DEBUG"):
        return
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is not SystemExit:
        _print(arguments.exc_type, "a thread")


def _unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    _print(arguments.exc_type, "the clean-up of an object")


def _print(kind: type[BaseException], where: str) -> None:
    print(f"deskloop: {kind.__name__} in {where}; its message is withheld, as it may quote a conversation",
          file=sys.stderr)  # fmt: skip
