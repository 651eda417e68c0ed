"""A Prefect of its own for a test: server, work pool, worker and a receiver of messages, all ended by their ids."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
PREFECT = [sys.executable, "-m", "prefect"]


class Receiver(HTTPServer):
    """Keeps the bodies of what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.bodies: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/on-call"


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


class House:
    """One Prefect home with what runs in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.receiver = Receiver()
        self.running: list[subprocess.Popen[bytes]] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
        }

    def command(self, *arguments: str) -> str:
        """Run to the end, from the repository's root; the output."""
        done = subprocess.run(arguments, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a background process; its output is written to a file of the home folder."""
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                arguments, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        return process

    def begin(self, pipeline: Path, worker: bool = True, due_in: float = 3600) -> None:
        """Start a server, deploy a pipeline, and start a worker, by the commands of docs/schedule.md.

        Args:
            due_in: seconds until the nightly run is due; it starts with the next minute.
        """
        self.serve()
        night = datetime.now(UTC) + timedelta(seconds=due_in + 60)
        cron = f"{night.minute} {night.hour} * * *"
        self.deploy("-c", str(pipeline), "--notify-url", self.receiver.url, "--cron", cron)
        if worker:
            self.start("worker", *PREFECT, "worker", "start", "--pool", "deskloop")

    def serve(self) -> None:
        """Start a server and wait for it."""
        self.home.mkdir(parents=True)
        self.start("server", *PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        wait("the server", self.healthy)

    def healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.api}/health").status_code == 200
        return False

    def deploy(self, *options: str) -> str:
        """Run `deskloop deploy`; its output."""
        return self.command(sys.executable, "-m", "deskloop", "deploy", *options)

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run by hand; its id."""
        pairs = [f"--param={name}={json.dumps(value)}" for name, value in parameters.items()]
        output = self.command(*PREFECT, "deployment", "run", deployment, *pairs)
        return next(line.split()[-1] for line in output.splitlines() if "UUID:" in line)

    def flow_runs(self) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.api}/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_ASC"})
        return list(answer.raise_for_status().json())

    def flow_run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.flow_runs() if run["id"] == run_id)

    def flow_process(self, run_id: str) -> int:
        """The process that works on a run."""
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"PREFECT__FLOW_RUN_ID={run_id}".encode() in environment.read_bytes().split(b"\0"):
                    return int(environment.parent.name)
        raise AssertionError(f"no process works on {run_id}")

    def message(self, words: str) -> str:
        """Wait for a message that holds these words."""
        wait(f"the message {words!r}", lambda: any(words in body for body in self.receiver.bodies))
        return next(body for body in self.receiver.bodies if words in body)

    def end(self) -> None:
        """End everything in the reverse order, and see that nothing is left."""
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.receiver.shutdown()
        self.receiver.server_close()
        assert not self.left()

    def left(self) -> list[str]:
        """Names of processes that still run in this home, or ran in it."""
        names = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"PREFECT_HOME={self.home}".encode() in environment.read_bytes().split(b"\0"):
                    names.append((environment.parent / "cmdline").read_text().replace("\0", " "))
        return names


def wait(what: str, ready: Callable[[], bool], seconds: float = 90) -> None:
    """Poll until it is so.

    Raises:
        TimeoutError: it did not come to be.
    """
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.3)
