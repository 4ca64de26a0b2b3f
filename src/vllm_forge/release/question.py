"""What configure is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One configuration of one tree.

    `architectures` as in TORCH_CUDA_ARCH_LIST (`8.9`, `9.0a`, `8.0+PTX`). `processor_flags` are
    those of /proc/cpuinfo, `machine` is CMAKE_SYSTEM_PROCESSOR; both matter for the CPU target.
    `local` maps fetched projects to folders that hold them.
    """

    device: str = "cuda"
    nvcc: str | None = None
    architectures: tuple[str, ...] = ()
    processor_flags: tuple[str, ...] = ("avx2",)
    machine: str = "x86_64"
    python: str = "3.12"
    environment: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, Path] = field(default_factory=dict)
