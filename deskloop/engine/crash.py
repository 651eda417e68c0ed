"""What a crash leaves behind: no memory image, and no message that quotes a conversation."""

import os
import resource
import sys
import threading


def hush() -> None:
    """Write no core dump, and name no more than the type of an error that nobody catches; for this process.

    Its children inherit the limit on core dumps. Hooks that someone else has set stay, and so does everything under
    `--debug`. Python's fault handler prints functions and lines, no values, and may be on.
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
        _tell(arguments.exc_type, "a thread")


def _unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    _tell(arguments.exc_type, "the clean-up of an object")


def _tell(kind: type[BaseException], where: str) -> None:
    print(f"deskloop: {kind.__name__} in {where}; its message is withheld, as it may quote a conversation",
          file=sys.stderr)  # fmt: skip
