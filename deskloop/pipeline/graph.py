"""The steps of a pipeline as a graph: the outputs that each step reads, and the checks of zones and requirements.

    inputs: scrub                              # one step or dataset
    inputs: [chats, mails]                     # several, joined
    inputs: {train: train_encoded, base: base} # by port

Without `inputs`, a step with a table as its output reads the table before it, and the ports of a model step read the
nearest earlier output of the right kind.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from deskloop.contract.stage import DataStage, EvaluationStage, FittedStage, ModelStage, Port, Stage
from deskloop.pipeline.pipeline import Reference, Step
from deskloop.pipeline.problems import kind, nearest

WRONG_ZONE = {
    "raw": "it must come after ingest",
    "clean": "put `scrub` before it, so that nothing personal leaves the raw zone",
}


def connect(
    name: str, stage: Stage, declared: Any, before: Sequence[Step], later: Sequence[str], problems: list[str]
) -> dict[str, tuple[Reference, ...]]:
    """Resolve the inputs of one step.

    Args:
        declared: the value of `inputs` in the file, or None.
        before: the steps before it, with their inputs resolved.
        later: names of it and of the steps after it.
        problems: gets a message for each input that cannot be resolved.
    Returns:
        Port -> outputs.
    """
    where = f"steps.{name}.inputs"
    wanted = _by_port(stage, declared, where, problems)
    resolved: dict[str, tuple[Reference, ...]] = {}
    for port_name, port in stage.ports.items():
        if port.role == "champion":
            continue
        if port_name in wanted:
            named = [_named(text, stage, port, before, later, where, problems) for text in wanted[port_name]]
            references = [reference for outputs in named for reference in outputs]
            if len(references) > 1 and not port.many:
                problems.append(f"{where}.{port_name}: takes one input, found {len(references)}")
        else:
            references = _default(stage, port, before)
        if not references and not port.optional and port_name not in wanted:
            problems.append(f"steps.{name}: {_missing(port_name, port, stage)}")
        resolved[port_name] = tuple(dict.fromkeys(references))
    return resolved


def flow_problems(steps: Sequence[Step]) -> list[str]:
    """Check that all inputs of a step provide what it needs, and that only scrub leads out of the raw zone."""
    problems: list[str] = []
    zones: dict[str, str] = {}
    facts: dict[str, frozenset[str]] = {}
    for step in steps:
        stage = step.stage
        if not isinstance(stage, DataStage):
            continue
        sources = [reference.step for reference in step.inputs.get("rows", ()) if reference.step in zones]
        provided = [facts[source] for source in sources]
        shared = frozenset.intersection(*provided) if provided else frozenset()
        for zone in dict.fromkeys(zones[source] for source in sources):
            if stage.zone[0] != zone and (stage.zone[0], zone) != ("raw", "clean"):
                remedy = WRONG_ZONE[stage.zone[0]]
                problems.append(f"steps.{step.name}: reads the {stage.zone[0]} zone but gets {zone}: {remedy}")
        lacking = "no step before it provides" if len(provided) < 2 else "not all of its inputs provide"
        if sources:
            problems += [f"steps.{step.name}: needs {need!r}, which {lacking}" for need in sorted(stage.needs - shared)]
        zones[step.name] = stage.zone[1]
        facts[step.name] = shared | stage.provides
    return problems


def provided_by(step: Step, steps: Sequence[Step]) -> frozenset[str]:
    """Return the columns and facts of a step's output."""
    if not isinstance(step.stage, DataStage):
        return frozenset()
    by_name = {each.name: each for each in steps}
    inputs = [provided_by(by_name[reference.step], steps) for reference in step.inputs.get("rows", ())]
    return step.stage.provides | (frozenset.intersection(*inputs) if inputs else frozenset())


def _by_port(stage: Stage, declared: Any, where: str, problems: list[str]) -> dict[str, list[str]]:
    """Return the declared inputs as port -> names."""
    if declared is None:
        return {}
    ports = [name for name, port in stage.ports.items() if port.role != "champion"]
    if not ports:
        problems.append(f"{where}: a source step has no inputs")
        return {}
    if not isinstance(declared, Mapping):
        declared = {ports[0]: declared}
    names_of: dict[str, list[str]] = {}
    for name, value in declared.items():
        if name not in ports:
            problems.append(f"{where}.{name}: unknown input{nearest(str(name), ports)}")
            continue
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
            problems.append(f"{where}.{name}: expected the name of an earlier step or dataset, found {kind(value)}")
            continue
        names_of[name] = names
    return names_of


def _named(
    text: str, stage: Stage, port: Port, before: Sequence[Step], later: Sequence[str], where: str, problems: list[str]
) -> list[Reference]:
    """Return the outputs that a name refers to."""
    for step in before:
        if text == step.name or text in step.datasets.values():
            problem = _unfit(step, port, before)
            if not problem and port.kind == "artifact" and isinstance(stage, FittedStage) and step.stage != stage:
                problem = f"is a step of {step.stage.name}, not of {stage.name}"
            splits = [str(split) for split, name in step.datasets.items() if name == text and split]
            if not problem and port.split and splits and port.split not in splits:
                problem = f"is the {splits[0]} split; this input takes {port.split}"
            if problem:
                problems.append(f"{where}: {text!r} {problem}")
                return []
            outputs = [text] if text in step.datasets.values() else _outputs(step, port)
            return [Reference(step.name, output) for output in outputs]
    if text in later:
        problems.append(f"{where}: {text!r} is not an earlier step; steps run in the order of the file, without cycles")
    else:
        names = [name for step in before for name in dict.fromkeys((step.name, *step.datasets.values()))]
        problems.append(f"{where}: no earlier step or dataset {text!r}{nearest(text, names)}")
    return []


def _default(stage: Stage, port: Port, before: Sequence[Step]) -> list[Reference]:
    """Return the inputs of a port that the file does not declare."""
    if isinstance(stage, DataStage):
        if port.optional:
            return []
        tables = [step for step in before if isinstance(step.stage, DataStage)]
        return [Reference(tables[-1].name, name) for name in tables[-1].datasets.values()] if tables else []
    fitting = [step for step in before if not _unfit(step, port, before)]
    chosen = fitting if port.many else fitting[-1:]
    return [Reference(step.name, name) for step in chosen for name in _outputs(step, port)]


def _outputs(step: Step, port: Port) -> list[str]:
    """Return the datasets of a step that a port reads: all of them, or the one of its split."""
    if port.split and port.split in step.datasets:
        return [step.datasets[port.split]]
    return list(step.datasets.values())[: 1 if port.kind == "artifact" else None]


def _unfit(step: Step, port: Port, steps: Sequence[Step]) -> str:
    """Return why a port cannot read a step's output; "" if it can."""
    stage = step.stage
    if port.kind == "rows":
        if not isinstance(stage, DataStage):
            return "has no rows"
        if port.fact and port.fact not in provided_by(step, steps):
            return f"does not provide {port.fact!r}"
        return ""
    if port.kind == "artifact":
        fits = isinstance(stage, FittedStage) and (not port.fact or port.fact in stage.provides)
        return "" if fits else "has no such artifact"
    if port.kind == "model":
        if not isinstance(stage, ModelStage):
            return "is not a model"
        return "" if stage.role == port.role else f"is a {stage.role} model, not a {port.role}"
    return "" if isinstance(stage, EvaluationStage) else "is not an evaluation"


def _missing(name: str, port: Port, stage: Stage) -> str:
    """Return the message for a port without an input, with the remedy."""
    if isinstance(stage, DataStage):
        return f"reads the {stage.zone[0]} zone but gets world: it must come after ingest"
    need = {
        "rows": f"rows that provide {port.fact!r}; put `encode` before it",
        "artifact": "the tokenizer of a step such as `encode`; put one before it",
        "model": {"base": "a base model; put `base` before it"}.get(port.role, "a candidate; put `finetune` before it"),
        "figures": "an evaluation; put `evaluate` before it",
    }[port.kind]
    return f"its input {name!r} needs {need}"
