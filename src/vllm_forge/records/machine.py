"""What a machine is. `doctor --json` prints it, `plan --machine FILE` reads it.

Every field may be missing: None means *unknown*, an empty tuple means *looked, and there is none*.
The bounds refuse the absurd, not the unusual.
"""

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

Bytes = Annotated[int, Meta(ge=0, le=1 << 60)]
Version = Annotated[str, Meta(pattern=r"^\d+(\.\d+)*[0-9A-Za-z.+~_-]*\Z", max_length=64)]
Capability = Annotated[str, Meta(pattern=r"^\d{1,2}\.\d\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=4096)]


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """`id` and `version` as in /etc/os-release (ID, VERSION_ID)."""

    id: Name
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Cpu:
    """`cores` are those this process may use (affinity and cgroup quota), not those soldered in."""

    arch: str | None = None
    model: str | None = None
    cores: Annotated[int, Meta(ge=1, le=65536)] | None = None
    flags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """`limit_bytes` is the tightest cgroup limit above this process; None where there is none."""

    total_bytes: Bytes | None = None
    limit_bytes: Bytes | None = None
    available_bytes: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """Free bytes where VLLM_FORGE_HOME lies."""

    free_bytes: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; `memory_bytes` is its own memory (unknown where it shares the CPU's)."""

    name: Name
    capability: Capability | None = None
    memory_bytes: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """`cuda` is the newest CUDA the driver speaks, as nvidia-smi prints it."""

    version: Version
    cuda: Version | None = None


@dataclass(frozen=True, slots=True)
class Toolkit:
    """A folder with bin/nvcc. `version` is MAJOR.MINOR; `nvcc` the compiler's own, as 12.4.131.

    `lacks` names parts that a build reads and that are not there, as `include/cublas_v2.h`.
    """

    version: Version
    path: Name
    nvcc: Version | None = None
    lacks: tuple[Name, ...] | None = None


@dataclass(frozen=True, slots=True)
class Compiler:
    """A host compiler. `name` is what it is called on PATH: gcc, g++, g++-12, clang++."""

    name: Name
    version: Version
    path: Name


@dataclass(frozen=True, slots=True)
class Python:
    """A CPython 3. `headers`: whether this interpreter's Python.h is there (None: unknown)."""

    version: Version
    path: Name
    headers: bool | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """Versions; None where the program is not found."""

    uv: str | None = None
    cmake: str | None = None
    ninja: str | None = None
    ccache: str | None = None
    sccache: str | None = None
    git: str | None = None


@dataclass(frozen=True, slots=True)
class Libraries:
    """System libraries with their headers; None: unknown."""

    libnuma: bool | None = None


@dataclass(frozen=True, slots=True)
class Reachable:
    """What answered when asked; None: not asked. `index` is the configured package index."""

    index: bool | None = None
    code_host: bool | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    schema: Annotated[int, Meta(ge=1, le=1)] = 1
    os: OperatingSystem | None = None
    glibc: Version | None = None
    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    disk: Disk = field(default_factory=Disk)
    gpus: tuple[Gpu, ...] | None = None
    driver: Driver | None = None
    toolkits: tuple[Toolkit, ...] | None = None
    compilers: tuple[Compiler, ...] | None = None
    pythons: tuple[Python, ...] | None = None
    tools: Tools = field(default_factory=Tools)
    libraries: Libraries = field(default_factory=Libraries)
    offered_gcc: tuple[Annotated[int, Meta(ge=1, le=1000)], ...] | None = None
    """Major versions of g++ that the distribution's package manager has, ascending; asked only
    where no compiler here will do."""
    reachable: Reachable = field(default_factory=Reachable)
    root: bool | None = None
