"""The preflight: what a tree's sources take from torch and the planned torch does not have."""

from collections.abc import Iterable

from vllm_forge.records.torch import MissingName
from vllm_forge.release.torch_headers import TorchNames
from vllm_forge.release.torch_uses import TorchUse


def find_missing(
    uses: Iterable[TorchUse], planned: TorchNames, pinned: TorchNames
) -> tuple[MissingName, ...]:
    """Names that are nowhere in the planned torch's headers although the pinned one has them.

    A name that neither has is the tree's own, a macro's work or another library's: it decides
    nothing.
    """
    places: dict[str, list[str]] = {}
    for use in uses:
        if pinned.has(use.name) and not planned.has(use.name):
            places.setdefault(use.name, []).extend(use.units)
    return tuple(
        MissingName(name, tuple(sorted(set(units)))) for name, units in sorted(places.items())
    )
