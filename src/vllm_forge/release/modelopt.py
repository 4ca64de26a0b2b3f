"""How a tree reads NVIDIA ModelOpt checkpoints, from the functions that decide it.

They have moved between files, so each is looked for by name in every file that has held it; what
they do is read from their syntax tree. The rows of facts/vllm.md, sections 2.2-2.5, are the check.
"""

import ast
from typing import Final

from vllm_forge.records.release import ModelOptReading
from vllm_forge.records.sourced import Sourced
from vllm_forge.release.python_syntax import (
    FunctionNode,
    called_name,
    constant_string,
    find_class,
    find_function,
    find_method,
    strings_named,
    strings_of,
    strings_within,
)
from vllm_forge.release.source_tree import SourceTree

MODELOPT: Final = "vllm/model_executor/layers/quantization/modelopt.py"
HF_CONFIG: Final = "vllm/transformers_utils/config.py"
WEIGHTS: Final = "vllm/model_executor/model_loader/weight_utils.py"
CONFIGS: Final = ("vllm/config.py", "vllm/config/__init__.py", "vllm/config/model.py")
CLASSES: Final = ("ModelOptFp8Config", "ModelOptNvFp4Config")
PATCHES: Final = (*CONFIGS, "vllm/transformers_utils/model_arch_config_convertor.py")


def read_modelopt(tree: SourceTree) -> ModelOptReading:
    """Every field by itself: one that cannot be read does not hide the others."""
    return ModelOptReading(
        algorithms=read_algorithms(tree, "QUANT_ALGOS"),
        nested_algorithms=read_nested_algorithms(tree),
        upper_cases_algorithm=read_upper_cases(tree),
        reads_hf_quant_config=read_reads_hf_quant_config(tree),
        accepts_flat=read_accepts_flat(tree),
        reads_ignore=read_reads_ignore(tree),
        overrides_method=read_overrides_method(tree),
        empty_method=read_empty_method(tree),
        mixed_reads_hf_quant_config=read_mixed_falls_through(tree),
        nested_required_keys=read_nested_required_keys(tree),
    )


def read_algorithms(tree: SourceTree, name: str) -> Sourced[tuple[str, ...]]:
    module = tree.module(MODELOPT)
    found = strings_named(module, name) if module else None
    if found is None:
        return Sourced(None, f"looked for {name} in {MODELOPT}")
    return Sourced(found[0], f"{MODELOPT}:{found[1]}")


def first_function(
    tree: SourceTree, paths: tuple[str, ...], *names: str
) -> tuple[str, FunctionNode] | None:
    """The first of these functions in the first file that defines one."""
    for path in paths:
        text = tree.text(path)
        for name in names:
            if text is None or f"def {name}(" not in text:
                continue
            module = tree.module(path)
            found = find_function(module, name) if module else None
            if found is not None:
                return path, found
    return None


def methods_named(tree: SourceTree, name: str) -> list[FunctionNode]:
    """That method of the FP8 and the NVFP4 class, own or inherited within modelopt.py."""
    module = tree.module(MODELOPT)
    found = [inherited_method(module, owner, name) for owner in CLASSES] if module else []
    return list(dict.fromkeys(method for method in found if method is not None))


def inherited_method(module: ast.Module, owner: str, name: str) -> FunctionNode | None:
    node = find_class(module, owner)
    if node is None:
        return None
    own = find_method(node, name)
    bases = (base.id for base in node.bases if isinstance(base, ast.Name))
    inherited = (inherited_method(module, base, name) for base in bases)
    return own or next((method for method in inherited if method is not None), None)


def read_nested_algorithms(tree: SourceTree) -> Sourced[tuple[str, ...]]:
    """The producer patch: `quant_algo == "NVFP4"` → `quant_cfg["quant_method"] = "modelopt_fp4"`.

    A tree whose parser of the config has no such patch (0.8, 0.9) fills in nothing: `()`.
    """
    found = first_function(
        tree, PATCHES[::-1], "_normalize_quantization_config", "_parse_quant_hf_config"
    )
    if found is None:
        return Sourced(None, f"looked for the ModelOpt producer patch in {', '.join(PATCHES)}")
    path, function = found
    algorithms: list[str] = []
    for node in ast.walk(function):
        if isinstance(node, ast.If) and sets_quant_method(node.body):
            algorithms += compared_strings(node.test)
    return Sourced(tuple(algorithms), f"{path}:{function.lineno}")


def sets_quant_method(body: list[ast.stmt]) -> bool:
    """The body assigns a constant `…["quant_method"] = "modelopt…"` by itself, not deeper."""
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
            key = constant_string(statement.targets[0].slice)
            value = constant_string(statement.value) or ""
            if key == "quant_method" and value.startswith("modelopt"):
                return True
    return False


def compared_strings(test: ast.expr) -> tuple[str, ...]:
    """`x == "FP8"` → FP8; `x in {"FP8", …}` → each."""
    if not isinstance(test, ast.Compare):
        return ()
    against = test.comparators[0]
    text = constant_string(against)
    return (text,) if text is not None else strings_of(against) or ()


def read_upper_cases(tree: SourceTree) -> Sourced[bool]:
    """`from_config` assigns `….upper()` to the name it then compares with QUANT_ALGOS."""
    readers = methods_named(tree, "from_config")
    compared = {
        node.left.id: reader
        for reader in readers
        for node in ast.walk(reader)
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and any(
            isinstance(side, ast.Name) and side.id == "QUANT_ALGOS" for side in node.comparators
        )
    }
    if not compared:
        return Sourced(None, f"looked for a comparison with QUANT_ALGOS in {MODELOPT}")
    for name, reader in compared.items():
        for node in ast.walk(reader):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == name
                and called_name(node.value) == "upper"
            ):
                return Sourced(value=True, source=f"{MODELOPT}:{node.lineno}")
    return Sourced(value=False, source=f"{MODELOPT}:{next(iter(compared.values())).lineno}")


def read_reads_hf_quant_config(tree: SourceTree) -> Sourced[bool]:
    found = first_function(tree, (HF_CONFIG,), "get_config")
    if found is None:
        return Sourced(None, f"looked for get_config in {HF_CONFIG}")
    path, function = found
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            for argument in node.args:
                if constant_string(argument) == "hf_quant_config.json":
                    return Sourced(value=True, source=f"{path}:{argument.lineno}")
    return Sourced(value=False, source=f"{path}:{function.lineno}")


def flat_branches(tree: SourceTree) -> list[tuple[FunctionNode, ast.If | None]]:
    """Each `from_config` that looks at the key `quantization`, with its `if` on that key."""
    found: list[tuple[FunctionNode, ast.If | None]] = []
    for reader in methods_named(tree, "from_config"):
        if "quantization" in strings_within(reader):
            branch = next(
                (
                    node
                    for node in ast.walk(reader)
                    if isinstance(node, ast.If)
                    and node.orelse
                    and isinstance(node.test, ast.Compare)
                    and constant_string(node.test.left) == "quantization"
                ),
                None,
            )
            found.append((reader, branch))
    return found


def read_accepts_flat(tree: SourceTree) -> Sourced[bool]:
    """`from_config` has a branch for a config without the key `quantization`."""
    found = flat_branches(tree)
    if not found:
        return Sourced(None, f"looked for the key quantization in from_config of {MODELOPT}")
    accepts = all(branch is not None for _, branch in found)
    return Sourced(value=accepts, source=f"{MODELOPT}:{found[0][0].lineno}")


def read_reads_ignore(tree: SourceTree) -> Sourced[bool]:
    """That branch reads the key `ignore`."""
    found = flat_branches(tree)
    if not found:
        return Sourced(None, f"looked for the key ignore in from_config of {MODELOPT}")
    reads = all(
        branch is not None
        and any("ignore" in strings_within(statement) for statement in branch.orelse)
        for _, branch in found
    )
    return Sourced(value=reads, source=f"{MODELOPT}:{found[0][0].lineno}")


def read_overrides_method(tree: SourceTree) -> Sourced[bool]:
    if tree.text(MODELOPT) is None:
        return Sourced(None, f"looked for override_quantization_method in {MODELOPT}")
    hooks = methods_named(tree, "override_quantization_method")
    return Sourced(value=bool(hooks), source=f"{MODELOPT}:{hooks[0].lineno if hooks else 1}")


def read_empty_method(tree: SourceTree) -> Sourced[str]:
    """`quant_method if quant_method != "" else None` makes an empty one *unquantized* (0.11.2 on).

    Without it the empty name goes on to the registry: «Unknown quantization method».
    """
    found = first_function(tree, CONFIGS[::-1], "_verify_quantization")
    if found is None:
        return Sourced(None, f"looked for _verify_quantization in {', '.join(CONFIGS)}")
    path, function = found
    for node in ast.walk(function):
        if isinstance(node, ast.IfExp) and compared_strings(node.test) == ("",):
            return Sourced("unquantized", f"{path}:{node.lineno}")
    return Sourced("unknown-method", f"{path}:{function.lineno}")


def read_mixed_falls_through(tree: SourceTree) -> Sourced[bool]:
    """`get_quant_config` tests for `modelopt_mixed` without `quantized_layers` (0.17 on)."""
    found = first_function(tree, (WEIGHTS,), "get_quant_config")
    if found is None:
        return Sourced(None, f"looked for get_quant_config in {WEIGHTS}")
    path, function = found
    for node in ast.walk(function):
        if isinstance(node, ast.If) and {"modelopt_mixed", "quantized_layers"} <= strings_within(
            node.test
        ):
            return Sourced(value=True, source=f"{path}:{node.lineno}")
    return Sourced(value=False, source=f"{path}:{function.lineno}")


def read_nested_required_keys(tree: SourceTree) -> Sourced[tuple[str, ...]]:
    """`required_fields = […]` of the NVFP4 class; in 0.8 the keys it subscripts and tests."""
    module = tree.module(MODELOPT)
    owner = find_class(module, "ModelOptNvFp4Config") if module else None
    for name in ("_from_config", "from_config"):
        method = find_method(owner, name) if owner else None
        keys = required_keys_of(method) if method else None
        if method and keys:
            return Sourced(keys, f"{MODELOPT}:{method.lineno}")
    return Sourced(None, f"looked for required_fields in ModelOptNvFp4Config of {MODELOPT}")


def required_keys_of(method: FunctionNode) -> tuple[str, ...] | None:
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "required_fields":
            return strings_of(node.value)
    subscripts = [
        constant_string(node.slice)
        for node in ast.walk(method)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "quant_config"
    ]
    return tuple(dict.fromkeys(key for key in subscripts if key and key != "quant_algo")) or None
