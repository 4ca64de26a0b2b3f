"""The facts of one tree, and the two questions about it whose answers depend on other choices."""

from dataclasses import dataclass
from typing import Protocol

from vllm_forge.records.release import Configured, Release
from vllm_forge.records.specialization import MadeFor, Reach
from vllm_forge.records.torch import MissingName


class ReadConfigured(Protocol):
    """What CMake's configure would decide; None where neither table nor tree can say.

    `flags` are the CPU's (/proc/cpuinfo) that the build may use; they matter for the CPU target.
    """

    def __call__(
        self,
        device: str,
        *,
        nvcc: str | None = None,
        architectures: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> Configured | None: ...


class ReadMissing(Protocol):
    """Names that `sources` use and that torch does not have; None where that is not known."""

    def __call__(
        self, device: str, torch: str, sources: frozenset[str]
    ) -> tuple[MissingName, ...] | None: ...


class ReadReach(Protocol):
    """What one kind of checkpoint cannot reach of that configuration's sources."""

    def __call__(
        self, device: str, *, nvcc: str, architectures: tuple[str, ...], made_for: MadeFor
    ) -> Reach: ...


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """`configured` and `missing` are asked while deciding; they read, and decide nothing.

    `reach` needs the tree's own files: None where only the shipped table was read.
    """

    release: Release
    configured: ReadConfigured
    missing: ReadMissing
    reach: ReadReach | None = None
