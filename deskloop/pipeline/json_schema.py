"""The JSON Schema of the pipeline file, with which editors complete and check it."""

from collections.abc import Mapping
from typing import Any

from deskloop.contract.stage import DataStage, Stage, StageConfig
from deskloop.pipeline.expectations import Added, Relaxed
from deskloop.pipeline.load import STEP_NAME
from deskloop.pipeline.pipeline import Settings

NAMES: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
INPUTS: dict[str, Any] = {"anyOf": [*NAMES["anyOf"], {"type": "object", "additionalProperties": NAMES}]}


def pipeline_schema(stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of keys and types; dependencies of steps are checked by `load_pipeline`."""
    definitions: dict[str, Any] = {}

    def options(model: type[StageConfig]) -> dict[str, Any]:
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[model.__name__] = schema
        return {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"}, {"type": "null"}]}

    entries: list[dict[str, Any]] = [{"enum": list(stages)}]
    for name, stage in stages.items():
        entries.append(_entry({name: options(stage.config)}, name, stage.summary))
        step = {"type": "string", "pattern": f"^{STEP_NAME.pattern}$"}
        full = {"stage": {"const": name}, "name": step, "inputs": INPUTS, "with": options(stage.config)}
        if isinstance(stage, DataStage):
            full["expect"] = {"type": "array", "items": {"anyOf": [options(Added), options(Relaxed)]}}
        entries.append(_entry(full, "stage", stage.summary))
    top = Settings.model_json_schema()
    top["properties"]["steps"] = {"type": "array", "minItems": 1, "items": {"anyOf": entries}}
    top["required"] = ["name", "steps"]
    top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    top["title"] = "deskloop pipeline"
    top["$defs"] = definitions
    return top


def _entry(properties: dict[str, Any], required: str, description: str) -> dict[str, Any]:
    entry = {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}
    return {"description": description, **entry}
