"""Which CUTLASS the package index carries, and which parts of it a configuration reads."""

from dataclasses import dataclass
from typing import Final

from vllm_forge.records.release import Configured, FetchedProject

READERS: Final = {"MACHETE_ARCHS": "python", "MLA_ARCHS": "examples"}
"""Kernel group → the folder of CUTLASS it reads beside the headers: Machete's generator imports
python/cutlass_library while CMake runs, CUTLASS MLA includes examples/77_blackwell_fmha."""

HEADERS: Final = ("include", "tools")


@dataclass(frozen=True, slots=True)
class Carrier:
    """An sdist, CUTLASS's folder in it, and the parts of it that are taken."""

    project: str
    version: str
    within: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


CARRIED: Final = {
    "3.9.2": (Carrier("flashinfer-python", "0.2.7", "3rdparty/cutlass", HEADERS),),
    "4.0.0": (
        Carrier("natten", "0.20.1", "third_party/cutlass", ("include",)),
        Carrier("flash-attn", "2.8.3", "csrc/cutlass", ("tools", "python")),
    ),
    "4.2.1": (Carrier("flashinfer-python", "0.6.0", "3rdparty/cutlass", (*HEADERS, "python")),),
    "4.4.2": (Carrier("flashinfer-python", "0.6.7", "3rdparty/cutlass", (*HEADERS, "python")),),
}
"""CUTLASS version → who carries it. Pinned by vLLM: 3.9.2 by 0.9.0 and 0.9.1, 4.0.0 by 0.9.2 to
0.11.0, 4.2.1 by 0.11.1 to 0.19, 4.4.2 by 0.20 to 0.29. No sdist of 3.8.0, 3.9.0, 4.7.1 is known."""


def carried_version(project: FetchedProject, parts: frozenset[str]) -> str | None:
    """The CUTLASS version that the pin names, if sdists carry those parts of it."""
    version = project.revision.removeprefix("v")
    if project.name != "cutlass" or version not in CARRIED:
        return None
    carried = {part for carrier in CARRIED[version] for part in carrier.parts}
    return version if parts <= carried else None


def cutlass_parts(configured: Configured) -> frozenset[str]:
    """The folders of CUTLASS that a configuration reads."""
    read = {
        READERS[group.name]
        for group in configured.groups
        if group.architectures and group.name in READERS
    }
    return frozenset({"include", "tools"} | read)
