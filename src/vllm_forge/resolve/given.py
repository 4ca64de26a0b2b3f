"""What the rules are given: facts and wishes, nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.decision import Reason
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.lent import Lent
from vllm_forge.records.machine import Machine
from vllm_forge.records.release import Configured
from vllm_forge.records.reuse import ReadEdits, ReadPublished, ReleaseWheel
from vllm_forge.records.schedule import Measured
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.toolkit import OfferedToolkit
from vllm_forge.records.torch import TorchRelease
from vllm_forge.records.wishes import Wishes


def nothing_published(version: str) -> Sourced[ReleaseWheel]:
    """Where no index is asked."""
    return Sourced(None, f"no index was asked for a wheel of vLLM {version}")


def no_edits(configured: Configured, release: str) -> Sourced[Mapping[str, tuple[str, ...]]]:
    """Of a tree that is the published release's, byte for byte."""
    del configured
    return Sourced({}, f"the sdist of vLLM {release}")


@dataclass(frozen=True, slots=True)
class Given:
    """`known` are the releases that `facts_of` can answer for, oldest first.

    `is_release` says that the tree is a published release's, byte for byte. `unpack_into` is where
    missing distribution packages would be unpacked. `why_release` says why this release. `offers`
    are toolkits that can be made here. `variables` are the user's environment variables that name
    folders of fetched projects; `kept` the names of projects that were fetched before. `costs` is
    the shipped table of measured compiles. `published` finds the wheel of a release, `edits` what
    the tree changed of it; they are asked only where something may be taken out of that wheel.
    `lent` is the interpreter whose torch is used.
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
    why_release: Reason
    install_system_packages: bool = False
    offers: tuple[OfferedToolkit, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    checkpoint: Checkpoint | None = None
    costs: tuple[Measured, ...] = ()
    published: ReadPublished = nothing_published
    edits: ReadEdits = no_edits
    lent: Lent | None = None


def wished_release(version: str) -> Reason:
    return Reason(f"--vllm {version}", "the command line")


def with_release(given: Given, version: str, why: Reason) -> Given | None:
    """The same with a known release's facts; None for one that is not known."""
    facts = given.facts_of(version)
    if facts is None:
        return None
    wishes = replace(given.wishes, vllm=version)
    return replace(
        given, wishes=wishes, facts=facts, is_release=True, why_release=why, edits=no_edits
    )
