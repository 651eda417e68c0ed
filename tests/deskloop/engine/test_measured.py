"""Figures that a stage measures on a sample of its input: stored with the version and checked by the suite."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deskloop.contract.errors import ExpectationError, StepError
from deskloop.contract.stage import Context, StageConfig
from deskloop.engine import expect
from tests.deskloop import toy
from tests.deskloop.toy import Toy, suites

LOG = {f"r{at}": "text" for at in range(9)}


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    suites(monkeypatch)
    made = Toy(tmp_path)
    made.write(LOG)
    return made


def measured_by(monkeypatch: pytest.MonkeyPatch, measure: Any) -> None:
    stage = toy.UPPER.__class__(**{**toy.UPPER.__dict__, "measure": measure})
    monkeypatch.setitem(toy.STAGES, "upper", stage)


def test_figures_of_a_sample_are_kept_and_measured_again_when_the_step_is_extended(
    pipeline: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples: list[list[str]] = []

    def measure(rows: pd.DataFrame, config: StageConfig, context: Context) -> dict[str, Any]:
        assert rows["turns"].iloc[0][0]["text"] == "text"  # as it came in, not as the step left it
        samples.append(list(rows["row_id"]))
        return {"looked_at": len(rows)}

    measured_by(monkeypatch, measure)
    pipeline.settings["measured_rows"] = 5
    first = pipeline.run()
    assert first["upper"][1][0].details["looked_at"] == 5
    assert pipeline.engine().catalog.get("uppered").details["looked_at"] == 5
    assert pipeline.run()["upper"][0] == "reuse"
    assert len(samples) == 1
    pipeline.write({**LOG, "new": "text"})
    assert pipeline.run()["upper"][0] == "extend"
    assert pipeline.run(rebuild=True)["upper"][0] == "compute"
    assert samples[1] == samples[2] == sorted(samples[1])
    assert len(set(samples[1]) & set(samples[0])) >= 4
    assert samples[0] != sorted(LOG)[:5]


def test_a_failed_expectation_reports_the_measured_figures(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    from expectations.custom import ExpectRecallToBeAtLeast

    facts = {name: {"$PARAMETER": name} for name in ("planted", "found")}
    recall = ExpectRecallToBeAtLeast(**facts, min_recall=0.8, description="most are found", severity="critical")
    expect.great_expectations()
    monkeypatch.setattr(sys.modules["expectations.uppered"], "suite", lambda: [recall])
    figures = {"planted": 10, "found": 8, "told": "PERSON 8 of 10"}
    measured_by(monkeypatch, lambda rows, config, context: figures)
    (version,) = pipeline.run()["upper"][1]
    assert version.expectations[0]["observed"] == 0.8
    figures["found"] = 7
    with pytest.raises(ExpectationError, match=r"most are found \(observed 0\.7\) \(measured: PERSON 8 of 10\)"):
        pipeline.run(longest=99)
    figures.update(planted=0, found=0)
    assert pipeline.run(longest=99)["upper"][0] == "compute"


def test_an_error_in_measuring_quotes_nothing(pipeline: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    measured_by(monkeypatch, lambda rows, config, context: int(rows["turns"].iloc[0][0]["text"]))
    with pytest.raises(StepError) as caught:
        pipeline.run()
    assert "ValueError" in str(caught.value)
    assert "'text'" not in str(caught.value)
