"""The parameters of the flows: what Prefect's form shows, what is refused, and the names of runs."""

from pathlib import Path
from typing import Any

import pytest

from deskloop.contract.errors import ConfigError
from tests.flows.desk import Desk, example_lines

pytestmark = pytest.mark.filterwarnings("default")


def form(flow: Any) -> dict[str, Any]:
    from prefect.utilities.callables import parameter_schema

    return parameter_schema(flow.fn).model_dump()


def test_the_form_has_a_described_field_for_each_parameter() -> None:
    from flows.finetune import finetune
    from flows.parameters import ModelParameters, RunParameters
    from flows.prepare import prepare
    from flows.retrain import retrain

    for flow, model in ((retrain, RunParameters), (prepare, RunParameters), (finetune, ModelParameters)):
        schema = form(flow)
        assert schema["required"] == ["pipeline"]
        assert list(schema["properties"]) == list(model.model_fields)
        for name, field in model.model_fields.items():
            assert schema["properties"][name]["description"] == field.description
    sample = form(retrain)["properties"]["sample"]
    assert sample["anyOf"] == [{"exclusiveMinimum": 0, "type": "integer"}, {"type": "null"}]
    assert sample["default"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sample": 0}, "sample: Input should be greater than 0"),
        ({"overrides": ["max_steps"]}, "overrides.0: String should match"),
        ({"begin": ""}, "begin: String should have at least 1 character"),
        ({"smaple": 3}, "but was provided with parameters ['pipeline', 'smaple']"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(
    wrong: dict[str, Any], message: str, tmp_path: Path, prefect: Path
) -> None:
    from prefect.exceptions import ParameterTypeError, SignatureMismatchError

    from flows.retrain import retrain

    desk = Desk(tmp_path, example_lines(1))
    desk.save()
    with pytest.raises((ParameterTypeError, SignatureMismatchError)) as caught:
        retrain.validate_parameters({"pipeline": str(desk.file), **wrong})
    assert message in str(caught.value)
    if "smaple" not in wrong:
        with pytest.raises(ParameterTypeError):
            retrain(str(desk.file), **wrong)
    assert not (tmp_path / "store").exists()


def test_a_run_is_named_after_its_pipeline_flow_and_date(tmp_path: Path, prefect: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows.finetune import finetune

    desk = Desk(tmp_path, example_lines(1))
    desk.save()
    broken = tmp_path / "broken.yaml"
    broken.write_text("- a list\n")
    for file, overrides in ((desk.file, []), (desk.file, ["name=night"]), (broken, [])):
        with pytest.raises(ConfigError):
            finetune(str(file), overrides=overrides)
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(limit=200)
    names = [run.name for run in runs if (run.parameters or {}).get("pipeline", "").startswith(str(tmp_path))]
    due = [f"{run.expected_start_time.astimezone():%Y-%m-%d %H:%M}" for run in runs if run.name in names]
    assert sorted(names) == sorted(
        f"{pipeline} finetune {when}" for pipeline, when in zip(("broken", "desk", "night"), due, strict=False)
    )
