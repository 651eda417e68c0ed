"""Load a pipeline file: it is checked as a whole, and every problem is reported at once.

name: support
store: .deskloop/support        # relative to this file
seed: 7
base: tiny                      # or any causal model id or folder
steps:
  - ingest: {sources: [{path: log/*.jsonl.gz}]}
  - scrub
  - normalize: {max_chars: 8000}
  - {stage: scrub, name: scrub_again, inputs: normalize, with: {...}}
  - ...
  - base
  - finetune: {epochs: 3}
  - evaluate: {prompts: [...]}
  - promote
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deskloop.contract.errors import ConfigError
from deskloop.contract.stage import DataStage, ModelStage, SourceStage, Stage, StageConfig
from deskloop.pipeline.expectations import Added, Declared, Relaxed
from deskloop.pipeline.graph import connect, flow_problems
from deskloop.pipeline.pipeline import Pipeline, Settings, Step
from deskloop.pipeline.problems import kind, messages, nearest
from deskloop.pipeline.samples import is_sample
from deskloop.pipeline.yaml_file import override, read_document, step_name

STEP_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = ("quarantine",)  # a name that the raw zone uses
COMPARED = ("base", "candidate", "champion", "unigram", "bigram", "prompt")  # names that an evaluation uses
KEYS = ("stage", "name", "inputs", "with", "expect")


def load_pipeline(
    file: Path,
    stages: Mapping[str, Stage],
    overrides: Sequence[str] = (),
    sample: int | None = None,
) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        file: the YAML file.
        stages: the available stages, by name.
        overrides: `a.b=value` each, value in YAML; `a` is a step or a key of the top level.
        sample: number of records to read, into a separate store.
    Raises:
        ConfigError: with every problem found, each with its path and the nearest right name.
    """
    content = read_document(file)
    known = [*Settings.model_fields, "steps"]
    problems = override(content, overrides, known)
    raw_steps = content.pop("steps", None)
    misplaced = [name for name in content if name in stages and name not in known]
    problems += [f"{name}: a stage; write it as an entry of `steps`" for name in misplaced]
    options = {name: value for name, value in content.items() if name not in misplaced}
    settings = _validate(Settings, options, "", problems, file.parent, known)
    name = content.get("name")
    steps = _steps(raw_steps, stages, content, file.parent, problems)
    problems += _name_problems(steps, name)
    problems += _store_problems(settings)
    if problems or settings is None:
        raise ConfigError(problems, str(file))
    return Pipeline(file, settings, tuple(steps), sample)


def _store_problems(settings: Settings | None) -> list[str]:
    """Refuse a store named like a sample's, as the sample of another pipeline could use the same folder."""
    if settings is None or not is_sample(Path(settings.store or settings.name)):
        return []
    key = "store" if settings.store else "name"
    return [f"{key}: a name that ends in `-sample-<number>` is reserved for the stores of samples; choose another"]


def _steps(
    entries: Any, stages: Mapping[str, Stage], content: Mapping[str, Any], folder: Path, problems: list[str]
) -> list[Step]:
    if not isinstance(entries, list) or not entries:
        problems.append("steps: expected a list such as [ingest, scrub, normalize, dedupe, split, encode]")
        return []
    steps: list[Step] = []
    assumed: list[Step] = []  # with the nearest stage for each unknown one, so that no other problem follows from it
    names = [step_name(entry) for entry in entries]
    for position, entry in enumerate(entries):
        where, name = f"steps.{position}", names[position]
        if name is None:
            problems.append(
                f"{where}: expected `stage`, `stage: {{options}}` or `{{stage, name, inputs, with, expect}}`"
            )
            continue
        stage_name, options, inputs, expect = _entry(entry, where, problems)
        later = [other for other in names[position:] if other is not None]
        if stage_name not in stages:
            problems.append(f"{where}: unknown stage {stage_name!r}{nearest(stage_name, stages)}")
            for near in get_close_matches(stage_name, stages, 1, 0.5):
                meant = Step(name, stages[near], stages[near].config.model_construct(), name)
                ports = connect(name, meant.stage, inputs, assumed, later, [])
                assumed.append(replace(meant, inputs=ports))
            continue
        stage = stages[stage_name]
        if not STEP_NAME.fullmatch(name):
            problems.append(f"{where}: the name {name!r} does not match the pattern '^{STEP_NAME.pattern}$'")
        taken = [key for key in (*Settings.model_fields, "steps") if key not in stages]
        if name in (*taken, *(step.name for step in steps)):
            problems.append(f"{where}: the name {name!r} is taken; write {{stage: {stage_name}, name: ...}}")
            continue
        config = _validate(stage.config, options, f"steps.{name}", problems, folder, base=content.get("base"))
        output = (stage.dataset or str(content.get("name"))) if name == stage.name else name
        ports = connect(name, stage, inputs, assumed, later, problems)
        declared = _declared(expect, stage, f"steps.{name}.expect", problems)
        config = config if config is not None else stage.config.model_construct()
        steps.append(Step(name, stage, config, output, ports, declared))
        assumed.append(steps[-1])
    return _checked(steps, assumed, problems)


def _checked(steps: list[Step], assumed: Sequence[Step], problems: list[str]) -> list[Step]:
    """Return the steps; appends problems of their connections."""
    problems += flow_problems(assumed)
    read = {reference.step for step in assumed for reference in step.references}
    sources = [step.name for step in steps if isinstance(step.stage, SourceStage)]
    unread = [name for name in sources if name not in read] if len(sources) < len(steps) else []
    problems += [f"steps.{name}: no step reads its output; name it in the `inputs` of one" for name in unread]
    return steps


def _entry(entry: Any, where: str, problems: list[str]) -> tuple[str, Any, Any, Any]:
    """Return (stage, options, inputs, expectations) of one entry of `steps` that has a name."""
    if isinstance(entry, str):
        return entry, None, None, None
    if "stage" not in entry:
        ((name, options),) = entry.items()
        return str(name), options, None, None
    problems += [f"{where}.{key}: unknown key{nearest(str(key), KEYS)}" for key in entry if key not in KEYS]
    return entry["stage"], entry.get("with"), entry.get("inputs"), entry.get("expect")


def _declared(entries: Any, stage: Stage, where: str, problems: list[str]) -> tuple[Declared, ...]:
    """Return the expectations that a step declares; their types and columns are checked before a run."""
    if entries is None:
        return ()
    if not isinstance(entries, list) or not isinstance(stage, DataStage):
        problems.append(f"{where}: expected a list" if isinstance(stage, DataStage) else f"{where}: it makes no table")
        return ()
    kinds = [Relaxed if isinstance(entry, Mapping) and "relax" in entry else Added for entry in entries]
    declared = [_validate(kinds[at], entry, f"{where}.{at}", problems, Path()) for at, entry in enumerate(entries)]
    return tuple(declaration for declaration in declared if declaration is not None)


def _validate(
    model: type[StageConfig],
    options: Any,
    where: str,
    problems: list[str],
    folder: Path,
    known: Sequence[str] = (),
    base: Any = None,
) -> Any:
    """Return the config; None if it has problems, which are appended. The pipeline's base is the default of `base`."""
    options = {} if options is None else options
    if not isinstance(options, dict):
        problems.append(f"{where}: expected options, found {kind(options)}")
        return None
    defaults = {"base": base} if "base" in model.model_fields and where and isinstance(base, str) and base else {}
    try:
        return model.model_validate(defaults | options, context=folder)
    except ValidationError as error:
        problems += messages(error, model, options, where, known)
        return None


def _name_problems(steps: Sequence[Step], pipeline: Any) -> list[str]:
    """Check that all outputs of a run have distinct names: datasets, figures, and the pipeline's model."""
    owners = dict.fromkeys(RESERVED, "deskloop itself")
    problems = []
    for step in steps:
        if isinstance(step.stage, ModelStage) and step.stage.role == "candidate" and step.name in COMPARED:
            problems.append(
                f"steps.{step.name}: a candidate cannot be called {step.name!r}, as evaluations use that name"
            )
        taken = {name: owners[name] for name in step.datasets.values() if name in owners}
        for name, owner in taken.items():
            is_model = name == pipeline and step.name == step.stage.name and not step.stage.dataset
            where, problem = f"steps.{step.name}", f"its dataset {name!r} is taken by {owner}"
            if is_model:
                where, problem = "name", f"{name!r} is taken by {owner}; the model needs another name"
            problems.append(f"{where}: {problem}")
        owners |= dict.fromkeys(step.datasets.values(), f"steps.{step.name}")
    return problems
