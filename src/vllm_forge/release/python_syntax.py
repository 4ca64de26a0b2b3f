"""Questions to a parsed Python file. Values are read, never computed by running it."""

import ast
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def find_class(module: ast.Module, name: str) -> ast.ClassDef | None:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    return None


def find_function(inside: ast.AST, name: str) -> FunctionNode | None:
    """The first function of that name, at any depth."""
    for node in ast.walk(inside):
        if isinstance(node, FunctionNode) and node.name == name:
            return node
    return None


def find_method(owner: ast.ClassDef, name: str) -> FunctionNode | None:
    for node in owner.body:
        if isinstance(node, FunctionNode) and node.name == name:
            return node
    return None


def statements_of(inside: ast.AST) -> Iterator[ast.AST]:
    """A module's own statements; of anything smaller, every node at any depth."""
    return iter(inside.body) if isinstance(inside, ast.Module) else ast.walk(inside)


def assignments(inside: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """(name, value, line) of every `name = value` and `name: type = value`."""
    for node in statements_of(inside):
        yield from assignments_at(node)


def assignments_at(node: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """Those of one statement: `a = b = value` has two."""
    if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
        yield node.target.id, node.value, node.lineno
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value, node.lineno


def find_assignment(inside: ast.AST, name: str) -> tuple[ast.expr, int] | None:
    """The value and line of the first assignment to `name`."""
    return next(
        ((value, line) for found, value, line in assignments(inside) if found == name), None
    )


def strings_of(node: ast.expr) -> tuple[str, ...] | None:
    """The strings of a list, tuple or set display; None when an element is not a string."""
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    values = [constant_string(element) for element in node.elts]
    return None if None in values else tuple(value for value in values if value is not None)


def strings_named(module: ast.Module, name: str) -> tuple[tuple[str, ...], int] | None:
    """The strings assigned to `name` and the line; `*other` is followed into lists and dict keys.

    None when there is no such assignment or an element cannot be read as a string.
    """
    found = find_assignment(module, name)
    if found is None:
        return None
    value, line = found
    if isinstance(value, ast.Dict):
        elements: list[ast.expr | None] = [*value.keys]
    elif isinstance(value, ast.List | ast.Tuple | ast.Set):
        elements = [*value.elts]
    else:
        return None
    strings: list[str] = []
    for element in elements:
        if isinstance(element, ast.Starred) and isinstance(element.value, ast.Name):
            inner = strings_named(module, element.value.id)
        else:
            text = constant_string(element)
            inner = None if text is None else ((text,), line)
        if inner is None:
            return None
        strings += inner[0]
    return tuple(strings), line


def constant_string(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def strings_within(node: ast.AST) -> set[str]:
    """Every string constant at any depth, docstrings included."""
    return {
        found.value
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    }


def called_name(node: ast.AST) -> str | None:
    """`f` of `f(…)` and of `x.f(…)`."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def import_of(inside: ast.AST, name: str) -> tuple[str, int, str] | None:
    """(module, relative level, name there) of the `from … import …` that binds `name`."""
    for node in statements_of(inside):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module or "", node.level, alias.name
    return None
