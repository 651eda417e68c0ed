"""A real Prefect server with its own database, shared by the entire session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a result depends on the code only; HYPOTHESIS_PROFILE=default searches for new
# ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Several pytest workers share the cores; more threads than cores would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start one server for all flows and commands in this process; yield Prefect's home folder with its database."""
    home = tmp_path_factory.mktemp("prefect")
    os.environ |= {"PREFECT_HOME": str(home), "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1"}
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    from deskloop.run.prefect_server import TEMPORARY, TemporaryServer, send_logs

    with TemporaryServer() as server:
        from prefect.context import refresh_global_settings_context

        server.wait()
        os.environ["PREFECT_API_URL"] = os.environ[TEMPORARY] = server.url
        refresh_global_settings_context()
        yield home
        send_logs()
        del os.environ["PREFECT_API_URL"], os.environ[TEMPORARY]
        refresh_global_settings_context()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests of entire flows, the slowest ones, first in each third, so that no worker ends with them alone."""
    whole = [item for item in items if "/flows/" in str(item.path) or "/deployments/" in str(item.path)]
    chosen = set(whole)
    others = [item for item in items if item not in chosen]
    third = -(-len(others) // 3)
    items[:] = [
        item for number in range(3) for item in (*whole[number::3], *others[number * third : (number + 1) * third])
    ]
