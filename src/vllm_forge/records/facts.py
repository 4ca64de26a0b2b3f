"""The facts of one tree, and the two questions about it whose answers depend on other choices."""

from dataclasses import dataclass
from typing import Protocol

from vllm_forge.records.release import Configured, Release
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


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """`configured` and `missing` are asked while deciding; they read, and decide nothing."""

    release: Release
    configured: ReadConfigured
    missing: ReadMissing
