"""Judge the `if` tests of a tree's setup.py for a planned build, without running any of it."""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from vllm_forge.records.wishes import Device


@dataclass(frozen=True, slots=True)
class Situation:
    """What setup.py's own questions would be answered. `nvcc` is None where there is none."""

    device: Device
    arch: str
    nvcc: str | None = None


def judge(condition: str, situation: Situation) -> bool | None:
    """True, False, or None where the test asks something this does not know.

    >>> judge("_is_cuda() or _is_hip()", Situation(Device.CPU, "x86_64"))
    False
    >>> judge("CUDA_HOME and get_nvcc_cuda_version() >= Version('12.3')",
    ...       Situation(Device.CUDA, "x86_64", "12.4.131"))
    True
    """
    try:
        test = ast.parse(condition, mode="eval").body
    except SyntaxError:
        return None
    return _truth(test, situation)


def _truth(node: ast.expr, situation: Situation) -> bool | None:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return _all([_truth(value, situation) for value in values])
        case ast.BoolOp(op=ast.Or(), values=values):
            told = _all([_not(_truth(value, situation)) for value in values])
            return _not(told)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _not(_truth(operand, situation))
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return _compare(_value(left, situation), sign, _value(right, situation))
        case _:
            value = _value(node, situation)
            return value if isinstance(value, bool) else None


def _value(node: ast.expr, situation: Situation) -> object:  # noqa: PLR0911 -- a table of answers
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return tuple(_value(element, situation) for element in elements)
        case ast.Call(func=ast.Name(id="Version"), args=[ast.Constant(value=str(text))]):
            return _version(text)
        case ast.Call(func=ast.Name(id="get_nvcc_cuda_version")):
            return _version(situation.nvcc) if situation.nvcc else None
        case ast.Call(func=ast.Name(id=question), args=[]):
            return {
                "_is_cuda": situation.device is Device.CUDA,
                "_is_cpu": situation.device is Device.CPU,
                "_build_custom_ops": True,
            }.get(question, False if question in OTHER_PLATFORMS else None)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="platform"), attr="machine")):
            return situation.arch
        case ast.Name(id="CUDA_HOME"):
            return situation.nvcc is not None
        case ast.Name(id="USE_PRECOMPILED_EXTENSIONS"):
            return False
        case ast.Attribute(value=ast.Name(id="envs"), attr="VLLM_USE_PRECOMPILED"):
            return False
        case _:
            return None


OTHER_PLATFORMS = frozenset(
    {"_is_hip", "_is_xpu", "_is_tpu", "_is_neuron", "_is_hpu", "_no_device"}
)

ORDERINGS: dict[type[ast.cmpop], Callable[[Version, Version], bool]] = {
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _compare(left: object, sign: ast.cmpop, right: object) -> bool | None:
    if isinstance(right, tuple) and isinstance(sign, ast.In | ast.NotIn):
        return None if left is None else (left in right) is isinstance(sign, ast.In)
    ordering = ORDERINGS.get(type(sign))
    if ordering is None or not isinstance(left, Version) or not isinstance(right, Version):
        return None
    return ordering(left, right)


def _all(told: list[bool | None]) -> bool | None:
    if False in told:
        return False
    return None if None in told else True


def _not(told: bool | None) -> bool | None:  # noqa: FBT001 -- three-valued negation
    return None if told is None else not told


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
