"""The least versions of the tools a tree demands."""

import ast
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from vllm_forge.records.sourced import Sourced
from vllm_forge.release.cmake_syntax import Command
from vllm_forge.release.python_syntax import assignments_at, constant_string
from vllm_forge.release.requirements import read_build_requirements
from vllm_forge.release.source_tree import SourceTree, bad_tree

FLOOR_COMPARISONS: Final = frozenset({"VERSION_LESS", "VERSION_GREATER_EQUAL"})
CPU_EXTENSION: Final = "cmake/cpu_extension.cmake"


def read_cmake_floor(tree: SourceTree) -> Sourced[str]:
    """`cmake_minimum_required(VERSION …)`."""
    for command in tree.commands("CMakeLists.txt"):
        words = command.words()
        if command.name == "cmake_minimum_required" and words[:1] == ("VERSION",):
            return Sourced(words[1].partition("...")[0], f"CMakeLists.txt:{command.line}")
    return Sourced(None, "looked for cmake_minimum_required in CMakeLists.txt")


def read_gcc_floor(tree: SourceTree) -> Sourced[str]:
    """The highest `CMAKE_CXX_COMPILER_VERSION VERSION_LESS x` that ends in FATAL_ERROR.

    Unknown where CMakeLists.txt refuses no g++ (up to 0.22): then torch's headers and the CUDA
    toolkit decide.
    """
    return highest_floor(tree, ("CMakeLists.txt",))


def read_cpu_gcc_floor(tree: SourceTree) -> Sourced[str]:
    """The same for the CPU target; 0.20 on writes it as NOT … VERSION_GREATER_EQUAL 12.3."""
    return highest_floor(tree, (CPU_EXTENSION, "CMakeLists.txt"), without="VLLM_GPU_LANG")


def read_rust_floor(tree: SourceTree) -> Sourced[str]:
    """The channel of rust-toolchain.toml, else `rust-version`; rust/ is there from 0.22 on."""
    for path in ("rust-toolchain.toml", "rust/rust-toolchain.toml", "rust/Cargo.toml"):
        document = read_toml(tree, path)
        channel = document.get("toolchain", {}).get("channel")
        declared = document.get("workspace", {}).get("package", {}).get("rust-version")
        if channel or declared:
            return Sourced(channel or declared, path)
    return Sourced(None, "looked in rust-toolchain.toml and rust/Cargo.toml")


def read_toml(tree: SourceTree, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(tree.text(path) or "")
    except tomllib.TOMLDecodeError as error:
        raise bad_tree(f"{tree.root / path} is not TOML: {error}") from error


def read_setuptools(tree: SourceTree) -> Sourced[str]:
    """The range of pyproject's build-system; outside it an unisolated build is on its own."""
    for line in read_build_requirements(tree):
        requirement = Requirement(line.requirement)
        if requirement.name == "setuptools":
            return Sourced(str(requirement.specifier), line.source)
    return Sourced(None, "looked in pyproject.toml [build-system].requires")


def read_main_cuda(tree: SourceTree) -> Sourced[str]:
    """`MAIN_CUDA_VERSION` of setup.py, from 0.11.2 on the default of VLLM_MAIN_CUDA_VERSION."""
    for path, name in (
        ("setup.py", "MAIN_CUDA_VERSION"),
        ("vllm/envs.py", "VLLM_MAIN_CUDA_VERSION"),
    ):
        module = tree.module(path)
        for statement in module.body if module else ():
            # vllm/envs.py declares its variables with their defaults under `if TYPE_CHECKING`.
            inside = statement.body if isinstance(statement, ast.If) else [statement]
            for found, value, line in (a for inner in inside for a in assignments_at(inner)):
                text = constant_string(value)
                if found == name and text is not None:
                    return Sourced(text, f"{path}:{line}")
    return Sourced(None, "looked in setup.py and vllm/envs.py")


def highest_floor(tree: SourceTree, paths: tuple[str, ...], without: str = "") -> Sourced[str]:
    """Conditions that name `without` are another device's."""
    floors = [
        (floor, f"{path}:{condition.line}")
        for path in paths
        for condition in fatal_conditions(tree.commands(path))
        if without not in condition.words()
        for floor in compiler_floors(condition)
    ]
    if not floors:
        return Sourced(None, f"no g++ version is refused in {' and '.join(paths)}")
    floor, where = max(floors, key=lambda found: Version(found[0]))
    return Sourced(floor, where)


def fatal_conditions(commands: tuple[Command, ...]) -> Iterator[Command]:
    """Every `if` whose first consequence is FATAL_ERROR."""
    for condition, consequence in pairwise(commands):
        fatal = consequence.name == "message" and consequence.words()[:1] == ("FATAL_ERROR",)
        if condition.name in {"if", "elseif"} and fatal:
            yield condition


def compiler_floors(condition: Command) -> Iterator[str]:
    """`CMAKE_CXX_COMPILER_VERSION VERSION_LESS V`, or NOT … VERSION_GREATER_EQUAL V."""
    words = condition.words()
    for name, comparison, version in zip(words, words[1:], words[2:], strict=False):
        if name == "CMAKE_CXX_COMPILER_VERSION" and comparison in FLOOR_COMPARISONS:
            try:
                yield str(Version(version))
            except InvalidVersion:
                continue
