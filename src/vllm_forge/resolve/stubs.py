"""Which fetched projects no built target reads, and what stands in for them."""

from typing import Final

from vllm_forge.records.project import Stub
from vllm_forge.records.release import Configured, FetchedProject

CUTLASS: Final = "cutlass"
FLASH_ATTENTION: Final = "vllm-flash-attn"
BROUGHT: Final = "_vllm_fa"
"""How the targets begin that this project's own CMakeLists.txt defines. It is the only one: all
others' are defined by vLLM's cmake/external_projects (0.8 to 0.33)."""


READ_WHILE_CONFIGURING: Final = {"flashmla": ("flash_mla/flash_mla_interface.py",)}
"""Files that vLLM's CMake copies into the package while it configures (flashmla.cmake, 0.20 to
0.33). The package imports them only where the extension is there."""


def choose_stubs(
    configured: Configured, projects: tuple[FetchedProject, ...], wanted: frozenset[str]
) -> dict[str, Stub]:
    """Stubs for the projects that no target of `wanted` (CMake names) reads.

    A project is read by the targets that list files of it, and by those that the file which
    declares it defines: triton_kernels is no more than files to install. CUTLASS is headers that
    any CUDA source may include: it is stubbed only where all that is wanted is C++.
    """
    device_code = any(
        source.endswith(".cu")
        for target in configured.targets
        if target.name in wanted
        for source in target.sources
    )
    unlisted = {
        target.name
        for target in configured.targets
        if target.incomplete is not None and target.name.startswith(BROUGHT)
    }
    stubs = {}
    for project in projects:
        inside = f"{project.name}-src/"
        place = project.source.partition(":")[0]
        readers = {
            target.name
            for target in configured.targets
            if target.source.partition(":")[0] == place
            or any(source.startswith(inside) for source in target.sources)
        }
        brought = unlisted if project.name == FLASH_ATTENTION else set()
        read = device_code if project.name == CUTLASS else bool((readers | brought) & wanted)
        if read:
            continue
        sources = {
            source.removeprefix(inside)
            for target in configured.targets
            for source in target.sources
            if source.startswith(inside)
        }
        sources |= set(READ_WHILE_CONFIGURING.get(project.name, ()))
        stubs[project.name] = Stub(tuple(sorted(brought)), tuple(sorted(sources)))
    return stubs
