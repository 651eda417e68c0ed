"""Write docs/pipeline.md from the configs themselves: `python docs/options.py`; a test holds the page against them."""

from pathlib import Path
from typing import Any

from deskloop.contract.stage import StageConfig
from deskloop.pipeline.pipeline import Settings
from tasks import stages

PAGE = Path(__file__).parent / "pipeline.md"
HEAD = """\
# The pipeline file

Written by `python docs/options.py` from the configs. `deskloop schema` prints the same as a JSON Schema for editors.
Unknown keys, wrong types and steps in an impossible order are refused before anything runs, all at once.

Steps are a list. An entry is a stage (`scrub`), a stage with options (`normalize: {min_turns: 2}`), or, to use a stage
twice, `{stage: normalize, name: normalize_again, with: {min_turns: 3}}`. `--set normalize.min_turns=3` overrides an
option.

A step that makes a table reads the table before it. `inputs:` names other earlier steps or datasets: one, several
(their rows are joined), or one for each port of a model's step:

```yaml
steps:
  - ingest: {sources: [{path: chats.jsonl}]}
  - scrub
  - {stage: ingest, name: mails, with: {sources: [{path: mails.csv}]}}
  - {stage: scrub, name: scrub_mails}
  - {stage: normalize, inputs: [scrub, scrub_mails]}
  - dedupe
  - split
  - encode
  - base
  - {stage: finetune, name: careful, with: {epochs: 2}}
  - {stage: finetune, name: eager, with: {epochs: 6}}
  - evaluate                                            # both candidates, side by side
  - promote                                             # the better one, if it passes every gate
```

| stage | port | reads by default |
|---|---|---|
| `base` | `tokenizer` | the nearest `encode` |
| `finetune` | `base`, `train`, `validation` | the nearest base model and encoded splits |
| `evaluate` | `candidates`, `base`, `train`, `test` | all candidates, the nearest base model and encoded splits |
| `promote` | `evaluation` | all evaluations; a candidate must pass the gates of each |

`evaluate` also compares with the champion of the registry. Inputs that are missing, come later, hold unscrubbed text or
do not fit are refused before anything runs.

"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, _table("Top level", Settings)]
    parts += [_table(f"Step `{name}`", stage.config) for name, stage in stages().items()]
    return "\n".join(parts)


def _table(title: str, config: type[StageConfig]) -> str:
    schema = config.model_json_schema()
    rows = _rows(schema, schema.get("$defs", {}), "")
    return "\n".join([f"## {title}", "", "| option | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> list[str]:
    """A row for each option; the options of an inner mapping follow it with a dotted name."""
    rows = []
    for name, field in schema.get("properties", {}).items():
        needed = name in schema.get("required", [])
        default = "needed" if needed else _shown(field.get("default"))
        rows.append(f"| `{prefix}{name}` | {_type(field)} | {default} | {field.get('description', '')} |")
        for inner in _references(field):
            rows += _rows(definitions[inner], definitions, f"{prefix}{name}.")
        for kind, inner in _kinds(field).items():
            rows += _rows(definitions[inner], definitions, f"{prefix}{name}[{kind}].")
    return rows


def _kinds(field: dict[str, Any]) -> dict[str, str]:
    """Of a list whose items are of several kinds: kind -> name of its definition."""
    mapping = field.get("items", {}).get("discriminator", {}).get("mapping", {})
    return {kind: reference.rpartition("/")[2] for kind, reference in mapping.items()}


def _references(field: dict[str, Any]) -> list[str]:
    found = [field, field.get("items", {}), *field.get("anyOf", [])]
    return [one["$ref"].rpartition("/")[2] for one in found if "$ref" in one]


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{one}`" for one in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one) for one in field["anyOf"] if one.get("type") != "null"))
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
