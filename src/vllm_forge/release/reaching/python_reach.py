"""The operators that a checkpoint's Python can come to, from vLLM's entry points down."""

import ast
from dataclasses import dataclass
from typing import Final

from vllm_forge.records.sourced import Sourced
from vllm_forge.release.python_syntax import (
    constant_string,
    find_class,
    strings_of,
)
from vllm_forge.release.quantization import REGISTRY, read_quantization
from vllm_forge.release.reaching.python_names import PACKAGE, Definition, Names
from vllm_forge.release.reaching.python_tests import Known
from vllm_forge.release.reaching.python_visit import visit
from vllm_forge.release.reaching.python_walk import Cuts, Walk
from vllm_forge.release.source_tree import SourceTree

MODELS: Final = "vllm/model_executor/models/registry.py"
PLATFORMS: Final = "vllm/platforms/interface.py"
CHOOSER: Final = "get_quantization_config"


@dataclass(frozen=True, slots=True)
class ModelClass:
    """Where the class of an architecture is: its module and name in the package."""

    module: str
    name: str


def read_model(tree: SourceTree, architecture: str) -> Sourced[ModelClass]:
    """`"LlamaForCausalLM": ("llama", "LlamaForCausalLM")` in any table of the registry."""
    module = tree.module(MODELS)
    for node in ast.walk(module) if module else ():
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None or constant_string(key) != architecture:
                continue
            match strings_of(value):
                case (stem, name):
                    full = stem if stem.startswith(f"{PACKAGE}.") else module_of_model(stem)
                    return Sourced(ModelClass(full, name), f"{MODELS}:{key.lineno}")
                case _:
                    continue
    return Sourced(None, f"looked for {architecture} in {MODELS}")


def module_of_model(stem: str) -> str:
    """Most models lie in one package, and the registry names them by what follows."""
    return f"{PACKAGE}.model_executor.models.{stem}"


def read_platforms(tree: SourceTree, device: str) -> dict[str, bool]:
    """`is_rocm` and its like: one for each member of PlatformEnum."""
    module = tree.module(PLATFORMS)
    enumeration = find_class(module, "PlatformEnum") if module else None
    members = [
        target.id.lower()
        for statement in (enumeration.body if enumeration else ())
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
    answers = {f"is_{member}": member == device for member in members}
    return {**answers, "is_cuda_alike": device in {"cuda", "rocm"}} if answers else {}


def read_cuts(tree: SourceTree, device: str, method: str | None) -> Cuts:
    """What the device and the quantization method leave out."""
    entries = read_quantization(tree)
    own = {entry.config_class.value for entry in entries if entry.name == method}
    classes = {entry.config_class.value for entry in entries if entry.config_class.value}
    registry = REGISTRY.removesuffix("/__init__.py").replace("/", ".")
    others = [
        path.removesuffix(".py").replace("/", ".")
        for path in tree.files(f"{PACKAGE}/platforms/*.py")
        if path.rpartition("/")[2] not in {"__init__.py", "interface.py", f"{device}.py"}
    ]
    return Cuts(
        silent=frozenset({MODELS.removesuffix(".py").replace("/", ".")}),
        chooser=Definition(registry, CHOOSER),
        not_made=frozenset(classes - own) if None not in own else frozenset(),
        other_platforms=tuple(f"{other}." for other in others),
    )


def walk_package(
    tree: SourceTree,
    models: tuple[ModelClass, ...],
    *,
    device: str,
    capabilities: tuple[int, ...],
    method: str | None,
) -> Walk:
    """From the package itself, everything below vllm/entrypoints, and the models' classes."""
    known = Known(read_platforms(tree, device), capabilities)
    walk = Walk(Names(tree), known, read_cuts(tree, device, method), visit)
    for module in walk.names.inside(f"{PACKAGE}.entrypoints"):
        walk.reach_module(module, "an entry point")
    walk.reach_module(PACKAGE, "the package")
    for model in models:
        walk.reach(Definition(model.module, model.name), MODELS)
    walk.run()
    return walk


__all__ = ["MODELS", "ModelClass", "read_model", "walk_package"]
