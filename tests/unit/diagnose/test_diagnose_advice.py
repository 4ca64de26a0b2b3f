"""The same log on another machine gets another act."""

import json
from pathlib import Path

import pytest

from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.signatures.gpu_architectures import FIRST_TOOLKIT, LAST_OF_OLD, dotted
from vllm_forge.diagnose.signatures.torch_names import TRITON_OF_TORCH
from vllm_forge.records.machine import (
    Compiler,
    Cpu,
    Gpu,
    Machine,
    Memory,
    OperatingSystem,
    Toolkit,
)

DATA = Path(__file__).parents[3] / "src" / "vllm_forge" / "data"
GIB = 1 << 30
KILLED = [
    "FAILED: a.cu.o",
    "nvcc -c a.cu",
    "nvcc error   : 'cicc' died due to signal 9 (Kill signal)",
]
HEADERS = ["/env/include/python3.12/x.h:1:10: fatal error: Python.h: No such file or directory"]


def fix(lines: list[str], machine: Machine) -> str:
    return "\n".join(explain(lines, machine=machine)[0].fix)


@pytest.mark.parametrize(
    ("total", "limit", "cores", "jobs"),
    [(64, None, 24, 10), (64, 16, 24, 2), (512, None, 8, 8), (16, None, 24, 2), (6, None, 4, 1)],
)
def test_jobs_fit_memory_and_cores(total: int, limit: int | None, cores: int, jobs: int) -> None:
    memory = Memory(total_bytes=total * GIB, limit_bytes=limit * GIB if limit else None)
    assert f"MAX_JOBS={jobs} " in fix(KILLED, Machine(memory=memory, cpu=Cpu(cores=cores)))


def test_an_unknown_machine_gets_two_jobs_as_in_the_issue() -> None:
    assert "MAX_JOBS=2 " in fix(KILLED, Machine())


def test_packages_are_those_of_the_distribution() -> None:
    assert "apt-get install python3.12-dev" in fix(HEADERS, Machine(os=OperatingSystem("ubuntu")))
    assert "dnf install python3.12-devel" in fix(HEADERS, Machine(os=OperatingSystem("rocky")))


def test_the_toolkit_that_is_there_is_named() -> None:
    toolkits = (Toolkit("12.4", "/opt/cuda-12.4"), Toolkit("12.8", "/opt/cuda-12.8"))
    machine = Machine(toolkits=toolkits, gpus=(Gpu("NVIDIA B200", "10.0"),))
    said = fix(["nvcc fatal   : Unsupported gpu architecture 'compute_100'"], machine)
    assert said.startswith("export CUDA_HOME=/opt/cuda-12.8")
    mismatch = [
        "RuntimeError: ",
        "The detected CUDA version (12.8) mismatches the version that was used to compile",
        "PyTorch (12.4). Please make sure to use the same CUDA versions.",
    ]
    assert fix(mismatch, machine).startswith("export CUDA_HOME=/opt/cuda-12.4 ")


def test_an_architecture_that_is_not_of_this_machine_is_left_out() -> None:
    machine = Machine(gpus=(Gpu("NVIDIA L40S", "8.9"),))
    said = fix(["nvcc fatal   : Unsupported gpu architecture 'compute_120'"], machine)
    assert said.startswith('export TORCH_CUDA_ARCH_LIST="8.9"')


def test_the_host_compiler_that_fits_is_found() -> None:
    compilers = (
        Compiler("g++", "13.2.0", "/usr/bin/g++-13"),
        Compiler("g++-11", "11.4.0", "/usr/bin/g++-11"),
        Compiler("g++-10", "10.5.0", "/usr/bin/g++-10"),
    )
    line = (
        "/usr/local/cuda/include/crt/host_config.h:132:2: error: #error -- unsupported GNU version!"
        " gcc versions later than 12 are not supported!"
    )
    said = fix([line], Machine(compilers=compilers))
    assert "CXX=/usr/bin/g++-11" in said
    assert "install" not in said


def test_no_gpu_means_the_cpu_target() -> None:
    lines = ["OSError: CUDA_HOME environment variable is not set."]
    assert "VLLM_TARGET_DEVICE=cpu" in fix(lines, Machine(toolkits=(), gpus=()))
    toolkit = Machine(toolkits=(Toolkit("12.4", "/opt/cuda"),))
    assert fix(lines, toolkit).startswith("export CUDA_HOME=/opt/cuda ")


def test_the_plan_says_which_torch() -> None:
    lines = [
        "RuntimeError: The detected CUDA version (12.4) mismatches the version that was used to",
        "compile PyTorch (11.8).",
    ]
    plan = {"choices": {"torch": {"value": "2.6.0", "because": []}}}
    (finding,) = explain(lines, plan=plan)
    assert "uv pip install torch==2.6.0 --torch-backend=cu124" in finding.fix[1]


def test_architectures_agree_with_the_table_read_from_the_toolkits() -> None:
    toolkits = json.loads((DATA / "cuda.json").read_text())["toolkits"]
    for arch, first in FIRST_TOOLKIT.items():
        having = [kit["version"] for kit in toolkits if dotted(arch) in kit["architectures"]]
        assert having, arch
        assert having[0] == first or float(first) < float(toolkits[0]["version"]), arch
    for arch, last in LAST_OF_OLD.items():
        having = [kit["version"] for kit in toolkits if dotted(arch) in kit["architectures"]]
        assert having[-1] == last, arch


def test_tritons_agree_with_what_torch_requires() -> None:
    known = {
        each["version"]: each["requires"]
        for each in json.loads((DATA / "torch.json").read_text())["torch"]
    }
    for torch, triton in TRITON_OF_TORCH.items():
        required = "".join(line for line in known[torch] if line.startswith("triton"))
        assert f"=={triton}" in required.replace(" ", ""), torch
