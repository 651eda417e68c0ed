"""The temporary Prefect server: what prevents its start is said with path and remedy, and it is nobody else's."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from deskloop.contract.errors import MachineError
from deskloop.run.prefect_server import TemporaryServer
from deskloop.run.prefect_server.database import check_database, database_file

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return tmp_path / "prefect"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, temporary_settings

    file = tmp_path / "prefect.db"
    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{file}"}):
        assert database_file() == file
        yield file


def test_it_answers_keeps_its_files_to_their_owner_and_ends(home: Path) -> None:
    with TemporaryServer() as server:
        server.wait()
        assert httpx.get(f"{server.url}/health").json() is True
        os.kill(server.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*")) if path.is_file()}
    assert "prefect.db" in modes
    assert not any(mode & 0o077 for mode in modes.values()), modes
    with closing(sqlite3.connect(home / "prefect.db")) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_server_that_is_too_slow(home: Path) -> None:
    with TemporaryServer() as server, pytest.raises(MachineError, match=r"did not start within 0 s.*PREFECT_API_URL"):
        server.wait(0)


def test_a_damaged_database(home: Path) -> None:
    home.mkdir()
    (home / "prefect.db").write_bytes(b"SQLite format 3\0" + os.urandom(8000))
    with TemporaryServer() as server, pytest.raises(MachineError) as caught:
        server.wait()
    assert f"Prefect's database {home / 'prefect.db'} is damaged; move it away" in str(caught.value)


def test_what_is_no_database(database: Path) -> None:
    check_database()
    database.write_bytes(b"no database at all" * 500)
    with pytest.raises(MachineError, match="is damaged; move it away"):
        check_database()


def test_a_database_of_a_newer_prefect(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9725c1cbee35')")
        connection.commit()
        check_database()
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    with pytest.raises(MachineError, match="was made by a newer version of Prefect; set PREFECT_HOME"):
        check_database()


def test_a_home_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    try:
        with TemporaryServer() as server, pytest.raises(MachineError) as caught:
            server.wait()
    finally:
        subprocess.run(["umount", str(home)], check=True)
    message = str(caught.value)
    assert f"{home} is on a file system that is mounted read-only" in message
    assert message.endswith("or set PREFECT_HOME to another folder")


def test_a_full_home(home: Path) -> None:
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(home)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    try:
        with TemporaryServer() as server, pytest.raises(MachineError) as caught:
            server.wait()
    finally:
        subprocess.run(["umount", str(home)], check=True)
    assert f"no space is left on the device that holds {home}" in str(caught.value)


def test_a_profile_that_names_a_server_is_used(tmp_path: Path) -> None:
    code = "from deskloop.run.prefect_server import connected, check\nwith connected() as wait: print(wait is check)\n"
    (tmp_path / "profiles.toml").write_text('active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n')
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment["PREFECT_HOME"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
