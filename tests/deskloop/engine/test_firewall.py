"""Foreign exceptions become messages of our own: the cause, a path that may be named, what to do; never their text."""

import errno
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from deskloop.contract.errors import DeskloopError, MachineError, StepError
from deskloop.engine.firewall import explain, guarded, public, translated
from deskloop.store.store import Store

SECRET = "Quillon Ambrosewick"
FULL = "No space left on device"
ROWS = pa.table({"row_id": [str(n) for n in range(20_000)], "text": [os.urandom(200).hex() for _ in range(20_000)]})


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096) == 4096:
            pass


def told(error: BaseException, store: Path | None = None) -> str:
    """The explanation of an exception that is caught from real code, which must not quote it."""
    message = explain(error, store)
    assert message is not None, repr(error)
    assert SECRET not in message
    return message


def test_a_full_disk_under_parquet(small: Path) -> None:
    with pytest.raises(OSError, match=FULL) as caught:
        Store(small).write_part(small / "clean" / ".staging", ROWS)
    assert f"no space is left on the device that holds {small}" in told(caught.value, small)


def test_a_full_disk_under_delta(small: Path) -> None:
    from deltalake import write_deltalake

    with pytest.raises(Exception, match=FULL) as caught:
        write_deltalake(str(small / "clean" / "x"), ROWS)
    assert f"no space is left on the device that holds {small}. Free some space" in told(caught.value, small)


def test_a_full_disk_under_sqlite(small: Path) -> None:
    with closing(sqlite3.connect(small / "x.db")) as database:
        database.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.executemany("INSERT INTO t VALUES (?)", ((os.urandom(2000),) for _ in range(2000)))
    assert f"no space is left on the device that holds {small}" in told(caught.value, small)


def test_a_full_disk_under_plain_files(small: Path) -> None:
    with pytest.raises(OSError, match=FULL) as caught:
        fill(small)
    assert "no space is left on the device" in told(caught.value, small)


def test_a_full_disk_under_safetensors(small: Path) -> None:
    import torch
    from safetensors.torch import save_file

    with pytest.raises(Exception, match=FULL) as caught:
        save_file({"x": torch.zeros(1_000_000)}, small / "x.safetensors")
    assert "no space is left on the device" in told(caught.value, small)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO])
def test_a_path_of_the_store_is_named_and_no_other(number: int, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    inside = OSError(number, os.strerror(number), str(tmp_path / "clean" / SECRET / "x"))
    assert str(tmp_path / "clean") in told(inside, tmp_path)
    for name in (f"/{SECRET}/x", SECRET, f"../{SECRET}"):
        assert "/" + SECRET not in told(OSError(number, SECRET, name), tmp_path)


def test_a_denied_home_names_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    error = PermissionError(errno.EACCES, "no", str(tmp_path / "prefect.db"))
    assert told(error).endswith("read and write permission, or set PREFECT_HOME to another folder")


def test_too_many_open_files() -> None:
    code = (
        "import os, resource; from deskloop.engine.firewall import explain; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "try: held = [os.open(os.devnull, os.O_RDONLY) for _ in range(200)]\n"
        "except OSError as error: print(explain(error))"
    )
    message = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert message == "more than 100 files were open at once. Raise the limit (`ulimit -n 4096`) and run again\n"


def test_no_folder_for_temporary_files() -> None:
    code = (
        "import tempfile; from deskloop.engine.firewall import explain\n"
        "tempfile._candidate_tempdir_list = lambda: ['/proc/none']\n"
        "try: tempfile.mkdtemp()\n"
        "except OSError as error: print(explain(error))"
    )
    message = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert message.startswith("no folder for temporary files can be written to. Set TMPDIR")


def test_memory() -> None:
    with pytest.raises(MemoryError) as caught:
        bytearray(1 << 62)
    assert "memory ran out. Set fewer `workers`" in told(caught.value)


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "part.parquet"
    pq.write_table(ROWS.slice(0, 10), path)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(pa.ArrowInvalid) as caught:
        pq.read_table(path)
    assert "`deskloop data verify`" in told(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"No space left on device {SECRET}"),
        KeyError(SECRET),
        FileNotFoundError(errno.ENOENT, SECRET, SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_known_stays_withheld(error: Exception, tmp_path: Path) -> None:
    assert explain(error, tmp_path) is None
    ours = translated(error, "scrub", ["a", "b"])
    assert isinstance(ours, StepError)
    assert SECRET not in str(ours)


def test_a_cause_is_found_below_other_exceptions() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        group = ExceptionGroup(SECRET, [error])
    ours = translated(group, "scrub")
    assert isinstance(ours, MachineError)
    assert str(ours).startswith("step 'scrub': no space is left")
    assert SECRET not in str(ours)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://jane:secret@prefect.example:4200/api?x=secret#secret", "https://prefect.example:4200/api"),
        ("http://[::1]:4200/api", "http://[::1]:4200/api"),
        ("http://127.0.0.1/api", "http://127.0.0.1/api"),
    ],
)
def test_a_url_shows_no_credentials(url: str, shown: str) -> None:
    assert public(url) == shown


def check(url: str) -> str:
    """What a command says of a configured server."""
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, temporary_settings

    from deskloop.run import prefect_server

    with (
        temporary_settings({PREFECT_API_URL: url, PREFECT_API_REQUEST_TIMEOUT: 1}),
        pytest.raises(MachineError) as caught,
    ):
        prefect_server.check()
    return str(caught.value)


@pytest.mark.filterwarnings("default")
def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    message = check(f"http://jane:secret@127.0.0.1:{port}/api")
    assert f"the Prefect server at http://127.0.0.1:{port}/api cannot be reached" in message
    assert "secret" not in message


@pytest.mark.filterwarnings("default")
def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        assert f"the Prefect server at {url} does not answer in time" in check(url)


@pytest.mark.parametrize(
    ("status", "expected"), [("401 Unauthorized", "PREFECT_API_AUTH_STRING"), ("500 No", "HTTP 500")]
)
def test_a_server_that_refuses(status: str, expected: str) -> None:
    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        message = check(f"http://127.0.0.1:{listener.getsockname()[1]}/api")
        listener.shutdown(socket.SHUT_RDWR)
    assert expected in message


@pytest.mark.parametrize("failure", [ValueError("closed"), DeskloopError("a worker is gone")])
def test_what_fails_on_the_way_out_does_not_hide_the_signal(failure: Exception) -> None:
    """Seen as exit code 1 instead of 143: the clean-up failed while SIGTERM was ending a run."""

    class TerminationSignal(BaseException):
        """As Prefect raises it."""

    def interrupted(signal: BaseException) -> None:
        try:
            raise signal
        finally:
            raise failure

    for signal in (KeyboardInterrupt(), TerminationSignal()):
        with pytest.raises(type(signal)), guarded("scrub"):
            interrupted(signal)
