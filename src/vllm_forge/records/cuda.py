"""What NVIDIA's toolkits and GPUs are, as shipped in data/cuda.json and data/gpus.json."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from vllm_forge.records.machine import Capability, Version

Architecture = Annotated[str, Meta(pattern=r"^\d{1,2}\.\d[af]?\Z")]
"""A compute capability nvcc generates code for; `a` this chip's only, `f` its family's."""


@dataclass(frozen=True, slots=True)
class ToolkitFacts:
    """One toolkit, MAJOR.MINOR. `nvcc` is the build the facts were read from.

    `gcc` and `clang` are the newest major versions its headers accept as host compiler. `driver`
    is the Linux driver released with it (None: not published with it).
    """

    version: Version
    nvcc: Version
    architectures: tuple[Architecture, ...]
    architectures_source: str
    gcc: int
    clang: int
    host_compilers_source: str
    driver: Version | None = None


@dataclass(frozen=True, slots=True)
class MajorFacts:
    """`driver` is the oldest that runs programs of any toolkit of this major version."""

    major: int
    driver: Version


@dataclass(frozen=True, slots=True)
class CudaTable:
    """Toolkits ascending by version; a minor version NVIDIA skipped (12.7) is not there."""

    schema: Annotated[int, Meta(ge=1, le=1)]
    drivers_source: str
    majors_source: str
    majors: tuple[MajorFacts, ...]
    toolkits: tuple[ToolkitFacts, ...]


@dataclass(frozen=True, slots=True)
class GpuModels:
    """Names of one compute capability, without the brand: `L40S`, `RTX 4090`."""

    capability: Capability
    source: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GpuTable:
    schema: Annotated[int, Meta(ge=1, le=1)]
    note: str
    capabilities: tuple[GpuModels, ...]
