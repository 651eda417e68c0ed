"""The pipeline file as a YAML document: read within limits, and changed by `--set a.b=value`."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deskloop.contract.errors import ConfigError, InputError
from deskloop.contract.files import read_small
from deskloop.pipeline.problems import kind, nearest

MAX_BYTES = 200_000  # of a pipeline file
MAX_DEPTH = 100
MAX_NODES = 50_000  # of it, aliases expanded


def read_document(file: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, unreadable, or holds no mapping; names line and column.
    """
    try:
        if not file.exists():
            near = difflib.get_close_matches(file.name, [path.name for path in file.parent.glob("*.y*ml")], 1)
            hint = f"; did you mean {near[0]}?" if near else "; `deskloop init` writes one"
            raise ConfigError(f"there is no file {file}{hint}", "the command")
        if file.is_dir():
            raise ConfigError(f"{file} is a folder; name the pipeline file in it", "the command")
        content = load_yaml(read_small(file, MAX_BYTES).decode())
    except InputError as error:
        raise ConfigError(str(error), "the command") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", "the command") from None
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8 text", str(file)) from None
    except yaml.YAMLError as error:
        raise ConfigError(_located(error), str(file)) from None
    except (ValueError, RecursionError) as error:
        # PyYAML lets these through: a date such as 2024-02-31, and nesting without end.
        reason = "a date that does not exist" if isinstance(error, ValueError) else "nested too deeply"
        raise ConfigError(f"not valid YAML: {reason}", str(file)) from None
    if not isinstance(content, dict):
        raise ConfigError(f"expected keys such as `name` and `steps`, found {kind(content)}", str(file))
    return {str(key): value for key, value in content.items()}


def load_yaml(text: str, quick: bool = False, most: int = MAX_NODES) -> Any:
    """Parse a YAML document whose aliases expand within limits.

    Args:
        quick: use LibYAML if it is installed, for long files; accepts duplicate keys.
        most: values that it may hold with its aliases expanded.
    Raises:
        yaml.YAMLError: it is not valid YAML, has a duplicate key, or holds too much.
        ValueError, RecursionError: PyYAML lets these through.
    """
    kind_of_loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if quick else _UniqueKeys
    if quick:
        _check_depth(text, kind_of_loader)
    loader = kind_of_loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}, most) > most:
            raise yaml.constructor.ConstructorError(
                None, None, f"with its aliases expanded it holds more than {most:,} values", node.start_mark
            )
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(text: str, loader: Any) -> None:
    """LibYAML's composer crashes on nesting that its parser still reads.

    Raises:
        RecursionError: nesting is deeper than `MAX_DEPTH`.
    """
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecursionError


def _expanded_size(node: yaml.Node, sizes: dict[int, int], most: int) -> int:
    """Count the nodes of a document with its aliases expanded."""
    key = id(node)
    if key not in sizes:
        sizes[key] = most + 1  # a node that contains itself never ends
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        sizes[key] = 1 + sum(_expanded_size(part, sizes, most) for part in parts)
    return sizes[key]


def override(content: dict[str, Any], overrides: Sequence[str], names: Sequence[str]) -> list[str]:
    """Change the document in place.

    Args:
        overrides: `a.b=value` each, the value in YAML; `a` is a step or a key of the top level, numbers count in lists.
        names: keys of the top level.
    Returns:
        The problems found.
    """
    return [problem for text in overrides if (problem := _set(content, text, names))]


def _set(content: dict[str, Any], text: str, names: Sequence[str]) -> str | None:
    path, equals, written = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        return f"--set {path}: expected KEY.KEY=VALUE"
    try:
        value = load_yaml(written)
    except (yaml.YAMLError, ValueError, RecursionError):
        return f"--set {path}: the value is not valid YAML"
    options = step_options(content, keys[0]) if len(keys) > 1 else None
    if options is None and keys[0] not in names:
        steps = [name for entry in _entries(content) if (name := step_name(entry))]
        return f"--set {path}: no step or key {keys[0]!r}{nearest(keys[0], [*steps, *names])}"
    target: Any = content if options is None else options
    inner = keys if options is None else keys[1:]
    for position, key in enumerate(inner):
        last = position == len(inner) - 1
        if isinstance(target, list):
            if not key.isdigit() or int(key) >= len(target):
                return f"--set {path}: {key!r} is not a position in a list of {len(target)}"
            index: Any = int(key)
        elif isinstance(target, dict):
            index = key
        else:
            return f"--set {path}: there is {kind(target)} where {key!r} should be a key"
        if last:
            target[index] = value
        elif isinstance(target, dict) and target.get(index) is None:
            target[index] = {}
        target = target[index]
    return None


def step_name(entry: Any) -> str | None:
    """Return the name of an entry of `steps` in any of its forms; None for an unknown form."""
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, dict):
        return None
    if "stage" in entry:
        return str(entry.get("name") or entry["stage"]) if isinstance(entry["stage"], str) else None
    return str(next(iter(entry))) if len(entry) == 1 else None


def step_options(content: dict[str, Any], name: str) -> Any:
    """Return the options of the step `name` inside `content`, added if missing; None if there is no such step."""
    entries = _entries(content)
    for position, entry in enumerate(entries):
        if step_name(entry) != name:
            continue
        if isinstance(entry, str):
            entries[position] = {name: {}}
            return entries[position][name]
        key = "with" if "stage" in entry else next(iter(entry))
        if entry.get(key) is None:
            entry[key] = {}
        return entry[key]
    return None


def _entries(content: Mapping[str, Any]) -> list[Any]:
    entries = content.get("steps")
    return entries if isinstance(entries, list) else []


def _located(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else "not valid YAML: "
    message = ", ".join(filter(None, (getattr(error, "context", None), problem))) or getattr(error, "reason", "")
    return f"{place}{message}"


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses duplicate keys, of which YAML's own silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            # `<<` merges the keys of another mapping, which may then be overridden.
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
