"""The digest of the code that functions compute with: every definition of ours that they can reach.

From a stage's functions and config, names are followed through modules of the stage's own package, of `tasks` and of
the contract. The digest ignores definitions that are not reached, comments, docstrings, annotations of functions,
descriptions of options and the wording of errors. Names are followed regardless of scope, so that the digest may cover
too much but never too little. Code that is not found by name (a plug-in, a file) belongs in `Stage.equipment`.
"""

import ast
import functools
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deskloop.store.digest import text_digest

OURS = ("tasks", "deskloop.contract")
WORDED = frozenset({"ConfigError", "InputError", "DataError", "MachineError", "ValueError"})
Symbol = tuple[str, str]  # module, name


@dataclass
class Module:
    """The top level of a module.

    Attributes:
        package: the package to which its relative imports refer.
        definitions: name -> the statements that bind it.
        imports: name -> (module, name in it), or (module, "") for a module itself.
        effects: statements that bind no name, such as a call that registers an object.
    """

    package: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Symbol] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)


def code_digest(functions: Iterable[Callable[..., Any]]) -> str:
    """Return the digest of the definitions that functions and classes reach, 32 hexadecimal digits."""
    roots = {(function.__module__, function.__qualname__.split(".")[0]) for function in functions}
    return _digest(tuple(sorted(roots)))


@functools.cache
def _digest(roots: tuple[Symbol, ...]) -> str:
    ours = {*OURS, *(module.split(".")[0] for module, _ in roots if not module.startswith("deskloop."))}
    seen: dict[Symbol, str] = {}
    queue = list(roots)
    while queue:
        symbol = queue.pop()
        if symbol in seen or not _counts(symbol[0], ours):
            continue
        module = _module(symbol[0])
        if module is None:
            continue
        statements = module.definitions.get(symbol[1], [])
        if not statements and symbol[1] in module.imports:
            seen[symbol] = ""
            queue.append(module.imports[symbol[1]])
            continue
        seen[symbol] = text_digest([ast.dump(statement) for statement in statements])
        for statement in (*statements, *module.effects):
            queue.extend(_reached(statement, symbol[0], module, ours))
    effects = {name: [ast.dump(each) for each in _effects(name)] for name in {module for module, _ in seen}}
    return text_digest(sorted((*symbol, digest) for symbol, digest in seen.items() if digest), sorted(effects.items()))


def _counts(module: str, ours: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in ours)


def _effects(name: str) -> list[ast.stmt]:
    module = _module(name)
    return module.effects if module is not None else []


@functools.cache
def _module(name: str) -> Module | None:
    """Parse a module's top level; None if it has no source."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    tree: ast.Module = _Bare().visit(ast.parse(Path(spec.origin).read_bytes()))
    package = name if spec.submodule_search_locations else name.rpartition(".")[0]
    module = Module(package)
    for statement in tree.body:
        _bind(statement, module)
    return module


def _bind(statement: ast.stmt, module: Module) -> None:
    """Add a top-level statement under the names that it binds."""
    names: list[str] = []
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module.imports.update(_imported(statement, module.package))
        return
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        names = [statement.name]
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    elif (
        isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    ) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
        return
    elif isinstance(statement, ast.If | ast.Try | ast.With):
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.stmt):
                _bind(inner, module)
    for name in names:
        module.definitions.setdefault(name, []).append(statement)
    if not names:
        module.effects.append(statement)


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, Symbol]:
    """Return the names that an import binds, with the symbols that they refer to."""
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: (alias.name if alias.asname else alias.name.split(".")[0], "")
            for alias in statement.names
        }
    dots = "." * statement.level + (statement.module or "")
    base = importlib.util.resolve_name(dots, package) if statement.level else statement.module or ""
    symbols: dict[str, Symbol] = {}
    is_ours = _counts(base, {*OURS, package.split(".")[0]})
    for alias in statement.names:
        if alias.name == "*":
            source = _module(base) if is_ours else None
            names = {*source.definitions, *source.imports} if source is not None else ()
            symbols |= {name: (base, name) for name in names}
            continue
        is_module = is_ours and _has_module(base, alias.name)
        symbols[alias.asname or alias.name] = (f"{base}.{alias.name}", "") if is_module else (base, alias.name)
    return symbols


@functools.cache
def _has_module(package: str, name: str) -> bool:
    """Return whether `package.name` is a module, by its files, since `find_spec` would import the package."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return any(Path(folder, f"{name}.py").exists() or Path(folder, name, "__init__.py").exists() for folder in folders)


def _reached(statement: ast.stmt, name: str, module: Module, ours: set[str]) -> Iterator[Symbol]:
    """Yield the symbols that a statement refers to, in its own module and in imported ones."""
    bound = {alias: {symbol} for alias, symbol in module.imports.items()}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):  # other methods may use the module's own import of the name
            for alias, symbol in _imported(node, module.package).items():
                bound.setdefault(alias, set()).add(symbol)
    attributes = {id(node.value): node for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
    for node in ast.walk(statement):
        if not isinstance(node, ast.Name):
            continue
        if node.id in module.definitions:
            yield name, node.id
        for symbol in bound.get(node.id, ()):
            yield from _through(symbol, node, attributes, ours)


def _through(symbol: Symbol, node: ast.expr, attributes: dict[int, ast.Attribute], ours: set[str]) -> Iterator[Symbol]:
    """Yield what `a`, `a.b` or `a.b.c` refers to if `a` is an import; for a module, the symbol in it."""
    if symbol[1] or not _counts(symbol[0], ours):  # a search in other packages' modules would import them
        yield symbol
        return
    outer = attributes.get(id(node))
    if outer is None:
        module = _module(symbol[0])
        yield from ((symbol[0], name) for name in (module.definitions if module else ()))
    elif _has_module(symbol[0], outer.attr):
        yield from _through((f"{symbol[0]}.{outer.attr}", ""), outer, attributes, ours)
    else:
        yield symbol[0], outer.attr


class _Bare(ast.NodeTransformer):
    """Removes docstrings, annotations of functions, descriptions of options, and the wording of errors."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Remove a function's docstring and annotations."""
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.body = [
            ast.Assign([line.target], line.value, lineno=0)
            if isinstance(line, ast.AnnAssign) and line.value is not None
            else line
            for line in _without_docstring(node.body)
        ]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Remove a class's docstring; the annotations of its fields stay, since they determine valid values."""
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Remove the description from `Field(...)`."""
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Remove the message from `raise` of an error whose wording is for people."""
        call = node.exc
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in WORDED:
            call.args, call.keywords = [], []
        return self.generic_visit(node)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(ast.Constant(str())), *others]:
            return others or [ast.Pass()]
    return body
