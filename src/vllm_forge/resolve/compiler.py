"""Which C++ compiler compiles."""

from packaging.version import Version

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Compiler, Machine
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.advice import gcc_to_install

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
        if machine.offered_gcc is not None:
            offered = ", ".join(str(each) for each in machine.offered_gcc)
            because.append(
                Reason(f"this distribution has g++ {offered}", "apt-cache pkgnames g++-")
            )
        there = ", ".join(f"{compiler.path} {compiler.version}" for compiler in gcc)
        return Refused(
            "compiler",
            (*because, Reason(f"found: {there or 'no g++'}", "PATH")),
            _ways_out(machine, floor, newest),
        )
    best = max(fit, key=lambda compiler: (compiler.name == "g++", Version(compiler.version)))
    return Chosen(
        "compiler",
        best,
        (*because, Reason(f"{best.path} is {best.version}", "asked by running it")),
    )


def _ways_out(machine: Machine, floor: str, newest: str | None) -> tuple[str, ...]:
    """The package to install, one that this distribution has; () where it has none that fits."""
    if machine.offered_gcc is None and newest is None and floor == LEAST_GCC:
        return ("apt-get install g++",)
    most = None if newest is None else Version(newest).major
    package = gcc_to_install(machine.offered_gcc, Version(floor).major, most)
    return () if package is None else (f"apt-get install {package}",)
