"""The quantization registry: names, the class behind each, the least capability it asks for."""

import ast
import posixpath
import re
from collections.abc import Iterator
from typing import Final

from vllm_forge.records.release import QuantizationMethod
from vllm_forge.records.sourced import Sourced
from vllm_forge.release.python_syntax import (
    FunctionNode,
    assignments,
    constant_string,
    find_assignment,
    find_class,
    find_function,
    find_method,
    import_of,
)
from vllm_forge.release.source_tree import SourceTree

REGISTRY: Final = "vllm/model_executor/layers/quantization/__init__.py"


def read_quantization(tree: SourceTree) -> tuple[QuantizationMethod, ...]:
    """Names in the order of the registry (overrides are tried in that order up to 0.8.3)."""
    module = tree.module(REGISTRY)
    if module is None:
        return ()
    names = dict(names_in(module))
    function = find_function(module, "get_quantization_config") or module
    classes = classes_in(function)
    for name, node in classes.items():
        names.setdefault(name, node.lineno)
    return tuple(
        read_method(tree, function, name, f"{REGISTRY}:{line}", classes.get(name))
        for name, line in names.items()
    )


def names_in(module: ast.Module) -> Iterator[tuple[str, int]]:
    """`QuantizationMethods = Literal[…]` (0.8.5 on), else `QUANTIZATION_METHODS: List = […]`."""
    literal = find_assignment(module, "QuantizationMethods")
    listed = find_assignment(module, "QUANTIZATION_METHODS")
    elements: list[ast.expr] = []
    if literal and isinstance(literal[0], ast.Subscript):
        inner = literal[0].slice
        elements = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    elif listed and isinstance(listed[0], ast.List):
        elements = listed[0].elts
    for element in elements:
        name = constant_string(element)
        if name is not None:
            yield name, element.lineno


def classes_in(function: ast.AST) -> dict[str, ast.expr]:
    """`method_to_config`: name → the expression of its class."""
    found = find_assignment(function, "method_to_config")
    if found is None or not isinstance(found[0], ast.Dict):
        return {}
    names = [constant_string(key) for key in found[0].keys]
    pairs = zip(names, found[0].values, strict=True)
    return {name: node for name, node in pairs if name is not None}


def read_method(
    tree: SourceTree, function: ast.AST, name: str, source: str, node: ast.expr | None
) -> QuantizationMethod:
    """`function` binds the classes: they are imported inside it, so as not to be imported early."""
    bound = bound_names(function, node.id) if isinstance(node, ast.Name) else ()
    imported = import_of(function, bound[0]) if len(bound) == 1 else None
    if node is None or imported is None:
        where = f"looked for {name} in method_to_config of {REGISTRY}"
        if node is not None:
            chosen = " or ".join(bound) or ast.unparse(node)
            where = f"{REGISTRY}:{node.lineno}: chosen at run time, {chosen}"
        return QuantizationMethod(name, Sourced(None, where), Sourced(None, where), source)
    path = path_of_module(tree, REGISTRY, imported[0], imported[1])
    return QuantizationMethod(
        name=name,
        config_class=Sourced(imported[2], f"{REGISTRY}:{node.lineno}"),
        min_capability=read_min_capability(tree, path, imported[2]),
        source=source,
    )


def bound_names(function: ast.AST, name: str) -> tuple[str, ...]:
    """What a local variable may stand for (0.33's `deepseek_config`); itself when imported."""
    values = [
        value.id
        for found, value, _ in assignments(function)
        if found == name and isinstance(value, ast.Name)
    ]
    return tuple(dict.fromkeys(values)) or (name,)


def path_of_module(tree: SourceTree, importer: str, module: str, level: int) -> str:
    """The file an import names: `from .modelopt import …` seen from the registry."""
    base = posixpath.dirname(importer) if level else ""
    for _ in range(level - 1):
        base = posixpath.dirname(base)
    stem = posixpath.join(base, module.replace(".", "/"))
    return f"{stem}.py" if tree.text(f"{stem}.py") is not None else f"{stem}/__init__.py"


def read_min_capability(
    tree: SourceTree, path: str, name: str, seen: frozenset[str] = frozenset()
) -> Sourced[int]:
    """`get_min_capability` of the class or of the first base that defines it: 89 is 8.9."""
    module = tree.module(path)
    owner = find_class(module, name) if module else None
    if module is None or owner is None:
        imported = import_of(module, name) if module else None
        if imported is None or path in seen:
            return Sourced(None, f"looked for class {name} in {path}")
        there = path_of_module(tree, path, imported[0], imported[1])
        return read_min_capability(tree, there, imported[2], seen | {path})
    method = find_method(owner, "get_min_capability")
    if method is not None:
        return returned_integer(method, path)
    for base in owner.bases:
        if isinstance(base, ast.Name):
            found = read_min_capability(tree, path, base.id, seen)
            if found.value is not None:
                return found
    return Sourced(None, f"looked for get_min_capability in class {name} of {path} and its bases")


def returned_integer(method: FunctionNode, path: str) -> Sourced[int]:
    """-1 is vLLM's way to say that any capability will do."""
    returns = [node for node in ast.walk(method) if isinstance(node, ast.Return) and node.value]
    if len(returns) == 1:
        text = ast.unparse(returns[0])
        if re.fullmatch(r"return -?\d+", text):
            return Sourced(int(text.removeprefix("return ")), f"{path}:{returns[0].lineno}")
    return Sourced(None, f"{path}:{method.lineno} does not return one constant")
