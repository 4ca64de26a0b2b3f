"""Where a tree's CMake picks an architecture that none of the planned GPUs runs.

`cuda_archs_loose_intersection` takes, for each GPU, the highest architecture of a kernel group's
list that is not above it. Among cards that is right; but 8.7 is a Tegra, whose code no card runs.
vLLM 0.9.2 to 0.11.1 list Marlin for 8.0, 8.7 and 9.0: asked for 8.9 alone they compile it for 8.7,
and the first GPTQ, AWQ or FP4 layer on an L40S ends with "no kernel image is available".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vllm_forge.records.release import KernelGroup
from vllm_forge.resolve.cuda_facts import parts_of
from vllm_forge.resolve.gpu_arch import PTX, best_for, plain, runs_on


@dataclass(frozen=True, slots=True)
class Mend:
    """In the groups named, code for `wrong` is compiled for `right` instead."""

    wrong: str
    right: str
    groups: tuple[str, ...]
    source: str


def choose_mends(groups: Sequence[KernelGroup], capabilities: Sequence[str]) -> tuple[Mend, ...]:
    """One for each architecture that only fills space; () where every code runs somewhere.

    A group that lists nothing that runs on the GPU is left alone: it has no kernel for it.
    """
    found: dict[str, list[tuple[str, KernelGroup]]] = {}
    for group in groups:
        for code in group.architectures:
            if code.endswith(PTX) or any(runs_on(code, each) for each in capabilities):
                continue
            meant = [each for each in capabilities if parts_of(each)[0] == parts_of(plain(code))[0]]
            listed = [each.removesuffix(PTX) for each in group.wanted]
            better = [best for each in meant if (best := best_for(each, listed)) is not None]
            if better:
                found.setdefault(code, []).append((min(better, key=parts_of), group))
    return tuple(
        Mend(
            wrong,
            min((right for right, _ in cases), key=parts_of),
            tuple(dict.fromkeys(group.name for _, group in cases)),
            cases[0][1].source,
        )
        for wrong, cases in found.items()
    )


def note_on_mend(mend: Mend, capabilities: Sequence[str]) -> str:
    """For people."""
    return (
        f"stock would compile {', '.join(mend.groups)} for {mend.wrong}, whose code does not run "
        f"on {', '.join(capabilities)} ({mend.source}); here they are compiled for {mend.right}"
    )
