"""Make every decision, keep every reason, refuse everything that must fail at once."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import CpuBuild, Resolution
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Device, Wishes
from vllm_forge.resolve.compiler import choose_compiler
from vllm_forge.resolve.conditions import Situation
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.isa import choose_isa
from vllm_forge.resolve.jobs import choose_jobs
from vllm_forge.resolve.python import choose_python
from vllm_forge.resolve.room import refuse_without_room
from vllm_forge.resolve.size import parse_size
from vllm_forge.resolve.system_packages import choose_system_packages
from vllm_forge.resolve.targets import plan_targets, wanted_extensions
from vllm_forge.resolve.torch import choose_torch, target_of

T = TypeVar("T")

CPU_FILE_BYTES = 2_300_000_000
"""Peak of one g++ over the CPU target's files (docs/measurements.md)."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the rules are given: facts and wishes, nothing else."""

    wishes: Wishes
    machine: Machine
    release: Release
    isa_switch: Sourced[bool]
    system_packages_into: PurePath
    install_system_packages: bool = False


def resolve(given: Given) -> Resolution:
    """Decide everything that can be decided; a refusal of one subject does not hide another's."""
    device = choose_device(given.wishes, given.machine)
    vllm = Chosen(
        "vllm",
        given.release.version.value,
        (Reason(f"--vllm {given.wishes.vllm}", "the command line"),),
    )
    if isinstance(device, Refused):
        return Resolution((vllm,), (device,), (), None)
    if device.value is Device.CUDA:
        refused = Refused(
            "device",
            (*device.because, Reason("CUDA builds are not made by this version", "README.md")),
            ("--device cpu",),
        )
        return Resolution((vllm,), (refused,), (), None)
    return _resolve_cpu(given, vllm, device)


def _resolve_cpu(given: Given, vllm: Chosen[Any], device: Chosen[Device]) -> Resolution:
    machine, release, wishes = given.machine, given.release, given.wishes
    python = choose_python(wishes, machine, release)
    compiler = choose_compiler(machine, release)
    isa = choose_isa(wishes, machine, given.isa_switch, release)
    cap = parse_size(wishes.memory) if wishes.memory else None
    jobs = choose_jobs(wishes, machine, bytes_per_job=CPU_FILE_BYTES, memory_cap=cap)
    fixed = _cpu_constants()
    decisions: list[Decision[Any]] = [vllm, device, python, compiler, isa, jobs, *fixed]
    room = refuse_without_room(machine, device.value)
    if room is not None:
        decisions.append(room)
    situation = Situation(device.value, machine.cpu.arch or "x86_64")
    targets = plan_targets(release, situation)
    build: CpuBuild | None = None
    if isinstance(python, Chosen):
        torch = choose_torch(wishes, device.value, target_of(machine, python.value), release)
        system = choose_system_packages(
            machine,
            python.value,
            needs_libnuma=True,
            into=str(given.system_packages_into),
            install=given.install_system_packages,
        )
        decisions += [torch, system]
        if (
            room is None
            and isinstance(torch, Chosen)
            and isinstance(system, Chosen)
            and isinstance(compiler, Chosen)
            and isinstance(isa, Chosen)
            and isinstance(jobs, Chosen)
        ):
            build = CpuBuild(
                device=device,
                python=python,
                torch=torch,
                compiler=compiler,
                isa=isa,
                jobs=jobs,
                system_packages=system,
                extensions=wanted_extensions(release, situation),
            )
    return Resolution(
        chosen=tuple(one for one in decisions if isinstance(one, Chosen)),
        refused=tuple(one for one in decisions if isinstance(one, Refused)),
        targets=targets,
        build=build,
    )


def _cpu_constants() -> tuple[Chosen[Any], ...]:
    because = (Reason("the CPU target compiles no GPU code", "cmake/cpu_extension.cmake"),)
    full = (Reason("there are no precompiled CPU extensions for this version", "the index"),)
    return (
        Chosen("toolkit", None, because),
        Chosen("torch_cuda", None, because),
        Chosen("gpu_arch", None, because),
        Chosen("strategy", "full", full),
    )
