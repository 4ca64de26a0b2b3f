"""Compile everything, take the release wheel's extensions, or some of each."""

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Strategy
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.torch import exact_version


def choose_strategy(
    wish: Strategy, release: Release, torch: str, *, is_release: bool, reachable: bool | None
) -> Chosen[str]:
    """`full` unless wished otherwise; where a fetched project cannot be had, `hybrid`.

    The release wheel's extensions are built against the tree's own torch pin; with another torch
    nothing of it fits. Code of a project that the code host does not give (vllm-flash-attn) is in
    that wheel.
    """
    pinned = {exact_version(pin) for pin in release.torch if pin.role == "cuda"}
    fits = torch in pinned and is_release
    wheel = (
        f"the release wheel is built against torch {torch} too (CUDA "
        f"{minor_of(release.main_cuda.value) if release.main_cuda.value else 'unknown'})"
        if fits
        else f"the release wheel is built against torch {', '.join(str(pin) for pin in pinned)}"
        if is_release
        else "this tree is not a release: no wheel has its sources"
    )
    because = [Reason(wheel, release.main_cuda.source)]
    if wish is not Strategy.AUTO:
        because.insert(0, Reason(f"--strategy {wish}", "the command line"))
        return Chosen("strategy", wish.value, tuple(because))
    if fits and reachable is False:
        because.append(Reason("the code host of its fetched projects cannot be reached", "git"))
        return Chosen("strategy", Strategy.HYBRID.value, tuple(because))
    return Chosen("strategy", Strategy.FULL.value, tuple(because))
