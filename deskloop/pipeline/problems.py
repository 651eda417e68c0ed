"""Messages about invalid options: the expected kind of value, the kind that was found, and the nearest valid name.

Messages never show a value, only its kind, since a pipeline file may contain personal data that is to be scrubbed.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deskloop.contract.stage import StageConfig

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "options",
    "model_type": "options",
    "model_attributes_type": "options",
}
TAGS = ("union_tag_invalid", "union_tag_not_found")  # errors of an option that selects one of several configs
KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
Place = tuple[str | int, ...]


def messages(
    error: ValidationError, model: type[StageConfig], options: Mapping[str, Any], where: str, known: Sequence[str] = ()
) -> list[str]:
    """Return one message for each invalid place in `options`, with its path.

    Args:
        model: the config that rejected them.
        where: path of `options` in the file; empty for the top.
        known: valid names at the top level of `options`, if there are more than the config's.
    """
    errors_at: dict[Place, list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        errors_at.setdefault(_place(each["loc"], options, each["type"]), []).append(each)
    deeper = {place[:length] for place in errors_at for length in range(len(place))}
    problems = []
    for place, errors in errors_at.items():
        path = ".".join(map(str, filter(lambda part: part != "", (where, *place))))
        if all(each["type"] in EXPECTED or each["type"] == "too_short" for each in errors) and place in deeper:
            continue  # of an alternative that was not intended, or a list that is too short without its invalid items
        if errors[0]["type"] in TAGS:
            problems.append(_mistagged(path, errors[0]))
        elif errors[0]["type"] == "extra_forbidden":
            names = known if known and len(place) == 1 else _names_at(model, place[:-1], options)
            problems.append(f"{path}: unknown key{nearest(str(place[-1]), names)}")
        else:
            problems.append(f"{path}: {_message(errors)}")
    return problems


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or all available names if none is similar."""
    available = sorted(names)
    similar = difflib.get_close_matches(name, available, n=1, cutoff=0.5)
    if similar:
        return f"; did you mean {similar[0]!r}?"
    return f"; available: {', '.join(available)}" if available else ""


def kind(value: object) -> str:
    """Return the kind of a value in a YAML file, without the value."""
    return KINDS.get(type(value), f"a {type(value).__name__}")


def _message(errors: Sequence[ErrorDetails]) -> str:
    """Return the message about one place; several errors are those of alternatives."""
    first = errors[0]
    if first["type"] == "missing":
        return "is required"
    expected = dict.fromkeys(EXPECTED[each["type"]] for each in errors if each["type"] in EXPECTED)
    if expected:
        return f"expected {' or '.join(expected)}, found {kind(first['input'])}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[0].lower() + message[1:]


def _mistagged(path: str, error: ErrorDetails) -> str:
    """Return the message about a mapping whose `kind` is missing or invalid; Pydantic's own would quote it."""
    context = error["ctx"]
    tags = [tag.strip("'") for tag in context.get("expected_tags", "").split(", ")]
    name = context["discriminator"].strip("'")
    if error["type"] == "union_tag_not_found":
        return f"{path}.{name}: is required"
    return f"{path}.{name}: unknown {name}{nearest(context['tag'], tags)}"


def _place(location: Place, options: Any, kind_of_error: str) -> Place:
    """Return a location without the names that Pydantic adds for the alternatives of a union."""
    place: list[str | int] = []
    node: Any = options
    for part in location:
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and isinstance(part, int):
            node = node[part] if part < len(node) else None
        elif kind_of_error not in ("missing", "invalid_key") or part != location[-1]:
            continue
        place.append(part)
    return tuple(place)


def _names_at(model: type[StageConfig], place: Place, options: Any) -> list[str]:
    """Return the valid names of the options at `place`."""
    schema = model.model_json_schema()
    nodes = _expanded([schema], schema, options)
    for part in place:
        options = options[part]
        inner = [
            node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part, node.get(_ANY))
            for node in nodes
        ]
        nodes = _expanded([node for node in inner if isinstance(node, dict)], schema, options)
    return sorted({name for node in nodes for name in node.get("properties", {})})


_ANY = "additionalProperties"


def _expanded(nodes: Sequence[dict[str, Any]], schema: dict[str, Any], options: Any) -> list[dict[str, Any]]:
    """Return nodes of a JSON Schema with references resolved, and all alternatives or the selected one."""
    expanded: list[dict[str, Any]] = []
    for node in nodes:
        inner = [*node.get("anyOf", []), *node.get("allOf", []), *node.get("oneOf", [])]
        if "discriminator" in node and isinstance(options, Mapping):
            tags, tag = node["discriminator"]["mapping"], options.get(node["discriminator"]["propertyName"])
            inner = [{"$ref": reference} for name, reference in tags.items() if name == tag]
        if "$ref" in node:
            inner.append(schema["$defs"][node["$ref"].rpartition("/")[2]])
        expanded += [node, *_expanded(inner, schema, options)]
    return expanded
