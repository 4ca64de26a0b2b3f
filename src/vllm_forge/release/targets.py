"""The extension targets setup.py asks CMake for, each with the conditions around it."""

import ast
from collections.abc import Iterable, Iterator

from vllm_forge.records.release import ExtensionTarget
from vllm_forge.release.python_syntax import called_name, constant_string
from vllm_forge.release.source_tree import SourceTree


def read_targets(tree: SourceTree) -> tuple[ExtensionTarget, ...]:
    """In the order of setup.py; a target appended twice (0.20's CPU `_C`) is there twice."""
    module = tree.module("setup.py")
    return tuple(targets_in(module.body, ())) if module else ()


def targets_in(
    statements: Iterable[ast.stmt], conditions: tuple[str, ...]
) -> Iterator[ExtensionTarget]:
    """Walk module-level statements; what a function would append is not asked for by itself."""
    for statement in statements:
        match statement:
            case ast.If(test=test, body=body, orelse=orelse):
                said = ast.unparse(test)
                yield from targets_in(body, (*conditions, said))
                yield from targets_in(orelse, (*conditions, f"not ({said})"))
            case ast.Expr(value=ast.Call(args=[call])) if called_name(call) == "CMakeExtension":
                if called_name(statement.value) == "append":
                    yield from target_of(call, conditions)
            case _:
                continue


def target_of(call: ast.expr, conditions: tuple[str, ...]) -> Iterator[ExtensionTarget]:
    """setup.py passes the last component of the extension's name to CMake as `--target`."""
    if not isinstance(call, ast.Call):
        return
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    module = constant_string(keywords.get("name") or (call.args[0] if call.args else None))
    if module is None:
        return
    optional = keywords.get("optional")
    yield ExtensionTarget(
        name=module.rpartition(".")[2],
        module=module,
        optional=isinstance(optional, ast.Constant) and bool(optional.value),
        condition=conditions,
        source=f"setup.py:{call.lineno}",
    )
