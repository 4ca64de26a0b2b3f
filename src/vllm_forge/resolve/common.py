"""The decisions that every build makes."""

from dataclasses import dataclass
from typing import Any

from vllm_forge.records.decision import Chosen, Decision, Refused
from vllm_forge.records.lent import Lent
from vllm_forge.records.machine import Compiler, Python
from vllm_forge.records.plan import SystemPackages
from vllm_forge.records.resolution import Build, CpuPart, CudaPart, Limits
from vllm_forge.records.wishes import CompilerCache, Device
from vllm_forge.resolve.compiler import choose_compiler
from vllm_forge.resolve.compiler_cache import choose_compiler_cache
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.jobs import choose_jobs
from vllm_forge.resolve.lent import choose_lent_python, choose_lent_torch
from vllm_forge.resolve.python import choose_python
from vllm_forge.resolve.room import refuse_without_room
from vllm_forge.resolve.size import parse_size
from vllm_forge.resolve.system_packages import choose_system_packages
from vllm_forge.resolve.torch import choose_torch, target_of


@dataclass(frozen=True, slots=True)
class CommonDecisions:
    """`torch` and `system_packages` are None where they could not be asked: no Python was found."""

    python: Decision[Python]
    compiler: Decision[Compiler]
    jobs: Decision[int]
    torch: Decision[str] | None
    system_packages: Decision[SystemPackages | None] | None
    room: Refused | None
    limits: Limits
    compiler_cache: Decision[str | None]
    lent: Lent | None = None

    def build(self, device: Device, torch: Chosen[str], part: CpuPart | CudaPart) -> Build | None:
        """None as long as one of them is refused."""
        match self:
            case CommonDecisions(
                python=Chosen() as python,
                compiler=Chosen() as compiler,
                jobs=Chosen() as jobs,
                system_packages=Chosen() as system,
                room=None,
                compiler_cache=Chosen() as cache,
            ):
                return Build(
                    *(device, python, torch, compiler, jobs, system, part, self.limits, cache),
                    lent=self.lent,
                )
            case _:
                return None


def decide_common(
    given: Given, device: Device, *, bytes_per_job: int, newest_gcc: str | None
) -> CommonDecisions:
    """`bytes_per_job` is the peak of an ordinary compile, `newest_gcc` what a toolkit accepts."""
    wishes, machine, release = given.wishes, given.machine, given.facts.release
    limits = Limits(
        cores=min(machine.cpu.cores or 1, wishes.jobs or machine.cpu.cores or 1),
        memory_bytes=parse_size(wishes.memory) if wishes.memory else None,
        cache_wished=wishes.compiler_cache is not CompilerCache.AUTO,
    )
    lent = given.lent
    python = (
        choose_python(wishes, machine, release)
        if lent is None
        else choose_lent_python(wishes, lent, release)
    )
    torch: Decision[str] | None = None
    system: Decision[SystemPackages | None] | None = None
    if isinstance(python, Chosen):
        target = target_of(machine, python.value)
        torch = (
            choose_torch(wishes, device, target, release)
            if lent is None
            else choose_lent_torch(wishes, device, target, release, lent)
        )
        system = choose_system_packages(
            machine,
            python.value,
            needs_libnuma=device is Device.CPU,
            into=given.unpack_into,
            install=given.install_system_packages,
        )
    return CommonDecisions(
        python=python,
        compiler=choose_compiler(machine, release, device, newest=newest_gcc),
        jobs=choose_jobs(
            wishes, machine, bytes_per_job=bytes_per_job, memory_cap=limits.memory_bytes
        ),
        torch=torch,
        system_packages=system,
        room=refuse_without_room(machine, device),
        limits=limits,
        compiler_cache=choose_compiler_cache(wishes.compiler_cache, machine.tools),
        lent=lent,
    )


def split(
    vllm: Chosen[Any],
    device: Chosen[Device],
    common: CommonDecisions,
    *more: Decision[Any] | None,
) -> tuple[tuple[Chosen[Any], ...], tuple[Refused, ...]]:
    """Everything decided, in the order people read it: chosen, and refused."""
    every = (
        *(vllm, device, common.python, *more),
        *(common.compiler, common.jobs, common.compiler_cache),
        *(common.system_packages, common.room),
    )
    return (
        tuple(one for one in every if isinstance(one, Chosen)),
        tuple(one for one in every if isinstance(one, Refused)),
    )
