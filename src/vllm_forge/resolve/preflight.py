"""Whether the tree's sources can be compiled against the planned torch at all."""

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.release import Configured
from vllm_forge.records.wishes import Device

MOST_SHOWN = 4


def judge_torch(
    torch: Chosen[str], device: Device, facts: TreeFacts, configured: Configured, built: set[str]
) -> Decision[str]:
    """The choice as it stands, with a reason more, or a refusal naming what is missing and where.

    Only sources of targets that will be built count: the CPU target of a tree may compile where its
    CUDA target does not.
    """
    sources = frozenset(
        source for target in configured.targets if target.name in built for source in target.sources
    )
    missing = facts.missing(device.value, torch.value, sources)
    if missing is None:
        warning = f"whether the sources compile against torch {torch.value} is not known"
        return Chosen(torch.subject, torch.value, torch.because, (*torch.warnings, warning))
    if not missing:
        reason = Reason(
            f"every name the sources take from torch is in {torch.value}", "torch's headers"
        )
        return Chosen(torch.subject, torch.value, (*torch.because, reason), torch.warnings)
    because = [
        Reason(f"torch {torch.value} has no {name.name}, used in {_files(name.files)}", "headers")
        for name in missing[:MOST_SHOWN]
    ]
    return Refused("torch", (*torch.because, *because))


def _files(files: tuple[str, ...]) -> str:
    shown = ", ".join(files[:MOST_SHOWN])
    more = len(files) - MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
