"""Whether setup.py asks for a target: its conditions evaluated for one build, never run.

Three answers: yes, no, and not understood. What is understood: the tests of the device, the nvcc
version, Python's version and the machine. Precompiled extensions are not used in a build of ours.
"""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from packaging.version import Version

from vllm_forge.records.release import ExtensionTarget
from vllm_forge.release.python_syntax import called_name, constant_string, find_function
from vllm_forge.release.source_tree import SourceTree

DEVICES: Final = {
    "_is_cuda": "cuda",
    "_is_hip": "rocm",
    "_is_cpu": "cpu",
    "_is_xpu": "xpu",
    "_is_tpu": "tpu",
    "_is_hpu": "hpu",
    "_is_neuron": "neuron",
    "_no_device": "empty",
}
PRECOMPILED: Final = frozenset({"VLLM_USE_PRECOMPILED", "USE_PRECOMPILED_EXTENSIONS"})
COMPARE: Final[dict[type[ast.cmpop], Callable[[Version, Version], bool]]] = {
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


@dataclass(frozen=True, slots=True)
class Build:
    """`nvcc` and `python` as versions, `machine` as `platform.machine()` says it."""

    device: str
    nvcc: str | None
    python: str
    machine: str


def is_asked(tree: SourceTree, target: ExtensionTarget, build: Build) -> bool | None:
    """All conditions must hold; one that is not understood leaves the answer open."""
    return all_of(
        [truth(tree, ast.parse(said, mode="eval").body, build) for said in target.condition]
    )


def all_of(answers: list[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def any_of(answers: list[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def truth(tree: SourceTree, node: ast.expr, build: Build) -> bool | None:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all_of([truth(tree, value, build) for value in values])
        case ast.BoolOp(op=ast.Or(), values=values):
            return any_of([truth(tree, value, build) for value in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            answer = truth(tree, operand, build)
            return None if answer is None else not answer
        case ast.Call(args=[]):
            return call_truth(tree, called_name(node) or "", build)
        case ast.Compare(left=left, ops=[operation], comparators=[right]):
            return compare_truth(left, operation, right, build)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {**dict.fromkeys(PRECOMPILED, False), "CUDA_HOME": build.nvcc is not None}.get(
                name
            )
        case _:
            return None


def call_truth(tree: SourceTree, name: str, build: Build) -> bool | None:
    """`_is_cuda()` asks for the device; `_build_custom_ops()` is read from its return."""
    if name in DEVICES:
        return DEVICES[name] == build.device
    module = tree.module("setup.py")
    function = find_function(module, name) if module else None
    if function is None or not isinstance(function.body[-1], ast.Return):
        return None
    value = function.body[-1].value
    return truth(tree, value, build) if value is not None else None


def compare_truth(
    left: ast.expr, operation: ast.cmpop, right: ast.expr, build: Build
) -> bool | None:
    subject = ast.unparse(left)
    if isinstance(operation, ast.In) and subject == "platform.machine()":
        return build.machine in ast.literal_eval(right)
    compare = COMPARE.get(type(operation))
    if compare is None:
        return None
    if called_name(left) == "get_nvcc_cuda_version" and isinstance(right, ast.Call):
        text = constant_string(right.args[0]) if right.args else None
        if text is None or build.nvcc is None:
            return None
        return compare(Version(".".join(build.nvcc.split(".")[:2])), Version(text))
    if subject == "sys.version_info" and isinstance(right, ast.Tuple):
        floor = ".".join(str(part) for part in ast.literal_eval(right))
        return compare(Version(build.python), Version(floor))
    return None
