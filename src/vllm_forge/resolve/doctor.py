"""What on this machine would stop a build, before any vLLM is chosen.

Each obstacle is one function from the machine to findings. What is unknown is no obstacle: a rule
that needs it says so when it is needed.
"""

from collections.abc import Callable, Iterator

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.finding import Finding, Severity
from vllm_forge.records.machine import Machine, Tools
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.advice import GIB, gib, install_line
from vllm_forge.resolve.compiler import LEAST_GCC
from vllm_forge.resolve.cuda_facts import parts_of
from vllm_forge.resolve.doctor_cuda import (
    find_architecture_trouble,
    find_driver_trouble,
    find_host_compiler_trouble,
    find_missing_toolkit,
    find_no_gpu,
)
from vllm_forge.resolve.room import NEEDED_BYTES
from vllm_forge.resolve.system_packages import DEBIAN_LIKE

MEMORY_LEAST = 3 * GIB
"""Most files of `_C` and `_moe_C` take 2.4 to 2.8 GB each to compile."""
MEMORY_LARGEST = 8 * GIB
"""scaled_mm_c2x.cu takes 7.5 GB, FlashAttention 3's bodies 5.7 GB."""

PYTHON_FLOOR = (3, 9)
"""vLLM 0.8 takes Python 3.9; newer trees take newer ones (`releases show` says which)."""
GLIBC_FLOOR = "2.28"
"""torch's wheels from 2.7 on are manylinux_2_28: an older C library cannot load them."""

Obstacle = Callable[[Machine], Iterator[Finding]]


def find_obstacles(machine: Machine, table: CudaTable) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; in each the order in which a build would meet them.

    `table` is data/cuda.json, which says what a toolkit accepts.
    """
    found = [finding for obstacle in OBSTACLES for finding in obstacle(machine)]
    found += find_no_gpu(machine)
    found += find_driver_trouble(machine, table)
    found += find_missing_toolkit(machine, table)
    found += find_architecture_trouble(machine, table)
    found += find_host_compiler_trouble(machine, table)
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def find_foreign_system(machine: Machine) -> Iterator[Finding]:
    """Wheels of torch exist for glibc on x86-64 and 64-bit Arm."""
    if machine.cpu.arch not in {None, "x86_64", "aarch64"}:
        yield Finding(
            "cpu-unsupported",
            Severity.ERROR,
            f"torch has no wheels for {machine.cpu.arch}",
            (f"cpu.arch: {machine.cpu.arch}",),
            ("use an x86-64 or 64-bit Arm machine",),
        )
    if machine.glibc is not None and parts_of(machine.glibc) < parts_of(GLIBC_FLOOR):
        yield Finding(
            "glibc-too-old",
            Severity.WARNING,
            f"torch's wheels from 2.7 on need glibc {GLIBC_FLOOR} or newer",
            (f"glibc: {machine.glibc}",),
            ("use a container of Debian 12, Ubuntu 22.04 or newer",),
        )
    if machine.glibc is None and machine.os is not None and machine.os.id == "alpine":
        yield Finding(
            "glibc-too-old",
            Severity.ERROR,
            "Alpine's C library is musl; torch's wheels need glibc",
            ("os.id: alpine",),
            ("use a container of Debian 12, Ubuntu 22.04 or newer",),
        )


def find_weak_cpu(machine: Machine) -> Iterator[Finding]:
    flags = machine.cpu.flags
    if machine.cpu.arch == "x86_64" and flags is not None and "avx2" not in flags:
        yield Finding(
            "cpu-without-avx2",
            Severity.WARNING,
            "the CPU target needs AVX2, and this CPU does not have it",
            ("cpu.flags: no avx2",),
            ("vllm-forge plan --device cuda  # or use another machine for the CPU target",),
        )


def find_little_disk(machine: Machine) -> Iterator[Finding]:
    free = machine.disk.free_bytes
    least, most = NEEDED_BYTES[Device.CPU], NEEDED_BYTES[Device.CUDA]
    if free is None or free >= most:
        return
    scarce = free < least
    yield Finding(
        "disk-low",
        Severity.ERROR if scarce else Severity.WARNING,
        f"{gib(free)} free: "
        + (
            f"less than the {gib(least)} that the smallest build may take"
            if scarce
            else f"enough for the CPU target, not for a CUDA build (up to {gib(most)})"
        ),
        (f"disk.free_bytes: {free}, where VLLM_FORGE_HOME lies",),
        ("uv cache prune", "export VLLM_FORGE_HOME=DIR  # a folder on a larger disk"),
    )


def find_little_memory(machine: Machine) -> Iterator[Finding]:
    """The cgroup's limit counts, not what is soldered in."""
    memory = machine.memory
    total, limit = memory.total_bytes, memory.limit_bytes
    sizes = [size for size in (total, limit) if size is not None]
    room = min(sizes, default=None)
    if room is not None and room < MEMORY_LARGEST:
        scarce = room < MEMORY_LEAST
        yield Finding(
            "memory-low",
            Severity.ERROR if scarce else Severity.WARNING,
            f"{gib(room)} of memory: "
            + (
                "too little for one compiler (2.4 to 2.8 GB each)"
                if scarce
                else "too little for CUDA's largest files (7.5 GB), enough for the CPU target"
            ),
            (f"memory.total_bytes: {total}", f"memory.limit_bytes: {limit}"),
            (f"raise the container's limit: docker run --memory={MEMORY_LARGEST // GIB + 4}g …",)
            if limit is not None
            else ("add swap, or use a machine with more memory",),
        )
    if total is not None and limit is not None and limit < total:
        yield Finding(
            "memory-limited",
            Severity.NOTE,
            f"this container may use {gib(limit)} of {gib(total)}: the number of compilers follows "
            "the limit",
            (f"memory.limit_bytes: {limit}", f"memory.total_bytes: {total}"),
        )


def find_missing_compiler(machine: Machine) -> Iterator[Finding]:
    if machine.compilers is None:
        return
    cxx = [compiler for compiler in machine.compilers if "++" in compiler.name]
    install = install_line(machine, "g++", "gcc-c++")
    if not cxx:
        evidence = "PATH, CXX: no g++, no clang++"
        yield Finding(
            "host-compiler-missing", Severity.ERROR, "no C++ compiler", (evidence,), (install,)
        )
    elif all(
        compiler.name.startswith("g++") and parts_of(compiler.version) < parts_of(LEAST_GCC)
        for compiler in cxx
    ):
        yield Finding(
            "host-compiler-too-old",
            Severity.ERROR,
            f"torch's headers need C++17 as g++ {LEAST_GCC} has it",
            tuple(f"{compiler.path}: {compiler.version}" for compiler in cxx),
            (install_line(machine, "g++-12", "gcc-toolset-12-gcc-c++"),),
        )


def find_python_trouble(machine: Machine) -> Iterator[Finding]:
    if machine.pythons is None:
        return
    usable = [python for python in machine.pythons if parts_of(python.version)[:2] >= PYTHON_FLOOR]
    if not usable:
        found = ", ".join(python.version for python in machine.pythons) or "none"
        yield Finding(
            "python-missing",
            Severity.ERROR,
            "no CPython that any supported vLLM takes (3.9 or newer)",
            (f"pythons: {found}",),
            ("uv python install 3.12",),
        )
    elif all(python.headers is False for python in usable):
        newest = max(usable, key=lambda python: parts_of(python.version))
        minor = ".".join(newest.version.split(".")[:2])
        yield Finding(
            "python-headers-missing",
            Severity.WARNING,
            "no Python here has its Python.h, which every extension is compiled against",
            tuple(f"{python.path}: {python.version}, no Python.h" for python in usable),
            (
                install_line(machine, f"python{minor}-dev", "python3-devel"),
                "uv python install 3.12",
            ),
        )


def find_missing_tools(machine: Machine) -> Iterator[Finding]:
    """Of a machine of which nothing was asked, nothing is missing."""
    tools = machine.tools
    if tools == Tools() and machine.pythons is None:
        return
    ours = {"uv": tools.uv, "cmake": tools.cmake, "ninja": tools.ninja}
    missing = [name for name, version in ours.items() if version is None]
    if missing:
        yield Finding(
            "build-tool-missing",
            Severity.ERROR,
            f"not found: {', '.join(missing)}",
            ("beside vllm-forge's own interpreter and on PATH",),
            (f"python3 -m pip install {' '.join(missing)}",),
        )
    if tools.git is None:
        yield Finding(
            "git-missing",
            Severity.NOTE,
            "no git: sources come from the package index, projects fetched from a code host cannot",
            ("PATH: no git",),
            (install_line(machine, "git", "git"),),
        )


def find_missing_libnuma(machine: Machine) -> Iterator[Finding]:
    if machine.libraries.libnuma is not False:
        return
    helped = machine.os is not None and machine.os.id in DEBIAN_LIKE
    yield Finding(
        "libnuma-missing",
        Severity.NOTE if helped else Severity.WARNING,
        "the CPU target links libnuma, and its header or library is not here"
        + ("; a build unpacks them under the forge's home" if helped else ""),
        ("numa.h or libnuma.so: not in the compiler's folders",),
        (install_line(machine, "libnuma-dev", "numactl-devel"),),
    )


def find_no_index(machine: Machine) -> Iterator[Finding]:
    if machine.reachable.index is False:
        yield Finding(
            "index-unreachable",
            Severity.ERROR,
            "the configured package index does not answer",
            ("reachable.index: false",),
            ("pip config list", "vllm-forge up --offline  # when everything is already here"),
        )


OBSTACLES: tuple[Obstacle, ...] = (
    find_foreign_system,
    find_weak_cpu,
    find_little_disk,
    find_little_memory,
    find_missing_compiler,
    find_python_trouble,
    find_missing_tools,
    find_missing_libnuma,
    find_no_index,
)
