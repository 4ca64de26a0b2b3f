"""One unpacked tree → its Release."""

from pathlib import Path

from vllm_forge.records.release import Release
from vllm_forge.release.environment import read_environment
from vllm_forge.release.floors import (
    read_cmake_floor,
    read_cpu_gcc_floor,
    read_gcc_floor,
    read_main_cuda,
    read_rust_floor,
    read_setuptools,
)
from vllm_forge.release.gates import read_gates
from vllm_forge.release.identity import read_python_range, read_version
from vllm_forge.release.modelopt import read_modelopt
from vllm_forge.release.projects import read_projects
from vllm_forge.release.quantization import read_quantization
from vllm_forge.release.requirements import (
    read_build_environment,
    read_build_requirements,
    read_requirements,
    read_torch_pins,
)
from vllm_forge.release.source_tree import SourceTree
from vllm_forge.release.targets import read_targets


def read_release(tree: Path) -> Release:
    """Every fact of one tree, without importing vLLM or torch.

    Raises:
        Problem: exit 5 naming the path, when `tree` is not a whole vLLM source tree.
    """
    return describe_tree(SourceTree(tree))


def describe_tree(source: SourceTree) -> Release:
    """The same for a tree that is open already."""
    targets = read_targets(source)
    environment = read_environment(source)
    return Release(
        version=read_version(source),
        python=read_python_range(source),
        torch=read_torch_pins(source),
        build_requirements=read_build_requirements(source),
        requirements=read_requirements(source),
        targets=targets,
        quantization=read_quantization(source),
        modelopt=read_modelopt(source),
        gcc_floor=read_gcc_floor(source),
        cmake_floor=read_cmake_floor(source),
        cpu_gcc_floor=read_cpu_gcc_floor(source),
        rust_floor=read_rust_floor(source),
        setuptools=read_setuptools(source),
        main_cuda=read_main_cuda(source),
        build_environment=read_build_environment(source),
        environment=environment,
        projects=read_projects(source, environment),
        gates=read_gates(source, frozenset(target.name for target in targets)),
    )
