"""The temporary Prefect server's process, which `TemporaryServer` starts.

    python -m deskloop.run.prefect_server.child FD

It serves Prefect's API on a socket that it inherits, and ends when its standard input is closed. The parent holds the
other end of that pipe, so the server ends with the parent on every POSIX system, even after `kill -9`. It ignores
signals that reach the entire process group (Ctrl-C, a closed terminal, a stopped service): the parent handles them, and
its last request reports to Prefect how the run ended.

It prints one JSON line on standard output: `{"ready": true}`, or `{"problem": ...}` if it cannot start.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import uvicorn

GRACE = 2.0  # seconds for a graceful shutdown, after which the process ends anyway


def main() -> None:
    """Serve until standard input is closed."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)  # Prefect's database is readable by its owner alone
    servers: list[uvicorn.Server] = []
    threading.Thread(target=_follow_parent, args=(servers,), daemon=True).start()
    status = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to stderr, not among the status
    try:
        _serve(int(sys.argv[1]), servers, status)
    except BaseException as error:
        if os.environ.get("DESKLOOP_DEBUG"):
            traceback.print_exc()
        from deskloop.engine.firewall import explain

        _report(status, {"problem": explain(error), "kind": type(error).__name__})
    os._exit(0)


def _report(status: "TextIO", content: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the parent has ended
        status.write(json.dumps(content) + "\n")
        status.flush()


def _follow_parent(servers: "list[uvicorn.Server]") -> None:
    while os.read(0, 1):
        pass
    for server in servers:
        server.should_exit = True
    time.sleep(GRACE if servers else 0)
    os._exit(0)


def _serve(descriptor: int, servers: "list[uvicorn.Server]", status: "TextIO") -> None:
    """Serve Prefect's application; re-raises an exception of its start-up."""
    os.environ |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    from deskloop.run.prefect_server.database import check_database, one_at_a_time

    starting = ExitStack()
    starting.enter_context(one_at_a_time())
    check_database()

    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            starting.close()
            _report(status, {"ready": True})

    failures: list[BaseException] = []
    app = create_app()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            if scope["type"] == "lifespan":
                failures.append(error)
            raise

    config = uvicorn.Config(application, log_config=None, log_level="critical", lifespan="on", access_log=False)
    servers.append(Server(config))
    try:
        servers[0].run([socket.socket(fileno=descriptor)])
    except SystemExit:  # from uvicorn, when the start-up failed
        raise failures[0] if failures else RuntimeError from None


if __name__ == "__main__":
    main()
