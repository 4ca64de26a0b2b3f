"""Whether a decorator may call or keep what it decorates, or only wraps it."""

import ast
from collections.abc import Callable, Iterable
from typing import Final

from vllm_forge.release.python_syntax import FunctionNode
from vllm_forge.release.reaching.python_module import dotted

QUIET: Final = frozenset(
    {
        *("callable", "getattr", "hasattr", "isgeneratorfunction", "iscoroutinefunction"),
        *("isinstance", "issubclass", "setattr", "signature", "type", "update_wrapper", "wraps"),
    }
)
"""Functions that look at what they are given, and neither keep nor call it."""

FindFunction = Callable[[str], FunctionNode | None]
"""A function of the decorator's own module, by name."""


def only_wraps(decorator: ast.expr, candidates: Iterable[ast.stmt], find: FindFunction) -> bool:
    """`candidates` are what the decorator's name stands for.

    `@name(…)` calls a function that makes the decorator: the one function defined in it.
    """
    functions = [
        one for one in candidates if isinstance(one, ast.FunctionDef) and not _is_overload(one)
    ]
    if len(functions) != 1:
        return False
    function: FunctionNode = functions[0]
    if isinstance(decorator, ast.Call):
        inner = [one for one in function.body if isinstance(one, FunctionNode)]
        if len(inner) != 1:
            return False
        function = inner[0]
    return not _keeps(function, 0, find, frozenset())


def _is_overload(function: ast.FunctionDef) -> bool:
    return any((dotted(one) or ("",))[-1] == "overload" for one in function.decorator_list)


def _keeps(  # noqa: C901 -- three questions about one name
    function: FunctionNode, place: int, find: FindFunction, seen: frozenset[str]
) -> bool:
    """Whether `function` calls or stores its argument number `place`, outside nested functions."""
    if place >= len(function.args.args) or function.name in seen:
        return place >= len(function.args.args)
    name = function.args.args[place].arg
    seen |= {function.name}
    inner = {one.name: one for one in function.body if isinstance(one, FunctionNode)}

    def bare(node: ast.AST) -> bool:
        """The name itself, not an attribute of it, nor its text."""
        if isinstance(node, ast.Attribute):
            return not isinstance(node.value, ast.Name) and bare(node.value)
        if isinstance(node, ast.Name):
            return node.id == name
        if isinstance(node, ast.JoinedStr):
            return False
        return any(bare(one) for one in ast.iter_child_nodes(node))

    def passes(call: ast.Call) -> bool:
        """Given to somebody who keeps it, or called itself."""
        callee = dotted(call.func) or ("",)
        if callee == (name,) or any(bare(keyword.value) for keyword in call.keywords):
            return True
        given = [number for number, one in enumerate(call.args) if bare(one)]
        if not given or callee[-1] in QUIET or callee[0] == "logger":
            return False
        known = inner.get(callee[0]) or find(callee[0])
        if known is None or len(callee) > 1:
            return True
        return any(_keeps(known, number, find, seen) for number in given)

    def scan(node: ast.AST) -> bool:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return any(scan(one) for one in node.decorator_list)
            case ast.Lambda():
                return False
            case ast.Call() if passes(node):
                return True
            case ast.Assign(targets=targets, value=value) if bare(value):
                if not isinstance(value, ast.Call) and not all(
                    isinstance(one, ast.Name) for one in targets
                ):
                    return True
            case _:
                pass
        return any(scan(one) for one in ast.iter_child_nodes(node))

    return any(scan(statement) for statement in function.body)
