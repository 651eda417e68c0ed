"""The parameters of the flows, as Prefect's form, `prefect deployment run --param` and callers set them.

Prefect merges the parameters of a deployment and of a run by name, so each field of the model is a parameter of its
own: `--param sample=200` keeps the deployment's `pipeline`.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo

from deskloop.contract.errors import ConfigError
from deskloop.pipeline.pipeline import Settings
from deskloop.pipeline.yaml_file import override, read_document

Name = Annotated[str, StringConstraints(min_length=1)]
Override = Annotated[str, StringConstraints(pattern="^[^=]+=")]


class ModelParameters(BaseModel):
    """Parameters of every flow that runs steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    pipeline: Name = Field(description="Pipeline file. A relative path starts in the folder that the run works in.")
    overrides: list[Override] = Field(
        [], description="Options that replace those of the file, each as `step.option=value`: `finetune.max_steps=50`."
    )
    begin: Name | None = Field(None, description="First step to run. The steps before it stay as last published.")
    until: Name | None = Field(None, description="Last step to run.")
    sample: int | None = Field(None, gt=0, description="Read only the first N records, into a store of their own.")


class RunParameters(ModelParameters):
    """Parameters of the flows that prepare data."""

    refit: list[Name] = Field([], description="Steps whose artifact is fitted again.")
    rebuild: bool = Field(False, description="Recompute every step after the sources.")


def by_name(function: Callable[[Any], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn a function of one parameter model into a function of the model's fields, for `prefect.flow`."""
    (parameter,) = inspect.signature(function).parameters.values()
    model: type[BaseModel] = parameter.annotation

    def unfolded(*arguments: Any, **values: Any) -> dict[str, Any]:
        return function(model(**signature.bind(*arguments, **values).arguments))

    signature = inspect.Signature([_parameter(name, field) for name, field in model.model_fields.items()])
    lines = [f"    {name}: {field.description}" for name, field in model.model_fields.items()]
    unfolded.__signature__ = signature  # type: ignore[attr-defined]
    unfolded.__doc__ = "\n".join([f"{function.__doc__}\n\nArgs:", *lines])  # Prefect's form shows the descriptions
    unfolded.__name__, unfolded.__qualname__ = function.__name__, function.__qualname__
    unfolded.__module__ = function.__module__
    return unfolded


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default()
    annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def run_name() -> str:
    """Return the pipeline, the flow, and when the run was due in local time: `support retrain 2026-11-21 02:30`."""
    parameters = flow_run.parameters
    file = Path(parameters["pipeline"])
    try:
        content = read_document(file)
    except ConfigError:  # the flow itself refuses the file, with the reason
        content = {}
    override(content, parameters.get("overrides") or [], list(Settings.model_fields))
    due = flow_run.scheduled_start_time.astimezone()
    return f"{content.get('name', file.stem)} {flow_run.flow_name} {due:%Y-%m-%d %H:%M}"
