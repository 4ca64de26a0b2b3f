"""One Python file as names: what it defines, imports, and runs when it is imported."""

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

OUTSIDE_DECORATORS: Final = frozenset(
    {
        *("abstractmethod", "asynccontextmanager", "cache", "cached_property", "classmethod"),
        *("compile", "contextmanager", "dataclass", "deprecated", "disable", "dynamo_disable"),
        *("autotune", "heuristics", "jit", "final", "inference_mode", "lru_cache", "no_grad"),
        *("override", "overload", "property", "runtime_checkable", "setter", "staticmethod"),
        *("total_ordering", "unique", "wrap", "wraps", "register_fake"),
    }
)
"""Decorators of the standard library, torch and Triton: they wrap what they decorate, and call
nothing before somebody calls it."""

NAMED_REGISTRIES: Final = frozenset({"CustomOp", "PluggableLayer"})
"""Classes of vllm/model_executor/custom_op.py whose `register("name")` only writes a name down, so
that configuration can switch the class off: nobody makes an object by that name."""

Imported = tuple[str, str | None]
"""(module, name in it), the name None where the module itself is bound."""

Bindings = defaultdict[str, list[Imported]]
"""Name → everything it may stand for: branches may import it from different places."""


@dataclass(slots=True)
class PythonModule:
    """`eager` is what runs at import; what waits until its name is used is in `definitions`.

    `attributes` are module-level `Class.NAME = value`.
    """

    name: str
    path: str
    is_package: bool
    definitions: defaultdict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    imports: Bindings = field(default_factory=lambda: defaultdict(list))
    stars: list[str] = field(default_factory=list)
    attributes: list[tuple[str, ast.expr]] = field(default_factory=list)
    eager: list[ast.stmt] = field(default_factory=list)

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module an import names, seen from here."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = len(parts) - node.level + self.is_package
        return ".".join([*parts[:kept], *([node.module] if node.module else [])])

    def bind(self, node: ast.Import | ast.ImportFrom, into: Bindings) -> None:
        """Write down what an import binds; another import of the same name stays beside it."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                into[alias.asname or top].append((alias.name if alias.asname else top, None))
            return
        module = self.absolute(node)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
            else:
                into[alias.asname or alias.name].append((module, alias.name))


def parse_module(name: str, path: str, tree: ast.Module, *, is_package: bool) -> PythonModule:
    module = PythonModule(name, path, is_package)
    _collect(module, tree.body, at_import=True)
    return module


def dotted(node: ast.AST | None) -> tuple[str, ...] | None:
    """`a.b.c` as its parts; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(parts))


def as_statement(value: ast.expr) -> ast.Expr:
    """An expression where a statement is wanted, at its own place."""
    return ast.copy_location(ast.Expr(value), value)


def has_call(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def is_outside(decorator: ast.expr) -> bool:
    """A decorator that is known to call nothing."""
    name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
    if name is None:
        return False
    named = name[-1] == "register" and name[:-1] and name[-2] in NAMED_REGISTRIES
    return bool(named) or name[-1] in OUTSIDE_DECORATORS


def _collect(  # noqa: C901, PLR0912 -- a table of the kinds of statements
    module: PythonModule, body: list[ast.stmt], *, at_import: bool
) -> None:
    """`at_import` False below an `if`: names are bound, and the walk judges what runs."""
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                module.bind(statement, module.imports)
                _run(module, statement, at_import=at_import)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                module.definitions[statement.name].append(statement)
                if not all(is_outside(one) for one in statement.decorator_list):
                    _run(module, statement, at_import=at_import)
            case ast.Assign(targets=[ast.Attribute(attr=attribute)], value=value):
                module.attributes.append((attribute, value))
            case ast.Assign() | ast.AnnAssign():
                _assign(module, statement, at_import=at_import)
            case ast.If(test=test, body=inner, orelse=other):
                _collect(module, inner, at_import=False)
                _collect(module, other, at_import=False)
                if ast.unparse(test).rpartition(".")[2] != "TYPE_CHECKING":
                    _run(module, statement, at_import=at_import)
                elif at_import:
                    module.eager += other
            case ast.With(items=items, body=inner):
                for item in items:
                    _run(module, as_statement(item.context_expr), at_import=at_import)
                _collect(module, inner, at_import=at_import)
            case ast.Try():
                for block in blocks_of(statement):
                    _collect(module, block, at_import=at_import)
            case ast.Expr(value=ast.Constant()):
                continue
            case _:
                _run(module, statement, at_import=at_import)


def blocks_of(statement: ast.Try) -> list[list[ast.stmt]]:
    handlers = [handler.body for handler in statement.handlers]
    return [statement.body, *handlers, statement.orelse, statement.finalbody]


def _assign(
    module: PythonModule, statement: ast.Assign | ast.AnnAssign, *, at_import: bool
) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                module.definitions[node.id].append(statement)
    if statement.value is not None and has_call(statement.value):
        _run(module, statement, at_import=at_import)


def _run(module: PythonModule, statement: ast.stmt, *, at_import: bool) -> None:
    if at_import:
        module.eager.append(statement)
