"""The tree's requirements for a device, without what would swap torch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from vllm_forge.records.release import RequirementLine
from vllm_forge.resolve.torch import Target

TORCH_BOUND = frozenset({"torchvision", "torchaudio", "xformers"})
"""Each of their wheels is bound to one torch by its own metadata (`Requires-Dist: torch==…`), so
their pins only hold next to the tree's own torch."""


@dataclass(frozen=True, slots=True)
class Selected:
    """`lines` to install, `dropped` lines with the reason, each `LINE: REASON`."""

    lines: tuple[str, ...]
    dropped: tuple[str, ...]


def select_requirements(
    requirements: Sequence[RequirementLine],
    target: Target,
    *,
    torch_is_pinned_one: bool,
    without: Sequence[str] = (),
) -> Selected:
    """Markers judged for the planned environment; torch itself left to the constraint.

    Local versions (`==2.6.0+cpu`) are dropped from torch-bound pins, whose builds the index may not
    have; with another torch than the tree's, those pins go and torch's own pin decides. `without`
    names those that the user leaves out.
    """
    unwanted = {canonicalize_name(name) for name in without}
    lines: list[str] = []
    dropped: list[str] = []
    for line in requirements:
        try:
            requirement = Requirement(line.requirement)
        except InvalidRequirement:
            dropped.append(f"{line.requirement}: not a requirement ({line.source})")
            continue
        name = requirement.name.lower().replace("_", "-")
        if requirement.marker is not None and not target.holds(str(requirement.marker)):
            continue
        if name == "torch":
            dropped.append(f"{line.requirement}: the proven torch stays ({line.source})")
            continue
        if canonicalize_name(name) in unwanted:
            dropped.append(f"{line.requirement}: --without ({line.source})")
            continue
        requirement.marker = None
        if name in TORCH_BOUND and requirement.specifier and not torch_is_pinned_one:
            dropped.append(f"{line.requirement}: bound to the tree's own torch ({line.source})")
            lines.append(requirement.name)
            continue
        lines.append(str(requirement))
    return Selected(tuple(dict.fromkeys(lines)), tuple(dropped))


def find_unmatched(
    without: Sequence[str], requirements: Sequence[RequirementLine]
) -> tuple[str, ...]:
    """Those names of `without` that no requirement has: misspelt, or of another release."""
    present = set()
    for line in requirements:
        with suppress(InvalidRequirement):
            present.add(canonicalize_name(Requirement(line.requirement).name))
    return tuple(name for name in without if canonicalize_name(name) not in present)
