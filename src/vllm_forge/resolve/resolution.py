"""Make every decision, keep every reason, refuse everything that must fail at once."""

from dataclasses import replace

from vllm_forge.records.decision import Refused
from vllm_forge.records.resolution import Resolution
from vllm_forge.records.wishes import Device, Strategy
from vllm_forge.resolve.cpu import resolve_cpu
from vllm_forge.resolve.cuda import resolve_cuda
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.precompiled import resolve_precompiled
from vllm_forge.resolve.vllm import choose_vllm
from vllm_forge.resolve.ways_out import find_ways_out


def resolve(given: Given) -> Resolution:
    """Decide everything; a refusal of one subject does not hide another's.

    Each way out of a refusal is itself resolved before it is offered.
    """
    first = resolve_once(given)
    if not first.refused:
        return first
    refused = tuple(
        replace(one, ways_out=find_ways_out(one, given, resolve_once)) for one in first.refused
    )
    return replace(first, refused=refused)


def resolve_once(given: Given) -> Resolution:
    """The decisions alone."""
    device = choose_device(given.wishes, given.machine)
    vllm = choose_vllm(given)
    if isinstance(device, Refused):
        return Resolution((vllm,), (device,), (), (), None)
    if device.value is Device.CUDA and given.wishes.strategy is Strategy.PRECOMPILED:
        return resolve_precompiled(given, vllm, device)
    if device.value is Device.CUDA:
        return resolve_cuda(given, vllm, device)
    return resolve_cpu(given, vllm, device)
