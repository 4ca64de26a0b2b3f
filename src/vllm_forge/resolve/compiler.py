"""Which C++ compiler compiles."""

from packaging.version import Version

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Compiler, Machine
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Device

LEAST_GCC = "9.0"
"""torch ≥ 2.1 wants C++17 complete in its headers: PyTorch's CONTRIBUTING says gcc 9 or newer."""


def choose_compiler(
    machine: Machine, release: Release, device: Device, *, newest: str | None = None
) -> Decision[Compiler]:
    """g++ that the tree accepts and, where a toolkit caps it, not newer than `newest` (major).

    The plain `g++` of PATH is taken when it fits: people expect their own compiler.
    """
    if machine.compilers is None:
        return Refused("compiler", (Reason("the compilers are unknown", "machine.compilers"),))
    said = release.cpu_gcc_floor if device is Device.CPU else release.gcc_floor
    floor = said.value or LEAST_GCC
    because = [
        Reason(f"at least g++ {floor}", said.source)
        if said.value
        else Reason(f"at least g++ {floor}", "PyTorch's headers need C++17")
    ]
    if newest is not None:
        because.append(Reason(f"at most g++ {newest}", "the CUDA toolkit's host_config.h"))
    gcc = [compiler for compiler in machine.compilers if compiler.name.startswith("g++")]
    fit = [
        compiler
        for compiler in gcc
        if Version(compiler.version) >= Version(floor)
        and (newest is None or Version(compiler.version).major <= Version(newest).major)
    ]
    if not fit:
        there = ", ".join(f"{compiler.path} {compiler.version}" for compiler in gcc)
        return Refused(
            "compiler",
            (*because, Reason(f"found: {there or 'no g++'}", "PATH")),
            (f"apt-get install {_package(newest, floor)}",),
        )
    best = max(fit, key=lambda compiler: (compiler.name == "g++", Version(compiler.version)))
    return Chosen(
        "compiler",
        best,
        (*because, Reason(f"{best.path} is {best.version}", "asked by running it")),
    )


def _package(newest: str | None, floor: str) -> str:
    if newest is not None:
        return f"g++-{Version(newest).major}"
    return "g++" if floor == LEAST_GCC else f"g++-{Version(floor).major}"
