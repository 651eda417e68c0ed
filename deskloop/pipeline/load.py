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

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import Stage, StageConfig
from deskloop.pipeline.places import check_local
from deskloop.pipeline.problems import kind, nearest, refusals
from deskloop.pipeline.samples import is_sample, sample_root
from deskloop.pipeline.yaml_file import override, read_document, step_name

STEP_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = ("base", "evaluation", "quarantine")  # names that models and the raw zone use


class Settings(StageConfig):
    """The top level of a pipeline file, steps and sections aside."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="names the pipeline and its model")
    store: str = Field(
        "", description="local folder of all versions, relative to this file; no URL; default .deskloop/<name>"
    )
    seed: int = Field(0, ge=0, description="every random choice is keyed by it")
    base: str = Field("tiny", min_length=1, description="base model: `tiny`, a model id, or a folder")
    workers: int = Field(2, ge=1, le=256, description="processes that work on partitions")
    partition_rows: int = Field(1000, ge=1, description="rows in a partition")
    measured_rows: int = Field(
        400,
        ge=1,
        description="rows of a version that the recall of scrub is measured on; more of them cost time and narrow its "
        "intervals",
    )
    raw_days: int | None = Field(
        None, ge=1, description="days after its arrival until a raw row is deleted; default: raw rows are kept"
    )

    _local = field_validator("store")(check_local)


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
        root = self.own_store
        return root if self.sample is None else sample_root(root, self.sample)

    @property
    def own_store(self) -> Path:
        """The root of the pipeline's own store, sample or not."""
        return self.folder / (self.settings.store or f".deskloop/{self.settings.name}")

    def step(self, name: str) -> Step:
        """A step by name.

        Raises:
            ConfigError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigError(f"no step {name!r}{nearest(name, [one.name for one in self.steps])}", "the command")


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
    content = read_document(file)
    known = [*Settings.model_fields, "steps", *sections]
    problems = override(content, overrides, known)
    raw_steps = content.pop("steps", None)
    raw_sections = {name: content.pop(name, None) for name in sections}
    misplaced = [name for name in content if name in stages and name not in known]
    problems += [f"{name}: a stage; write it as an entry of `steps`" for name in misplaced]
    options = {name: value for name, value in content.items() if name not in misplaced}
    settings = _validate(Settings, options, "", problems, known)
    base = content.get("base")
    steps = _steps(raw_steps, stages, base, known, problems)
    configs = {
        name: _validate(model, raw_sections[name], name, problems, base=base) for name, model in sections.items()
    }
    problems += _name_problems(content.get("name"), steps)
    problems += _store_problems(settings)
    if problems or settings is None:
        raise ConfigError(problems, str(file))
    return Pipeline(file, settings, tuple(steps), configs, sample)


def _store_problems(settings: Settings | None) -> list[str]:
    """A store named like a sample's would be taken for one: another pipeline's sample could be the same folder."""
    if settings is None or not is_sample(Path(settings.store or settings.name)):
        return []
    key = "store" if settings.store else "name"
    return [f"{key}: a name that ends in `-sample-<number>` is reserved for the stores of samples; choose another"]


def _steps(
    entries: Any, stages: Mapping[str, Stage], base: Any, taken: Sequence[str], problems: list[str]
) -> list[Step]:
    if not isinstance(entries, list) or not entries:
        problems.append("steps: expected a list such as [ingest, scrub, normalize, dedupe, split, encode]")
        return []
    steps: list[Step] = []
    order: list[tuple[str, Stage]] = []
    for position, entry in enumerate(entries):
        where = f"steps.{position}"
        name = step_name(entry)
        if name is None:
            problems.append(f"{where}: expected `stage`, `stage: {{options}}` or `{{stage, name, with}}`")
            continue
        stage_name, options = _entry(entry, where, problems)
        if stage_name not in stages:
            problems.append(f"{where}: unknown stage {stage_name!r}{nearest(stage_name, stages)}")
            # What was probably meant stands in, so that the steps around it are judged as they will be.
            order += [(name, stages[near]) for near in get_close_matches(stage_name, stages, 1, 0.5)]
            continue
        stage = stages[stage_name]
        order.append((name, stage))
        if not STEP_NAME.fullmatch(name):
            problems.append(f"{where}: the name {name!r} does not match the pattern '^{STEP_NAME.pattern}$'")
        if name in (*taken, *(step.name for step in steps)):
            problems.append(f"{where}: the name {name!r} is taken; write {{stage: {stage_name}, name: ...}}")
            continue
        config = _validate(stage.config, options, f"steps.{name}", problems, base=base)
        steps.append(Step(name, stage, config if config is not None else stage.config.model_construct()))
    problems += _order_problems(order)
    return steps


def _entry(entry: Any, where: str, problems: list[str]) -> tuple[str, Any]:
    """(stage, options) of one entry of `steps` that has a name."""
    if isinstance(entry, str):
        return entry, None
    if "stage" not in entry:
        ((name, options),) = entry.items()
        return str(name), options
    known = ("stage", "name", "with")
    problems += [f"{where}.{key}: unknown key{nearest(str(key), known)}" for key in entry if key not in known]
    return entry["stage"], entry.get("with")


def _validate(
    model: type[StageConfig],
    options: Any,
    where: str,
    problems: list[str],
    known: Sequence[str] = (),
    base: Any = None,
) -> Any:
    """The config, or None and what is wrong with it. The pipeline's base model is the default of every `base`."""
    options = {} if options is None else options
    if not isinstance(options, dict):
        problems.append(f"{where}: expected options, found {kind(options)}")
        return None
    defaults = {"base": base} if "base" in model.model_fields and where and isinstance(base, str) and base else {}
    try:
        return model.model_validate(defaults | options)
    except ValidationError as error:
        problems += refusals(error, model, options, where, known)
        return None


def _order_problems(steps: Sequence[tuple[str, Stage]]) -> list[str]:
    """What each step needs must be provided before it; and nothing but a step that reads the raw zone may get it."""
    problems: list[str] = []
    provided: set[str] = set()
    zone = "world"
    for name, stage in steps:
        reads, writes = stage.zone
        if reads != zone and (reads, zone) != ("raw", "clean"):
            told = {
                "world": "it must be the first step",
                "raw": "it must come after ingest",
                "clean": "put `scrub` before it, so that nothing personal leaves the raw zone",
            }
            problems.append(f"steps.{name}: reads the {reads} zone but gets {zone}: {told[reads]}")
        for need in sorted(stage.needs - provided):
            problems.append(f"steps.{name}: needs {need!r}, which no step before it provides")
        provided |= stage.provides
        zone = writes
    return problems


def _name_problems(pipeline: Any, steps: Sequence[Step]) -> list[str]:
    """Everything that a run publishes has a name of its own: datasets, base, evaluation, and the pipeline's model."""
    owners = dict.fromkeys(RESERVED, "deskloop itself")
    problems = []
    for step in steps:
        taken = {name: owners[name] for name in step.datasets.values() if name in owners}
        problems += [f"steps.{step.name}: its dataset {name!r} is taken by {one}" for name, one in taken.items()]
        owners |= dict.fromkeys(step.datasets.values(), f"steps.{step.name}")
    if isinstance(pipeline, str) and pipeline in owners:
        problems.append(f"name: {pipeline!r} is taken by {owners[pipeline]}; the model needs a name of its own")
    return problems
