"""However a command ends, nothing of it is left, and the next one resumes."""

import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.flows.desk import Desk, example_lines
from tests.flows.test_killed import published
from tests.processes import Command, deskloop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path, example_lines(40), workers=2)
    made.steps = made.steps[:3]
    made.save()
    return made


def prepare(desk: Desk) -> Command:
    command = deskloop("prepare", "-c", desk.file)
    return Command(command, desk.folder / "output", {"PREFECT_HOME": str(desk.folder / "prefect")})


def test_a_server_that_starts_follows_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os; from deskloop.run.prefect_server import TemporaryServer; TemporaryServer(); os.kill(os.getpid(), 9)"
    )
    command = Command([sys.executable, "-c", code], tmp_path / "output", {"PREFECT_HOME": str(tmp_path / "prefect")})
    assert command.process.wait(60) == -9
    assert command.left() == []


LONG = [pytest.param(number, marks=pytest.mark.long) for number in (signal.SIGKILL, signal.SIGHUP, signal.SIGINT)]


@pytest.mark.parametrize("number", [signal.SIGTERM, *LONG])
def test_a_signal_ends_a_run_with_all_its_processes(desk: Desk, number: signal.Signals) -> None:
    command = prepare(desk)
    command.wait_for(lambda output: "ingest" in output)
    code, seconds = command.end(number)
    assert command.left() == []
    published(desk.folder)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert seconds < 10  # 5 on an idle machine
        assert "interrupted; what was published stays, and running the same command again resumes" in command.output
        assert "Traceback" not in command.output
        with sqlite3.connect(desk.folder / "prefect" / "prefect.db") as database:
            assert database.execute("SELECT state_type FROM flow_run").fetchall() == [("CRASHED",)]
    if number == signal.SIGTERM:
        return  # after SIGHUP and SIGINT, which end a run in the same way, the long tests resume it
    again = prepare(desk)
    assert again.process.wait(240) == 0
    assert again.output.count("reused") >= 1


def test_nohup_keeps_a_run_alive(tmp_path: Path) -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from deskloop.run.interrupt import ended_by\n"
        "with ended_by(signal.SIGTERM, signal.SIGHUP):\n"
        "    os.kill(os.getpid(), signal.SIGHUP); print('alive')\n"
    )
    command = Command([sys.executable, "-c", code], tmp_path / "output")
    assert (command.process.wait(60), command.output) == (0, "alive\n")


def test_code_that_cannot_be_interrupted_is_ended_by_force(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time, threading\n"
        "from deskloop.run import interrupt\n"
        "interrupt.SECONDS = 0.3\n"
        "with interrupt.ended_by(signal.SIGTERM):\n"
        "    lock = threading.Lock(); lock.acquire()\n"
        "    while True:\n"
        "        try: print('stuck', flush=True); lock.acquire(timeout=60)\n"
        "        except KeyboardInterrupt: pass\n"
    )
    command = Command([sys.executable, "-c", code], tmp_path / "output")
    command.wait_for(lambda output: "stuck" in output)
    code_, seconds = command.end(signal.SIGTERM)
    assert code_ == 143
    assert seconds < 10
    assert "interrupted; what was published stays" in command.output


def test_a_signal_that_a_library_swallows_ends_the_command_all_the_same(tmp_path: Path) -> None:
    code = (
        "import signal, time\n"
        "from deskloop.run import interrupt\n"
        "interrupt.SECONDS = 0.3\n"
        "with interrupt.ended_by(signal.SIGHUP):\n"
        "    signal.set_wakeup_fd(-1)\n"
        "    try: print('ready', flush=True); time.sleep(60)\n"
        "    except BaseException: pass\n"
        "    time.sleep(60)\n"
    )
    command = Command([sys.executable, "-c", code], tmp_path / "output")
    command.wait_for(lambda output: "ready" in output)
    assert command.end(signal.SIGHUP)[0] == 129


def test_a_signal_that_is_swallowed_at_the_end_counts(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from deskloop.run.interrupt import ended_by\n"
        "with ended_by(signal.SIGHUP):\n"
        "    try: os.kill(os.getpid(), signal.SIGHUP)\n"
        "    except BaseException: pass\n"
        "    sys.exit(0)\n"
    )
    assert Command([sys.executable, "-c", code], tmp_path / "output").process.wait(60) == 129


def test_a_signal_that_another_handler_takes_counts(tmp_path: Path) -> None:
    """Prefect handles SIGTERM itself while a flow runs; what fails after that must not hide it."""
    code = (
        "import os, signal, sys, time\n"
        "from deskloop.run.interrupt import ended_by\n"
        "with ended_by(signal.SIGTERM):\n"
        "    signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.5)\n"
        "    sys.exit(1)\n"
    )
    assert Command([sys.executable, "-c", code], tmp_path / "output").process.wait(60) == 143
