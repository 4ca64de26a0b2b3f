"""Which fetched projects no built target reads, and what stands in for them."""

from typing import Final

from vllm_forge.records.project import Stub
from vllm_forge.records.release import Configured, FetchedProject
from vllm_forge.resolve.carried import READERS

CUTLASS: Final = "cutlass"
FLASH_ATTENTION: Final = "vllm-flash-attn"
BROUGHT: Final = "_vllm_fa"
"""How the targets begin that this project's own CMakeLists.txt defines. It is the only one: all
others' are defined by vLLM's cmake/external_projects (0.8 to 0.33)."""


READ_WHILE_CONFIGURING: Final = {
    "flashmla": ("flash_mla/flash_mla_interface.py",),
    "qutlass": ("qutlass/third_party/cutlass/include/cutlass/cutlass.h",),
}
"""Files that vLLM's CMake copies into the package while it configures (flashmla.cmake, 0.20 to
0.33), or looks for (qutlass.cmake, for 10.x and 12.x, where CUTLASS is a stub too). The package
imports the former only where the extension is there; the latter stops whoever includes it."""


def choose_stubs(
    configured: Configured, projects: tuple[FetchedProject, ...], wanted: frozenset[str]
) -> dict[str, Stub]:
    """Stubs for the projects that no target of `wanted` (CMake names) reads.

    A project is read by the targets that list files of it, and by those that the file which
    declares it defines: triton_kernels is no more than files to install. CUTLASS is headers that
    any CUDA source may include: it is stubbed only where all that is wanted is C++, and nothing is
    generated with its Python while CMake runs.
    """
    stubs = {}
    for project in projects:
        if readers_of(project, configured) & wanted:
            continue
        if project.name == CUTLASS and generates_with_cutlass(configured):
            continue
        inside = f"{project.name}-src/"
        brought = _brought(configured) if project.name == FLASH_ATTENTION else frozenset[str]()
        sources = {
            source.removeprefix(inside)
            for target in configured.targets
            for source in target.sources
            if source.startswith(inside)
        }
        sources |= set(READ_WHILE_CONFIGURING.get(project.name, ()))
        stubs[project.name] = Stub(tuple(sorted(brought)), tuple(sorted(sources)))
    return stubs


def generates_with_cutlass(configured: Configured) -> bool:
    """Machete's sources are written at configure time, for 9.0, wanted or not."""
    return any(
        group.architectures and READERS.get(group.name) == "python" for group in configured.groups
    )


def readers_of(project: FetchedProject, configured: Configured) -> frozenset[str]:
    """The targets (CMake names) that read a project, as `choose_stubs` says."""
    if project.name == CUTLASS:
        return frozenset(
            target.name
            for target in configured.targets
            if any(source.endswith(".cu") for source in target.sources)
        )
    inside = f"{project.name}-src/"
    place = project.source.partition(":")[0]
    readers = {
        target.name
        for target in configured.targets
        if target.source.partition(":")[0] == place
        or any(source.startswith(inside) for source in target.sources)
    }
    return frozenset(readers) | (
        _brought(configured) if project.name == FLASH_ATTENTION else frozenset()
    )


def _brought(configured: Configured) -> frozenset[str]:
    """Targets that only the flash-attention project's own CMake files define."""
    return frozenset(
        target.name
        for target in configured.targets
        if target.incomplete is not None and target.name.startswith(BROUGHT)
    )
