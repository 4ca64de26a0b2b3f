"""Where Python decides which GPU a target's kernels run on.

The functions have moved between files with almost every release, so each is looked for by name:
first where it has been, then everywhere below vllm/. Only tests of the device's capability are
read; a gate whose tests are of another form stays unknown.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vllm_forge.records.release import RuntimeGate
from vllm_forge.records.sourced import Sourced
from vllm_forge.release.python_syntax import FunctionNode, called_name, find_class, find_function
from vllm_forge.release.source_tree import SourceTree


@dataclass(frozen=True, slots=True)
class Rule:
    """`functions` are alternatives of one gate: what any of them lets through is dispatched.

    `chooses` restricts the reading to the tests under which that number is assigned. `owner` is
    the class whose method is meant. `paths` is where the functions have been.
    """

    subject: str
    functions: tuple[str, ...]
    paths: tuple[str, ...]
    chooses: int | None = None
    owner: str | None = None


FLASH_ATTENTION: Final = (
    "vllm/v1/attention/backends/fa_utils.py",
    "vllm/attention/utils/fa_utils.py",
    "vllm/attention/backends/utils.py",
)
FLASH_MLA: Final = ("vllm/v1/attention/ops/flashmla.py", "vllm/attention/ops/flashmla.py")
FLASH_MLA_GATES: Final = (
    "is_flashmla_supported",
    "is_flashmla_dense_supported",
    "is_flashmla_sparse_supported",
)
MACHETE: Final = (
    "vllm/model_executor/kernels/linear/mixed_precision/machete.py",
    "vllm/model_executor/layers/quantization/kernels/mixed_precision/machete.py",
)

RULES: Final = (
    Rule("_vllm_fa3_C", ("get_flash_attn_version",), FLASH_ATTENTION, chooses=3),
    Rule("_vllm_fa4_cutedsl_C", ("get_flash_attn_version",), FLASH_ATTENTION, chooses=4),
    Rule("_flashmla_C", FLASH_MLA_GATES, FLASH_MLA),
    Rule("_flashmla_extension_C", FLASH_MLA_GATES, FLASH_MLA),
    Rule("_deep_gemm_C", ("support_deep_gemm",), ("vllm/platforms/cuda.py",)),
    Rule("_flashkda_C", ("is_flashkda_supported",), ("vllm/models/kimi_k3/nvidia/kda.py",)),
    Rule("_deepselect_C", ("_has_deep_select",), ("vllm/model_executor/layers/indexer_topk.py",)),
    Rule(
        "_qutlass_C",
        ("get_min_capability",),
        ("vllm/model_executor/layers/quantization/fp_quant.py",),
        owner="FPQuantConfig",
    ),
    Rule(
        "MACHETE_ARCHS",
        ("can_implement", "get_min_capability"),
        MACHETE,
        owner="MacheteLinearKernel",
    ),
)

OVERRIDES: Final = {
    "VLLM_FLASH_ATTN_VERSION": "VLLM_FLASH_ATTN_VERSION",
    "flash_attn_version": "attention_config.flash_attn_version",
}


@dataclass(frozen=True, slots=True)
class Test:
    """One test of the capability, as found."""

    capabilities: tuple[str, ...]
    line: int


def read_gates(tree: SourceTree, targets: frozenset[str]) -> tuple[RuntimeGate, ...]:
    """Gates of the targets this tree has, and of kernel groups."""
    return tuple(
        read_gate(tree, rule)
        for rule in RULES
        if rule.subject in targets or rule.subject.endswith("_ARCHS")
    )


def read_gate(tree: SourceTree, rule: Rule) -> RuntimeGate:
    """The first path that has a function of the rule and a test in it decides."""
    for path in paths_of(tree, rule):
        module = tree.module(path)
        tests = list(tests_of(module, rule)) if module else []
        if module and tests:
            capabilities = dict.fromkeys(c for test in tests for c in test.capabilities)
            source = Sourced(tuple(capabilities), f"{path}:{tests[0].line}")
            line = (tree.text(path) or "").splitlines()[tests[0].line - 1]
            return RuntimeGate(rule.subject, source, line.strip(), override_of(module, rule))
    where = f"looked for {' or '.join(rule.functions)} in vllm/**/*.py"
    return RuntimeGate(rule.subject, Sourced(None, where), "")


def paths_of(tree: SourceTree, rule: Rule) -> Iterator[str]:
    """Where it has been, then every file that names what is looked for."""
    yield from (path for path in rule.paths if tree.text(path) is not None)
    names = (f"class {rule.owner}",) if rule.owner else tuple(f"def {n}(" for n in rule.functions)
    for path in tree.files("vllm/**/*.py"):
        text = tree.text(path) or ""
        if path not in rule.paths and any(name in text for name in names):
            yield path


def tests_of(module: ast.Module, rule: Rule) -> Iterator[Test]:
    inside = find_class(module, rule.owner) if rule.owner else module
    for name in rule.functions:
        function = find_function(inside, name) if inside else None
        found = list(tests_in(function, rule)) if function else []
        if inside and not function:
            found = list(tests_assigned(inside, name))
        yield from found
        if found and rule.owner:
            return


def tests_in(function: FunctionNode, rule: Rule) -> Iterator[Test]:
    if rule.chooses is None:
        yield from capability_tests(function)
        return
    for test in tests_choosing(function.body, rule.chooses, ()):
        yield from capability_tests(test)


def tests_assigned(inside: ast.AST, name: str) -> Iterator[Test]:
    """`self.NAME = …` instead of a function of that name."""
    for node in ast.walk(inside):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"self.{name}":
            yield from capability_tests(node.value)


def tests_choosing(
    body: list[ast.stmt], number: int, around: tuple[ast.expr, ...]
) -> Iterator[ast.expr]:
    """The `if` tests around every `name = NUMBER` and `name = NUMBER if test else …`."""
    for statement in body:
        match statement:
            case ast.Assign(value=ast.Constant(value=value)) if value == number:
                yield from around
            case ast.Assign(value=ast.IfExp(test=test, body=ast.Constant(value=value))):
                if value == number:
                    yield from (*around, test)
            case ast.If(test=test, body=inner, orelse=other):
                yield from tests_choosing(inner, number, (*around, test))
                yield from tests_choosing(other, number, around)
            case ast.Try(body=inner) | ast.With(body=inner):
                yield from tests_choosing(inner, number, around)
            case _:
                continue


def capability_tests(inside: ast.AST) -> Iterator[Test]:
    """`is_device_capability(90)`, `…_family(100)`, `.major == 9`, `[0] != 9`, `return 90`."""
    for node in ast.walk(inside):
        match node:
            case ast.Call(args=[ast.Constant(value=int(number))]):
                form = FORMS.get(called_name(node) or "")
                if form:
                    yield Test((form.format(number // 10, number % 10),), node.lineno)
            case ast.Compare(
                left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=int(n))]
            ) if is_major(left):
                yield Test((f"{n}.x",), node.lineno)
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=elements)]) if (
                is_major(left)
            ):
                yield Test(tuple(f"{ast.unparse(element)}.x" for element in elements), node.lineno)
            case ast.Return(value=ast.Constant(value=int(number))) if not isinstance(number, bool):
                yield Test((f">={number // 10}.{number % 10}",), node.lineno)
            case _:
                continue


FORMS: Final = {
    "is_device_capability": "{}.{}",
    "is_device_capability_family": "{}.x",
    "has_device_capability": ">={}.{}",
}


def is_major(node: ast.expr) -> bool:
    """`capability.major` or `get_device_capability()[0]`."""
    match node:
        case ast.Attribute(attr="major"):
            return True
        case ast.Subscript(value=value, slice=ast.Constant(value=0)):
            return "capability" in ast.unparse(value)
        case _:
            return False


def override_of(module: ast.Module, rule: Rule) -> str | None:
    """The setting that a choosing function reads before it settles."""
    function = find_function(module, rule.functions[0]) if rule.chooses else None
    attributes = {
        node.attr
        for node in ast.walk(function or ast.Module([], []))
        if isinstance(node, ast.Attribute)
    }
    return next((said for name, said in OVERRIDES.items() if name in attributes), None)
