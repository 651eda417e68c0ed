"""A night gets onto the calendar of a real server; tests/deployments/test_server.py waits until it has run."""

from pathlib import Path

import pytest

from tests.deployments.house import House, wait

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.long]


def test_a_night_is_planned_by_the_scheduler(tmp_path: Path) -> None:
    house = House(tmp_path / "prefect")
    try:
        house.begin(Path("examples/support/pipeline.yaml"), worker=False)
        wait("the scheduler", lambda: bool(house.flow_runs()), 45)
        runs = house.flow_runs()
    finally:
        house.end()
    assert {run["created_by"]["type"] for run in runs} == {"SCHEDULE"}
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    assert all(run["auto_scheduled"] for run in runs)
