"""Expensive state that several tests start from: made once in a session, copied by each of them."""

from pathlib import Path

import pytest

from tests.flows.desk import Desk, example_lines

PREPARED = 150  # lines of the example log


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk whose data steps have run; tests copy it and leave it as it is."""
    desk = Desk(tmp_path_factory.mktemp("prepared"), example_lines(PREPARED))
    desk.prepare()
    return desk


@pytest.fixture
def prepared_desk(prepared: Desk, tmp_path: Path) -> Desk:
    """A desk of this test's own whose data steps have run on the first `PREPARED` lines of the example log."""
    return prepared.copied_to(tmp_path)
