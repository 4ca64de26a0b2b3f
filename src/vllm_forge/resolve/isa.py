"""Which vector instructions the CPU target is compiled for."""

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.release import Release
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Isa, Wishes

SWITCH = "VLLM_CPU_DISABLE_AVX512"
"""Read by cmake/cpu_extension.cmake up to 0.16; only the literal `true` works (0.10.1 :77-79)."""

FETCHES = Reason(
    "with AVX-512 the tree fetches oneDNN from a code host", "cmake/cpu_extension.cmake"
)


def read_switch(release: Release) -> Sourced[bool]:
    """Whether the tree's CPU rules can leave AVX-512, and oneDNN with it, out."""
    for variable in release.environment:
        if variable.name == SWITCH:
            return Sourced(value=True, source=variable.sources[0])
    return Sourced(value=False, source=f"no {SWITCH} in cmake/cpu_extension.cmake")


def choose_isa(wishes: Wishes, machine: Machine, release: Release) -> Decision[Isa]:
    """Choose AVX-512 where the CPU has it and oneDNN, which it fetches, can be had; else AVX2.

    Trees from 0.17 on cannot be told to leave AVX-512 out: they build all variants at once and
    always fetch oneDNN.
    """
    switch = read_switch(release)
    flags = machine.cpu.flags
    if flags is None or machine.cpu.arch not in {None, "x86_64"}:
        return Refused(
            "isa",
            (Reason(f"CPU {machine.cpu.arch}, flags unknown", "machine.cpu"),),
            ("the CPU target is built on x86-64 only, for now",),
        )
    if not switch.value:
        return _all_at_once(machine, switch, release)
    if wishes.isa is not Isa.AUTO:
        return _wished(wishes.isa, flags)
    if "avx512f" not in flags:
        return Chosen("isa", Isa.AVX2, (Reason("the CPU has no avx512f", "/proc/cpuinfo"),))
    if machine.reachable.code_host:
        return Chosen("isa", Isa.AVX512, (Reason("the CPU has avx512f", "/proc/cpuinfo"), FETCHES))
    why = "was not asked" if machine.reachable.code_host is None else "cannot be reached"
    return Chosen(
        "isa",
        Isa.AVX2,
        (FETCHES, Reason(f"the code host {why}", "git ls-remote")),
        warnings=("compiled for AVX2: oneDNN, which AVX-512 needs, cannot be fetched here",),
    )


def _all_at_once(machine: Machine, switch: Sourced[bool], release: Release) -> Decision[Isa]:
    if machine.reachable.code_host is False:
        return Refused(
            "isa",
            (
                Reason(f"vLLM {release.version.value} always fetches oneDNN", switch.source),
                Reason("the code host cannot be reached", "git ls-remote"),
            ),
            (
                "give a checkout: FETCHCONTENT_SOURCE_DIR_ONEDNN=DIR",
                "--vllm 0.10.1, whose AVX2 build fetches nothing",
            ),
        )
    return Chosen("isa", Isa.AVX512, (FETCHES,))


def _wished(wish: Isa, flags: tuple[str, ...]) -> Decision[Isa]:
    needed = "avx512f" if wish is Isa.AVX512 else "avx2"
    if needed not in flags:
        return Refused(
            "isa",
            (Reason(f"--isa {wish}, but this CPU has no {needed}", "/proc/cpuinfo"),),
            ("--isa auto",),
        )
    return Chosen("isa", wish, (Reason(f"--isa {wish}", "the command line"),))
