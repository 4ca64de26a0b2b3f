"""Which release, when the user named a checkpoint and no release."""

from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.cuda import asked_capabilities, resolve_cuda
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.given import Given, with_release
from vllm_forge.resolve.quantization import rank_releases
from vllm_forge.resolve.vllm import choose_vllm


def choose_release(given: Given) -> Given:
    """The newest release that loads the checkpoint best on these GPUs and can be built here.

    Without a checkpoint, or on a CPU (where it runs dequantized), what was given stays. Where none
    can be built, the one that would load it best, so that its refusals are shown.
    """
    device = choose_device(given.wishes, given.machine)
    if given.checkpoint is None or isinstance(device, Refused) or device.value is not Device.CUDA:
        return given
    why = Reason(
        f"the newest that loads {given.wishes.checkpoint} best on these GPUs and can be built here",
        "vllm-forge inspect",
    )
    ranked = [
        candidate
        for version in releases_loading(given.checkpoint, given)
        if (candidate := with_release(given, version, why)) is not None
    ]
    for candidate in ranked:
        if not resolve_cuda(candidate, choose_vllm(candidate), device).refused:
            return candidate
    return ranked[0] if ranked else given


def releases_loading(checkpoint: Checkpoint, given: Given) -> tuple[str, ...]:
    """The known releases that load the checkpoint on these GPUs, best first."""

    def release_of(version: str) -> Release | None:
        facts = given.facts_of(version)
        return None if facts is None else facts.release

    return rank_releases(checkpoint, given.known, release_of, asked_capabilities(given))
