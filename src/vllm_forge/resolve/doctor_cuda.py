"""What would stop a CUDA build here: driver, toolkit, architectures, host compiler."""

from collections.abc import Iterator

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.finding import Finding, Severity
from vllm_forge.records.machine import Machine
from vllm_forge.resolve.advice import gcc_to_install, install_line
from vllm_forge.resolve.cuda_facts import (
    archs_of_toolkit,
    driver_floor,
    driver_of_toolkit,
    host_compiler_limit,
    newest_cuda_of_driver,
    oldest_toolkit_for,
    parts_of,
)
from vllm_forge.resolve.gpu_arch import best_for

OLDEST_GCC = 9
"""As torch's headers want it (resolve/compiler.py)."""


def find_no_gpu(machine: Machine) -> Iterator[Finding]:
    """No GPU is no fault: the CPU target is built, or CUDA for a machine that is named."""
    if machine.gpus == ():
        yield Finding(
            "gpu-missing",
            Severity.NOTE,
            "no NVIDIA GPU: `--device auto` builds the CPU target",
            ("nvidia-smi, /proc/driver/nvidia, the PCI bus: none",),
            (
                "vllm-forge plan --device cuda --gpu-arch 8.9",
                "vllm-forge plan --machine FILE  # as doctor --json printed it elsewhere",
            ),
        )


def find_driver_trouble(machine: Machine, table: CudaTable) -> Iterator[Finding]:
    """A driver runs programs of its own CUDA major version and older, newer ones it does not."""
    if not machine.gpus:
        return
    if machine.driver is None:
        yield Finding(
            "gpu-driver-missing",
            Severity.WARNING,
            "there is an NVIDIA GPU, and no driver for it is loaded",
            tuple(f"GPU: {gpu.name}" for gpu in machine.gpus),
            ("install NVIDIA's driver for it", "docker run --gpus all …  # in a container"),
        )
        return
    version = machine.driver.version
    spoken = machine.driver.cuda or newest_cuda_of_driver(version, table).value
    for toolkit in machine.toolkits or ():
        floor = driver_floor(toolkit.version, table)
        own = driver_of_toolkit(toolkit.version, table)
        evidence = (f"driver: {version}, speaks CUDA {spoken or 'unknown'}", f"{toolkit.path}")
        if floor.value is not None and parts_of(version) < parts_of(floor.value):
            yield Finding(
                "driver-too-old",
                Severity.WARNING,
                f"CUDA {toolkit.version} programs need driver {floor.value} or newer",
                (*evidence, floor.source),
                (
                    f"update NVIDIA's driver to {floor.value} or newer",
                    *((f"vllm-forge plan --cuda {spoken}",) if spoken else ()),
                ),
            )
        elif own.value is not None and parts_of(version) < parts_of(own.value):
            yield Finding(
                "driver-older-than-toolkit",
                Severity.NOTE,
                f"CUDA {toolkit.version} came with driver {own.value}: its programs run here by "
                "minor-version compatibility, PTX of it does not",
                (*evidence, own.source),
            )


def find_missing_toolkit(machine: Machine, table: CudaTable) -> Iterator[Finding]:
    if not machine.gpus or machine.toolkits != ():
        return
    driver = machine.driver
    spoken = driver and (driver.cuda or newest_cuda_of_driver(driver.version, table).value)
    yield Finding(
        "cuda-toolkit-missing",
        Severity.WARNING,
        "no CUDA toolkit: nothing can be compiled for the GPU here",
        ("CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda*: no nvcc",),
        (f"vllm-forge plan --cuda {spoken or '12.8'}  # says where one can be had",),
    )


def find_architecture_trouble(machine: Machine, table: CudaTable) -> Iterator[Finding]:
    """A toolkit older than the GPU compiles nothing for it, and old vLLM trees do not say so."""
    for gpu in dict.fromkeys(machine.gpus or ()):
        if gpu.capability is None:
            yield Finding(
                "gpu-capability-unknown",
                Severity.WARNING,
                f"{gpu.name}: its compute capability is unknown",
                ("nvidia-smi's compute_cap and data/gpus.json do not say it",),
                ("name it: --gpu-arch 8.9",),
            )
    served: set[str] = set()
    for toolkit in machine.toolkits or ():
        archs = archs_of_toolkit(toolkit.version, table).value
        if archs is None:  # a toolkit newer than the table may serve anything
            return
        served.update(archs)
    if not served:
        return
    versions = ", ".join(toolkit.version for toolkit in machine.toolkits or ())
    for capability, name in {gpu.capability: gpu.name for gpu in machine.gpus or ()}.items():
        if capability is None or best_for(capability, served) is not None:
            continue
        oldest = oldest_toolkit_for(capability, table)
        yield Finding(
            "gpu-arch-unsupported",
            Severity.WARNING,
            f"{name} is compute capability {capability}, for which CUDA {versions} cannot compile",
            (f"first toolkit that can: {oldest.value or 'unknown'} ({oldest.source})",),
            (f"vllm-forge plan --cuda {oldest.value}",) if oldest.value else (),
        )


def find_host_compiler_trouble(machine: Machine, table: CudaTable) -> Iterator[Finding]:
    """Nvcc's headers refuse compilers newer than they know."""
    gcc = [each for each in machine.compilers or () if each.name.startswith("g++")]
    if not gcc:
        return
    for toolkit in machine.toolkits or ():
        limit = host_compiler_limit(toolkit.version, table)
        if limit.value is None:
            continue
        newest = limit.value.gcc
        if all(parts_of(each.version)[0] > newest for each in gcc):
            yield Finding(
                "host-compiler-unsupported",
                Severity.WARNING,
                f"CUDA {toolkit.version} takes g++ up to {newest}; every g++ here is newer",
                (*(f"{each.path}: {each.version}" for each in gcc), limit.source),
                _install_gcc(machine, newest),
            )


def _install_gcc(machine: Machine, newest: int) -> tuple[str, ...]:
    """A package that the distribution has, as far as that is known."""
    package = gcc_to_install(machine.offered_gcc, OLDEST_GCC, newest)
    if package is None:
        return (f"a CUDA toolkit that takes the g++ here; this distribution has none ≤ {newest}",)
    return (install_line(machine, package, f"gcc-toolset-{newest}-gcc-c++"),)
