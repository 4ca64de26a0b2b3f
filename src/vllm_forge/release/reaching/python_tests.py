"""What is known of an `if` before anything runs: the platform, the GPU, and which classes exist.

A test has three values. Beside it, a test may say which classes must have been made for a branch
to be entered: `isinstance(layer, FusedMoE)` is false as long as nobody makes a FusedMoE.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vllm_forge.release.reaching.python_module import dotted
from vllm_forge.release.reaching.python_names import Definition

Guards = tuple[frozenset[Definition], ...]
"""Of each set, one class must be made."""

Find = Callable[[ast.expr], frozenset[Definition]]
"""The classes that an expression names; empty where that is not known."""

INSTANCE: Final = frozenset({"isinstance", "issubclass"})


@dataclass(frozen=True, slots=True)
class Known:
    """`platforms` are the methods of vLLM's Platform that ask for one (`is_rocm`), answered.

    `capabilities` are those of the GPUs it will run on, as vLLM compares them: 90 is 9.0.
    """

    platforms: dict[str, bool]
    capabilities: tuple[int, ...]

    def capability(self, method: str, number: int) -> bool | None:
        """None where GPUs differ, or for another method."""
        match method:
            case "is_device_capability":
                answers = {each == number for each in self.capabilities}
            case "has_device_capability":
                answers = {each >= number for each in self.capabilities}
            case "is_device_capability_family":
                answers = {each // 10 == number // 10 for each in self.capabilities}
            case _:
                return None
        return answers.pop() if len(answers) == 1 else None


def truth(test: ast.expr, known: Known) -> bool | None:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = truth(operand, known)
            return None if inner is None else not inner
        case ast.BoolOp(op=operation, values=values):
            deciding = isinstance(operation, ast.Or)
            answers = [truth(value, known) for value in values]
            if deciding in answers:
                return deciding
            return None if None in answers else not deciding
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.Call(func=function, args=arguments):
            return _asked(dotted(function), arguments, known)
        case _:
            return None


def _asked(name: tuple[str, ...] | None, arguments: list[ast.expr], known: Known) -> bool | None:
    """`current_platform.is_rocm()`, `….has_device_capability(90)`."""
    if name is None or len(name) < len(("platform", "method")) or "platform" not in name[-2]:
        return None
    if name[-1] in known.platforms:
        return known.platforms[name[-1]]
    match arguments:
        case [ast.Constant(value=int(number))]:
            return known.capability(name[-1], number)
        case _:
            return None


def when_true(test: ast.expr, find: Find) -> Guards:
    """What must have been made for the test to hold."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            return tuple(guard for value in values for guard in when_true(value, find))
        case ast.BoolOp(op=ast.Or(), values=values):
            each = [when_true(value, find) for value in values]
            if all(len(one) == 1 for one in each):
                return (frozenset().union(*(one[0] for one in each)),)
            return ()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return when_false(operand, find)
        case ast.Call(func=ast.Name(id=name), args=[_, classes]) if name in INSTANCE:
            listed = classes.elts if isinstance(classes, ast.Tuple) else [classes]
            found = [find(one) for one in listed]
            return (frozenset().union(*found),) if found and all(found) else ()
        case _:
            return ()


def when_false(test: ast.expr, find: Find) -> Guards:
    """What must have been made for the test to fail."""
    match test:
        case ast.BoolOp(op=ast.Or(), values=values):
            return tuple(guard for value in values for guard in when_false(value, find))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return when_true(operand, find)
        case _:
            return ()
