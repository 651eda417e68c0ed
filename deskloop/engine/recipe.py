"""The recipe of a step: everything besides its input that decides what comes out.

Config, seed, key id, versions of the declared libraries, and the code: the syntax tree of the stage's module and of
all modules of ours that it imports, transitively. Comments, blank lines and docstrings do not count.
"""

import ast
import functools
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

from deskloop.contract.stage import Stage, StageConfig
from deskloop.store.digest import text_digest

OURS = ("deskloop", "tasks")


def recipe_of(
    step: str, stage: Stage, config: StageConfig, seed: int, key_id: str, equipment: Mapping[str, str | None]
) -> str:
    """The recipe's digest, 32 hexadecimal digits.

    Args:
        equipment: what the stage found of what it works with, see `Stage.equipment`.
    """
    return text_digest(
        step,
        stage.name,
        config.model_dump(mode="json"),
        seed,
        key_id if stage.keyed else "",
        dict(equipment),
        library_versions(stage.libraries),
        code_digest(modules_of(stage)),
    )


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed version of each distribution; one that is missing is an error of the environment."""
    return {name: importlib.metadata.version(name) for name in names}


def modules_of(stage: Stage) -> tuple[str, ...]:
    """The modules that hold the stage's functions and its config, sorted."""
    source = (stage.source.read, stage.source.inputs) if stage.source is not None else ()
    functions = (stage.run, stage.fit, stage.remember, *source)
    return tuple(sorted({stage.config.__module__, *(one.__module__ for one in functions if one is not None)}))


@functools.cache
def code_digest(modules: tuple[str, ...]) -> str:
    """Digest of the syntax trees of modules and of ours that they import, transitively.

    Args:
        modules: dotted names; their top packages count as ours too (stages of other packages).
    """
    ours = {*OURS, *(module.split(".")[0] for module in modules)}
    seen: dict[str, str] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        tree, package = _parse(name)
        seen[name] = text_digest(ast.dump(tree))
        queue.extend(found for found in _imported(tree, package, ours) if found.split(".")[0] in ours)
    return text_digest(sorted(seen.items()))


def _parse(module: str) -> tuple[ast.Module, str]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ast.Module(body=[], type_ignores=[]), module
    tree = ast.parse(Path(spec.origin).read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                first.value.value = ""
    return tree, module if spec.submodule_search_locations else module.rpartition(".")[0]


def _imported(tree: ast.Module, package: str, ours: set[str]) -> Iterator[str]:
    """Modules that a tree imports anywhere, lazily ones included; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                if node.level
                else node.module
            )
            for alias in node.names:
                is_module = str(base).split(".")[0] in ours and _has_module(str(base), alias.name)
                yield f"{base}.{alias.name}" if is_module else str(base)


def _has_module(package: str, name: str) -> bool:
    """Whether `package.name` is a module; looks for files, since `find_spec` would import the package."""
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else spec.submodule_search_locations or []
    return any(Path(place, f"{name}.py").exists() or Path(place, name, "__init__.py").exists() for place in places)
