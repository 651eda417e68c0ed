"""Write docs/pipeline.md from the configs: `python docs/options.py`. A test checks that the page is up to date."""

from pathlib import Path
from typing import Any

from deskloop.contract.stage import StageConfig
from deskloop.pipeline.pipeline import Settings
from tasks import stages

PAGE = Path(__file__).parent / "pipeline.md"
HEAD = """\
# The pipeline file

```yaml
name: support
steps:
  - ingest: {sources: [{path: chats.jsonl}]}            # a stage with options
  - scrub                                               # a stage with its defaults
  - {stage: ingest, name: mails, with: {sources: [{path: mails.csv}]}}   # a second step of a stage needs a name
  - {stage: scrub, name: scrub_mails}
  - {stage: normalize, inputs: [scrub, scrub_mails]}    # reads the rows of both
  - dedupe
  - split
  - encode
  - base
  - {stage: finetune, name: careful, with: {epochs: 2}}
  - {stage: finetune, name: eager, with: {epochs: 6}}
  - evaluate                                            # both candidates, side by side
  - promote                                             # the better one, if it passes every gate
```

`--set normalize.min_turns=3` overrides an option on the command line. Unknown keys, wrong types, impossible orders of
steps, and missing or unscrubbed inputs are rejected before the run starts, all at once. `deskloop schema` prints this
page as a JSON Schema for editors.

By default, a step that writes a table reads the previous table. `inputs:` names other earlier steps or datasets: one,
several (their rows are joined), or one for each port of a model step:

| stage | port | default input |
|---|---|---|
| `base` | `tokenizer` | the nearest `encode` |
| `finetune` | `base`, `train`, `validation` | the nearest base model and encoded splits |
| `evaluate` | `candidates`, `base`, `train`, `test` | all candidates, the nearest base model and encoded splits |
| `promote` | `evaluation` | all evaluations; a candidate must pass the gates of each |

`evaluate` also compares the candidates with the registry's champion.

`python docs/options.py` writes this page from the configs.

"""


def page() -> str:
    """Return the page."""
    parts = [HEAD, _table("Top level", Settings)]
    parts += [_table(f"Step `{name}`", stage.config) for name, stage in stages().items()]
    return "\n".join(parts)


def _table(title: str, config: type[StageConfig]) -> str:
    schema = config.model_json_schema()
    rows = _rows(schema, schema.get("$defs", {}), "")
    return "\n".join([f"## {title}", "", "| option | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> list[str]:
    """One row per option; the options of a nested mapping follow it with dotted names."""
    rows = []
    for name, field in schema.get("properties", {}).items():
        required = name in schema.get("required", [])
        default = "required" if required else _shown(field.get("default"))
        rows.append(f"| `{prefix}{name}` | {_type(field)} | {default} | {field.get('description', '')} |")
        for inner in _references(field):
            rows += _rows(definitions[inner], definitions, f"{prefix}{name}.")
        for kind, inner in _kinds(field).items():
            rows += _rows(definitions[inner], definitions, f"{prefix}{name}[{kind}].")
    return rows


def _kinds(field: dict[str, Any]) -> dict[str, str]:
    """Return kind -> name of its definition, for a list whose items are of several kinds."""
    mapping = field.get("items", {}).get("discriminator", {}).get("mapping", {})
    return {kind: reference.rpartition("/")[2] for kind, reference in mapping.items()}


def _references(field: dict[str, Any]) -> list[str]:
    schemas = [field, field.get("items", {}), *field.get("anyOf", [])]
    return [schema["$ref"].rpartition("/")[2] for schema in schemas if "$ref" in schema]


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(option) for option in field["anyOf"] if option.get("type") != "null"))
    names = {
        "array": "list",
        "object": "mapping",
        "integer": "whole number",
        "string": "text",
        "boolean": "true or false",
    }
    bounds = [f"{sign} {field[key]:g}" for key, sign in _BOUNDS.items() if key in field]
    return " ".join([names.get(field.get("type", "object"), field.get("type", "mapping")), ", ".join(bounds)]).strip()


_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _shown(default: Any) -> str:
    if default in (None, "", []) or isinstance(default, dict):
        return ""
    if isinstance(default, list) and len(str(default)) > 60:
        return f"{len(default)} entries"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
