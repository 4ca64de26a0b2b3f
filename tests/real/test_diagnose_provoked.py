"""Failures made on the spot with real tools: what they say today is still understood."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.diagnose.explain import explain
from vllm_forge.records.finding import Finding

NINJA = """\
rule cxx
  command = g++ -fPIC -shared $in -o $out $flags
build _C.abi3.so: cxx source.cpp
  flags = {flags}
"""


def run(command: list[str], cwd: Path, **variables: str) -> list[str]:
    """What a failing program says on both streams."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env={**os.environ, **variables, "LC_ALL": "C"},
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout.splitlines()


def first(lines: list[str]) -> Finding:
    findings = explain(lines)
    assert findings, "\n".join(lines)
    return findings[0]


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Compile one file under ninja, which frames the failure."""

    def compile_one(source: str, flags: str = "") -> list[str]:
        (tmp_path / "source.cpp").write_text(source)
        (tmp_path / "build.ninja").write_text(NINJA.format(flags=flags))
        return run(["ninja"], tmp_path)

    return compile_one


@pytest.mark.compile
@pytest.mark.parametrize(
    ("source", "flags", "code"),
    [
        ("#include <Python.h>\n", "", "python-headers-missing"),
        ("#include <cuda_runtime_api.h>\n", "", "cuda-home-missing"),
        ("#include <torch/csrc/stable/tensor.h>\n", "", "torch-api-missing"),
        ("int f();\n", "-std=c++99", "unknown-failure"),
        ("int x = not_there;\n", "", "unknown-failure"),
        ("int x;\n", "-L. -lcuda", "libcuda-stub-missing"),
    ],
)
def test_a_compiler_that_fails(
    build: Callable[[str, str], list[str]], source: str, flags: str, code: str
) -> None:
    finding = first(build(source, flags))
    assert finding.code == code
    assert finding.evidence


@pytest.mark.compile
def test_a_compiler_without_memory(tmp_path: Path) -> None:
    (tmp_path / "big.cpp").write_text("#include <regex>\n#include <map>\nstd::regex r;\n")
    finding = explain(limited(["g++", "-O2", "-c", "big.cpp"], tmp_path))[0]
    assert finding.code == "oom-kill"


def limited(command: list[str], cwd: Path) -> list[str]:
    """The program in 120 MB of address space."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (120 << 20, 120 << 20))

    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        preexec_fn=limit,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode != 0
    return done.stdout.splitlines()


@pytest.mark.compile
def test_nvcc_that_forgot_an_architecture(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    (tmp_path / "k.cu").write_text("__global__ void k() {}\n")
    finding = first(run([nvcc, "-arch=sm_20", "-c", "k.cu"], tmp_path))
    assert finding.code == "gpu-arch-unsupported"


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    code = "import ctypes; ctypes.CDLL('libcudart.so.99')"
    finding = first(run([sys.executable, "-c", code], tmp_path))
    assert finding.code == "cuda-library-missing"
    assert "CUDA 99" in finding.cause


@pytest.mark.parametrize(
    "command",
    [
        ["pip", "--isolated", "install", "--retries", "1", "--timeout", "1", "--no-deps"],
        ["uv", "--no-config", "pip", "install", "--dry-run", "--target", "packages"],
    ],
    ids=["pip", "uv"],
)
def test_an_installer_without_a_network(command: list[str], tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    program = shutil.which(command[0], path=path)
    if program is None:
        pytest.skip(f"no {command[0]} on PATH")
    words = [*command[1:], "--index-url", "http://127.0.0.1:9/", "torch==2.6.0"]
    finding = first(run([program, *words], tmp_path, UV_HTTP_RETRIES="0"))
    assert finding.code == "network-unreachable"


def test_git_that_cannot_reach_the_project(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/nvidia/cutlass.git"
    finding = first(run(["git", "clone", url, "cutlass"], tmp_path))
    assert finding.code == "fetch-failed"
    assert "VLLM_CUTLASS_SRC_DIR" in "\n".join(finding.fix)


def test_cmake_that_is_asked_for_more_than_it_is(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 99.0)\n")
    finding = first(run(["cmake", "-S", ".", "-B", "build"], tmp_path))
    assert finding.code == "cmake-too-old"
    assert "99.0" in finding.cause


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
@pytest.mark.compile
def test_a_full_file_system(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        (tmp_path / "big.cpp").write_text(
            '#include <string>\nstd::string s(100, 1); char x[200000] = "a";\n'
        )
        finding = first(run(["g++", "-g", "-c", "big.cpp", "-o", str(small / "big.o")], tmp_path))
    finally:
        subprocess.run(["umount", small], check=True)
    assert finding.code == "disk-full"
