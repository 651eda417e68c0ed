"""The pipeline file: read, checked as a whole, and refused with every problem at once.

name: support
store: .deskloop/support        # relative to this file
seed: 7
base: tiny                      # or any causal model id or folder
steps:
  - ingest: {sources: [{path: log/*.jsonl.gz}]}
  - scrub
  - normalize: {max_chars: 8000}
  - {stage: scrub, name: scrub_again, with: {...}}
finetune: {epochs: 3}
evaluate: {prompts: [...]}
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from deskloop.errors import ConfigError
from deskloop.stage import Stage, StageConfig


class Settings(StageConfig):
    """The top level of a pipeline file, steps and sections aside."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="names the pipeline and its model")
    store: str = Field("", description="folder of all versions, relative to this file; default .deskloop/<name>")
    seed: int = Field(0, ge=0, description="every random choice is keyed by it")
    base: str = Field("tiny", min_length=1, description="base model: `tiny`, a model id, or a folder")
    workers: int = Field(2, ge=1, le=256, description="processes that work on partitions")
    partition_rows: int = Field(1000, ge=1, description="rows in a partition")


@dataclass(frozen=True)
class Step:
    """One entry of `steps`."""

    name: str
    stage: Stage
    config: StageConfig

    @property
    def datasets(self) -> dict[str | None, str]:
        """Split (None where rows are not routed) -> the dataset this step leaves behind."""
        own = self.stage.dataset if self.name == self.stage.name else self.name
        if not self.stage.by_split:
            return {None: own}
        prefix = "" if self.name == self.stage.name else f"{self.name}_"
        return {split: f"{prefix}{split}{self.stage.suffix}" for split in ("train", "validation", "test")}

    @property
    def rejects(self) -> str:
        """The table of the rows it took out; always in the clean zone, as it holds ids and reasons only."""
        return f"{self.name}.rejects"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file that was accepted."""

    file: Path
    settings: Settings
    steps: tuple[Step, ...]
    sections: Mapping[str, StageConfig]
    sample: int | None = None

    @property
    def folder(self) -> Path:
        """The file's folder, where relative paths start."""
        return self.file.parent

    @property
    def store(self) -> Path:
        """The store's root; a sample has one of its own, so that it decides nothing for the whole."""
        root = self.folder / (self.settings.store or f".deskloop/{self.settings.name}")
        return root if self.sample is None else root.with_name(f"{root.name}-sample-{self.sample}")

    def step(self, name: str) -> Step:
        """A step by name.

        Raises:
            ConfigError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigError(f"no step {name!r}{_nearest(name, [one.name for one in self.steps])}", "the command")


def load_pipeline(
    file: Path,
    stages: Mapping[str, Stage],
    sections: Mapping[str, type[StageConfig]],
    overrides: Sequence[str] = (),
    sample: int | None = None,
) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        file: the YAML file.
        stages: every stage there is, by name.
        sections: other sections (`finetune`, `evaluate`) and their configs.
        sample: read only so many records, into a store of their own.
        overrides: `a.b=value` each, value in YAML; `a` is a step, a section or a key of the top level.
    Raises:
        ConfigError: with every problem found, each with its path and the nearest right name.
    """
    content = _read_yaml(file)
    problems: list[str] = []
    _override(content, overrides, problems)
    raw_steps = content.pop("steps", None)
    raw_sections = {name: content.pop(name, None) or {} for name in sections}
    known = [*Settings.model_fields, "steps", *sections]
    settings = _validate(Settings, content, "", problems, known)
    base = content.get("base", "tiny")
    steps = _steps(raw_steps, stages, base, problems)
    configs = {
        name: _validate(model, _with_base(model, raw_sections[name], base), name, problems)
        for name, model in sections.items()
    }
    problems.extend(_order_problems(steps))
    if problems or settings is None:
        raise ConfigError(problems, str(file))
    return Pipeline(file, settings, tuple(steps), {name: one for name, one in configs.items() if one}, sample)


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.exists():
        near = difflib.get_close_matches(file.name, [one.name for one in file.parent.glob("*.y*ml")], 1)
        raise ConfigError(f"there is no file {file}" + (f"; did you mean {near[0]}?" if near else ""), "the command")
    if file.is_dir():
        raise ConfigError(f"{file} is a folder; name the pipeline file in it", "the command")
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8 text", str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{place}{getattr(error, 'problem', None) or 'not valid YAML'}", str(file)) from None
    if not isinstance(content, dict):
        raise ConfigError(f"expected keys such as `name` and `steps`, found {_kind(content)}", str(file))
    return {str(key): value for key, value in content.items()}


class _UniqueKeys(yaml.SafeLoader):
    """YAML's loader lets a later key silently win; this one refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", key_node.start_mark)
            seen.add(key if isinstance(key, str) else repr(key))
        return super().construct_mapping(node, deep)


def _override(content: dict[str, Any], overrides: Sequence[str], problems: list[str]) -> None:
    for text in overrides:
        path, equals, value = text.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            problems.append(f"--set {text}: expected KEY.KEY=VALUE")
            continue
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            problems.append(f"--set {path}: the value is not valid YAML")
            continue
        target = _step_options(content, keys[0]) if len(keys) > 1 else None
        if target is None:
            target = content
        else:
            keys = keys[1:]
        for key in keys[:-1]:
            if not isinstance(target.get(key), dict):
                target[key] = {}
            target = target[key]
        target[keys[-1]] = parsed


def _step_options(content: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The options of the step `name` inside `content`, made if it has none; None if there is no such step."""
    for position, entry in enumerate(content.get("steps") or []):
        if entry == name:
            content["steps"][position] = {name: {}}
            return content["steps"][position][name]
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry.setdefault("with", {})
        if isinstance(entry, dict) and list(entry) == [name]:
            entry[name] = entry[name] or {}
            return entry[name]
    return None


def _steps(entries: Any, stages: Mapping[str, Stage], base: Any, problems: list[str]) -> list[Step]:
    if not isinstance(entries, list) or not entries:
        problems.append("steps: expected a list such as [ingest, scrub, normalize, dedupe, split, encode]")
        return []
    steps: list[Step] = []
    for position, entry in enumerate(entries):
        parsed = _entry(entry)
        if parsed is None:
            problems.append(f"steps[{position}]: expected `stage`, `stage: {{options}}` or `{{stage, name, with}}`")
            continue
        stage_name, name, options = parsed
        if stage_name not in stages:
            problems.append(f"steps[{position}]: unknown stage {stage_name!r}{_nearest(stage_name, list(stages))}")
            continue
        if name in [step.name for step in steps]:
            problems.append(f"steps[{position}]: the name {name!r} is taken; write {{stage: {stage_name}, name: ...}}")
            continue
        stage = stages[stage_name]
        config = _validate(stage.config, _with_base(stage.config, options, base), f"steps.{name}", problems)
        steps.append(Step(name, stage, config if config is not None else stage.config.model_construct()))
    return steps


def _entry(entry: Any) -> tuple[str, str, Any] | None:
    """(stage, step name, options) of one entry of `steps`, or None if it has no known form."""
    if isinstance(entry, str):
        return entry, entry, {}
    if isinstance(entry, dict) and isinstance(entry.get("stage"), str) and set(entry) <= {"stage", "name", "with"}:
        return entry["stage"], str(entry.get("name", entry["stage"])), entry.get("with") or {}
    if isinstance(entry, dict) and len(entry) == 1:
        name, options = next(iter(entry.items()))
        return str(name), str(name), {} if options is None else options
    return None


def _with_base(model: type[StageConfig], options: Any, base: Any) -> Any:
    """The pipeline's base model is the default of every config that has a `base`."""
    if "base" in model.model_fields and isinstance(options, dict):
        return {"base": base, **options}
    return options


def _validate(
    model: type[StageConfig], options: Any, where: str, problems: list[str], known: Sequence[str] | None = None
) -> Any:
    if not isinstance(options, dict):
        problems.append(f"{where}: expected options, found {_kind(options)}")
        return None
    try:
        return model.model_validate(options)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False):
            path = [str(part) for part in one["loc"]]
            place = ".".join(filter(None, [where, *path]))
            if one["type"] == "extra_forbidden":
                names = known if known and len(path) == 1 else _fields_at(model, path[:-1])
                problems.append(f"{place}: unknown key{_nearest(path[-1], names)}")
            elif one["type"] == "missing":
                problems.append(f"{place}: is needed and not there")
            else:
                problems.append(f"{place}: {one['msg'][0].lower()}{one['msg'][1:]}")
        return None


def _fields_at(model: type[StageConfig], path: Sequence[str]) -> list[str]:
    """Field names of the config that `path` leads to."""
    schema = model.model_json_schema()
    definitions, node = schema.get("$defs", {}), schema
    for part in path:
        node = node.get("items", node) if part.isdigit() else node.get("properties", {}).get(part, {})
        choices = [node, *node.get("anyOf", []), *([node["items"]] if "items" in node else [])]
        references = [one["$ref"].rpartition("/")[2] for one in choices if "$ref" in one]
        if references and not part.isdigit():
            node = {"items": definitions[references[0]], **definitions[references[0]]}
    return list(node.get("properties", {}))


def _order_problems(steps: Sequence[Step]) -> list[str]:
    """What each step needs must be provided before it, in the zone it reads."""
    problems: list[str] = []
    provided: set[str] = set()
    zone = "world"
    for step in steps:
        reads, writes = step.stage.zone
        if reads != zone:
            missing = {"world": "it must be the first step", "raw": "it must come right after ingest"}
            problems.append(
                f"steps.{step.name}: reads the {reads} zone but gets {zone}: "
                + missing.get(reads, "put `scrub` before it, so that nothing personal leaves the raw zone")
            )
        for need in sorted(step.stage.needs - provided):
            problems.append(f"steps.{step.name}: needs {need!r}, which no step before it provides")
        provided |= step.stage.provides
        zone = writes
    return problems


def pipeline_schema(stages: Mapping[str, Stage], sections: Mapping[str, type[StageConfig]]) -> dict[str, Any]:
    """JSON Schema (2020-12) of the pipeline file, for editors."""
    definitions: dict[str, Any] = {}

    def reference(model: type[StageConfig]) -> dict[str, Any]:
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[model.__name__] = schema
        return {"$ref": f"#/$defs/{model.__name__}"}

    top = Settings.model_json_schema()
    one_key = [
        {
            "type": "object",
            "properties": {name: {"anyOf": [reference(stage.config), {"type": "null"}]}},
            "required": [name],
            "additionalProperties": False,
        }
        for name, stage in stages.items()
    ]
    named = {
        "type": "object",
        "properties": {"stage": {"enum": list(stages)}, "name": {"type": "string"}, "with": {"type": "object"}},
        "required": ["stage"],
        "additionalProperties": False,
    }
    top["properties"]["steps"] = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"enum": list(stages)}, *one_key, named]},
    }
    top["properties"] |= {name: reference(model) for name, model in sections.items()}
    top["required"] = ["name", "steps"]
    top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    top["title"] = "deskloop pipeline"
    top["$defs"] = definitions
    return top


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(names))}"


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
