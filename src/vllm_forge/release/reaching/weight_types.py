"""Which weight types the reached code hands to Marlin: it is generated as a file for each of them.

Python passes `b_q_type=scalar_types.float4_e2m1f`; C++ calls the same `kFloat4_e2m1f = kFE2M1f`
(csrc/core/scalar_type.hpp), and the generator names its files by the latter
(`kernel_bf16_kfe2m1f.cu`, since 0.12 `sm80_kernel_bfloat16_fe2m1f_bfloat16.cu`).
"""

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vllm_forge.release.reaching.python_module import PythonModule, dotted
from vllm_forge.release.reaching.python_walk import Walk
from vllm_forge.release.source_tree import SourceTree

PARAMETER: Final = "b_q_type"
"""What vllm/_custom_ops.py calls the weight's type, from 0.8 to 0.33."""
WRAPPERS: Final = "vllm._custom_ops"
TYPES: Final = "scalar_types"
HEADER: Final = "csrc/**/scalar_type.hpp"
ALIAS: Final = re.compile(r"\bk(?P<long>\w+)\s*=\s*k(?P<short>\w+)\s*;")


@dataclass(frozen=True, slots=True)
class WeightTypes:
    """`names` are all types as files are named by them (`fe2m1f`), `passed` those in use.

    `passed` maps to the place, FILE:LINE, where Python passes it.
    """

    names: frozenset[str]
    passed: Mapping[str, str]

    def of_file(self, path: str) -> str | None:
        """The weight type a generated file is for; None where its name has none.

        >>> types = WeightTypes(frozenset({"fe2m1f", "fe4m3fn", "u4"}), {})
        >>> types.of_file("csrc/moe/sm89_kernel_fe4m3fn_fe2m1f_bfloat16.cu")
        'fe2m1f'
        >>> types.of_file("csrc/kernel_fp16_ku4.cu"), types.of_file("csrc/marlin.cu")
        ('u4', None)
        """
        words = posixpath.basename(path).removesuffix(".cu").split("_")
        found = [word.removeprefix("k") for word in words if word.removeprefix("k") in self.names]
        return found[-1] if found else None  # before it stands the activations' type


def read_weight_types(tree: SourceTree, walk: Walk) -> WeightTypes | None:
    """None where one call's type is only known at run time, or nothing calls with one."""
    short = {
        found["long"].lower(): found["short"].lower()
        for path in tree.files(HEADER)
        for found in ALIAS.finditer(tree.text(path) or "")
    }
    passed: dict[str, str] = {}
    places = _positions(walk.names.module(WRAPPERS))
    for module, node in _reached(walk):
        for value in _values(node, places):
            said = dotted(value)
            if said is None or said[-2:-1] != (TYPES,) or said[-1] not in short:
                return None
            passed.setdefault(short[said[-1]], f"{module.path}:{node.lineno}")
    return WeightTypes(frozenset(short.values()), passed) if passed else None


def _positions(wrappers: PythonModule | None) -> dict[str, int]:
    """Operator's wrapper → the parameter's place."""
    found: dict[str, int] = {}
    for name, statements in (wrappers.definitions if wrappers else {}).items():
        for one in statements:
            if isinstance(one, ast.FunctionDef):
                names = [argument.arg for argument in one.args.args]
                if PARAMETER in names:
                    found[name] = names.index(PARAMETER)
    return found


def _reached(walk: Walk) -> Iterator[tuple[PythonModule, ast.expr]]:
    """Every attribute and name in reached code but the wrappers', calls as the whole call."""
    for definition in walk.reached:
        module = walk.names.module(definition.module)
        if module is None or definition.module == WRAPPERS:
            continue
        for statement in module.definitions[definition.name]:
            called = set()
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    called.add(node.func)
                    yield module, node
                elif isinstance(node, ast.Attribute | ast.Name) and node not in called:
                    yield module, node


def _values(node: ast.expr, places: Mapping[str, int]) -> Iterator[ast.expr | None]:
    """What is passed as the type; None where the operator is named without being called."""
    name = (dotted(node.func if isinstance(node, ast.Call) else node) or ("",))[-1]
    if name not in places:
        return
    if not isinstance(node, ast.Call):
        yield None
        return
    by_name = [word.value for word in node.keywords if word.arg == PARAMETER]
    place = places[name]
    spread = any(isinstance(one, ast.Starred) for one in node.args[: place + 1])
    by_place = [] if spread else node.args[place : place + 1]
    yield next(iter([*by_name, *by_place]), None)
