"""All decisions of one plan, made or refused."""

from dataclasses import dataclass
from typing import Any

from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.lent import Lent
from vllm_forge.records.machine import Compiler, Python, Toolkit
from vllm_forge.records.plan import PlannedTarget, SystemPackages
from vllm_forge.records.project import PlannedProject, Ways
from vllm_forge.records.reuse import Reused
from vllm_forge.records.specialization import Specialization
from vllm_forge.records.toolkit import OfferedToolkit
from vllm_forge.records.wishes import Device, Isa


@dataclass(frozen=True, slots=True)
class CpuPart:
    """What only a CPU build decides."""

    isa: Chosen[Isa]


@dataclass(frozen=True, slots=True)
class PlannedProjects:
    """Every project of the device, and the ways to have them."""

    planned: tuple[PlannedProject, ...]
    ways: Ways


@dataclass(frozen=True, slots=True)
class CudaPart:
    """What only a CUDA build decides. `gpu_arch` is the value for TORCH_CUDA_ARCH_LIST."""

    toolkit: Chosen[Toolkit]
    gpu_arch: Chosen[tuple[str, ...]]
    torch_cuda: Chosen[str | None]
    strategy: Chosen[str]
    projects: Chosen[PlannedProjects]
    nvcc_threads: Chosen[int]
    reused: Reused | None = None
    offer: OfferedToolkit | None = None
    """The toolkit, where it is still to be made."""
    instead: tuple[tuple[str, str], ...] = ()
    """Architectures that the tree picks and no planned GPU runs, each with what is compiled."""


@dataclass(frozen=True, slots=True)
class PrecompiledPart:
    """What a CUDA build decides that compiles nothing: everything is in the release's wheel."""

    gpu_arch: Chosen[tuple[str, ...]]
    torch_cuda: Chosen[str | None]
    strategy: Chosen[str]
    reused: Reused | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What all compiles together may take at most: cores, and bytes where --memory says.

    `cache_wished`: the compiler cache was asked for by name.
    """

    cores: int
    memory_bytes: int | None = None
    cache_wished: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """Everything a build needs to know, chosen; no compiler and no jobs where none compiles."""

    device: Device
    python: Chosen[Python]
    torch: Chosen[str]
    compiler: Chosen[Compiler] | None
    jobs: Chosen[int] | None
    system_packages: Chosen[SystemPackages | None]
    part: CpuPart | CudaPart | PrecompiledPart
    limits: Limits
    compiler_cache: Chosen[str | None]
    specialization: Chosen[Specialization] | None = None
    lent: Lent | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """`build` is None when anything was refused; `chosen` and `refused` hold every decision.

    `notes` say what the user would have met without us.
    """

    chosen: tuple[Chosen[Any], ...]
    refused: tuple[Refused, ...]
    targets: tuple[PlannedTarget, ...]
    notes: tuple[str, ...]
    build: Build | None
