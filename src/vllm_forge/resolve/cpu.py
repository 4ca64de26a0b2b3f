"""Every decision of a CPU build."""

from dataclasses import replace
from typing import Any

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.resolution import CpuPart, Resolution
from vllm_forge.records.wishes import Device, Isa, Strategy, Wishes
from vllm_forge.resolve.common import decide_common, split
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.isa import choose_isa
from vllm_forge.resolve.preflight import judge_torch
from vllm_forge.resolve.quantization import choose_quantization
from vllm_forge.resolve.specialize import refuse_specialization_on_cpu
from vllm_forge.resolve.targets import plan_targets

FILE_BYTES = 2_300_000_000
"""Peak of one g++ over the CPU target's files (docs/measurements.md)."""

NO_GPU_CODE = (Reason("the CPU target compiles no GPU code", "cmake/cpu_extension.cmake"),)


def choose_cpu_strategy(wishes: Wishes) -> Decision[str]:
    """Everything is compiled: release wheels carry CUDA extensions alone."""
    none = Reason("no release publishes extensions for a CPU", "the package index")
    if wishes.strategy is Strategy.PRECOMPILED or wishes.reuse:
        wish = f"--reuse {','.join(wishes.reuse)}" if wishes.reuse else "--strategy precompiled"
        said = Reason(wish, "the command line")
        return Refused("strategy", (said, none), ("--strategy full",))
    return Chosen("strategy", Strategy.FULL.value, (none,))


def resolve_cpu(given: Given, vllm: Chosen[Any], device: Chosen[Device]) -> Resolution:
    """All decisions; those that need the Python are left out when that is refused."""
    common = decide_common(given, Device.CPU, bytes_per_job=FILE_BYTES, newest_gcc=None)
    isa = choose_isa(given.wishes, given.machine, given.facts.release)
    flags = given.machine.cpu.flags or ()
    if isinstance(isa, Chosen) and isa.value is Isa.AVX2:
        flags = tuple(flag for flag in flags if not flag.startswith(("avx512", "amx")))
    configured = given.facts.configured("cpu", flags=flags)
    targets = (
        () if configured is None else plan_targets(configured, (), (), (), given.wishes.targets)
    )
    targets = tuple(replace(one, origin="compile") if one.build else one for one in targets)
    torch: Decision[str] | None = common.torch
    if isinstance(torch, Chosen) and configured is not None:
        built = {target.name for target in targets if target.build}
        torch = judge_torch(torch, Device.CPU, given.facts, configured, built)
    constants: tuple[Decision[Any], ...] = (
        Chosen("torch_cuda", None, NO_GPU_CODE),
        Chosen("toolkit", None, NO_GPU_CODE),
        Chosen("gpu_arch", None, NO_GPU_CODE),
        choose_cpu_strategy(given.wishes),
    )
    quantization = (
        None
        if given.checkpoint is None
        else choose_quantization(given.checkpoint, given.facts.release, Device.CPU, ())
    )
    special = refuse_specialization_on_cpu(given)
    chosen, refused = split(vllm, device, common, torch, isa, *constants, quantization, special)
    build = None
    if not refused and isinstance(torch, Chosen) and isinstance(isa, Chosen):
        build = common.build(Device.CPU, torch, CpuPart(isa))
    return Resolution(chosen, refused, targets, (), build)
