"""A project that vLLM's CMake would fetch, in a folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vllm_forge.records.release import FetchedProject

Origin = Literal["folder", "variable", "git", "index", "stub"]


@dataclass(frozen=True, slots=True)
class Stub:
    """What stands in for a project that no built target needs.

    `targets` are CMake targets that only the project's own files would define, `sources` the files
    (relative to the project) that vLLM's CMake names.
    """

    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """How projects may be had.

    `folders`: project name → the user's folder (--project NAME=DIR). `git_mirror` takes the place
    of the scheme and host of every URL. `stubs`: project name → its stub, for those not needed.
    `cutlass_parts` are the folders of CUTLASS that this configuration reads.
    """

    folders: Mapping[str, str] = field(default_factory=dict)
    git_mirror: str | None = None
    stubs: Mapping[str, Stub] = field(default_factory=dict)
    cutlass_parts: frozenset[str] = frozenset({"include", "tools"})


@dataclass(frozen=True, slots=True)
class PlannedProject:
    """Where a project's sources will come from, and why from there."""

    project: FetchedProject
    origin: Origin
    because: str


@dataclass(frozen=True, slots=True)
class ObtainedProject:
    """`folder` is what the override variable gets.

    `exact` is False where the sources are not those the tree pins, or it cannot be told;
    `difference` says it in one line. `revision` is a commit or a version, None where unknown.
    """

    name: str
    folder: str
    origin: Origin
    said: str
    revision: str | None
    exact: bool
    difference: str | None = None
