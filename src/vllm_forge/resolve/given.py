"""What the rules are given: facts and wishes, nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.machine import Machine
from vllm_forge.records.torch import TorchRelease
from vllm_forge.records.wishes import Wishes


@dataclass(frozen=True, slots=True)
class Given:
    """`known` are the releases that `facts_of` can answer for, oldest first.

    `is_release` says that the tree is a published release's, byte for byte. `unpack_into` is where
    missing distribution packages would be unpacked.
    """

    wishes: Wishes
    machine: Machine
    facts: TreeFacts
    is_release: bool
    cuda: CudaTable
    torches: tuple[TorchRelease, ...]
    known: tuple[str, ...]
    facts_of: Callable[[str], TreeFacts | None]
    unpack_into: str
    install_system_packages: bool = False
