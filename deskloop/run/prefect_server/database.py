"""Checks of Prefect's SQLite database before a temporary server opens it, and the lock for its migrations."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from deskloop.contract.errors import MachineError


def database_file() -> Path | None:
    """Return the file of the configured SQLite database; None for another kind of database or one in memory."""
    from prefect.settings import get_current_settings
    from sqlalchemy.engine import make_url

    url = make_url(get_current_settings().server.database.connection_url.get_secret_value())
    if (
        url.get_backend_name() != "sqlite"
        or not url.database
        or url.database == ":memory:"
        or "mode=memory" in str(url)
    ):
        return None
    return Path(url.database)


def check_database() -> None:
    """Refuse a database that Prefect cannot use.

    Raises:
        MachineError: it is damaged, or a newer version of Prefect made it.
        sqlite3.Error: it cannot be opened.
    """
    file = database_file()
    if file is None or not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            revisions = connection.execute("SELECT version_num FROM alembic_version") if tables[0] else ()
            unknown = [revision for (revision,) in revisions if not _is_known(str(revision))]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise
        raise MachineError(
            f"Prefect's database {file} is damaged; move it away (it holds only the history of past runs) "
            "and run again, or restore it from a backup"
        ) from None
    if unknown:
        raise MachineError(
            f"Prefect's database {file} was made by a newer version of Prefect; set PREFECT_HOME to another folder "
            "for deskloop, or use the Prefect that made it as a server and set PREFECT_API_URL"
        )


def _is_known(revision: str) -> bool:
    """Check that the installed Prefect has the migration that a database records."""
    import prefect.server.database

    scripts = Path(prefect.server.database.__file__).parent / "_migrations" / "versions" / "sqlite"
    declared = re.compile(rf"^revision\b.*[\"']{re.escape(revision)}[\"']", re.MULTILINE)
    return any(declared.search(script.read_text(encoding="utf-8")) for script in scripts.glob("*.py"))


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one server at a time create or upgrade the database: concurrent migrations of one SQLite file fail."""
    file = database_file()
    if file is None:
        yield
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_name(f".{file.name}.start.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
