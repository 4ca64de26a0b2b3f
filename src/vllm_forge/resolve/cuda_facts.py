"""Questions to the shipped CUDA tables. The tables are arguments: reading them is I/O.

A toolkit newer than the table is *unknown*, never guessed from its neighbours.
"""

import re
from dataclasses import dataclass

from vllm_forge.records.cuda import CudaTable, GpuTable, ToolkitFacts
from vllm_forge.records.sourced import Sourced

TABLE = "data/cuda.json"
GPU_TABLE = "data/gpus.json"


@dataclass(frozen=True, slots=True)
class HostCompilers:
    """Newest major versions that a toolkit's headers accept."""

    gcc: int
    clang: int


def parts_of(version: str) -> tuple[int, ...]:
    """Numbers of a dotted version, for comparing: drivers and toolkits have no PEP 440 meaning.

    >>> parts_of("550.54.15") > parts_of("550.54.14"), parts_of("12.4")
    (True, (12, 4))
    """
    return tuple(int(number) for number in re.findall(r"\d+", version))


def minor_of(version: str) -> str:
    """MAJOR.MINOR of a toolkit or nvcc version.

    >>> minor_of("12.4.131")
    '12.4'
    """
    return ".".join(str(part) for part in (*parts_of(version), 0)[:2])


def toolkit_facts(version: str, table: CudaTable) -> ToolkitFacts | None:
    return next((each for each in table.toolkits if each.version == minor_of(version)), None)


def archs_of_toolkit(version: str, table: CudaTable) -> Sourced[tuple[str, ...]]:
    """Architectures it can generate code for, as `8.9` and `9.0a`, ascending."""
    facts = toolkit_facts(version, table)
    if facts is None:
        return Sourced(None, _not_in(version, table))
    return Sourced(facts.architectures, facts.architectures_source)


def host_compiler_limit(version: str, table: CudaTable) -> Sourced[HostCompilers]:
    """Newer compilers end in `#error -- unsupported GNU version!` at the first file."""
    facts = toolkit_facts(version, table)
    if facts is None:
        return Sourced(None, _not_in(version, table))
    return Sourced(HostCompilers(facts.gcc, facts.clang), facts.host_compilers_source)


def driver_of_toolkit(version: str, table: CudaTable) -> Sourced[str]:
    """The driver released with a toolkit: from it on everything works, PTX compilation too."""
    facts = toolkit_facts(version, table)
    if facts is None or facts.driver is None:
        return Sourced(None, _not_in(version, table))
    return Sourced(facts.driver, table.drivers_source)


def driver_floor(version: str, table: CudaTable) -> Sourced[str]:
    """The oldest driver that runs programs of this toolkit, by minor-version compatibility."""
    major = parts_of(version)[0]
    for each in table.majors:
        if each.major == major:
            return Sourced(each.driver, table.majors_source)
    return Sourced(None, _not_in(version, table))


def newest_cuda_of_driver(driver: str, table: CudaTable) -> Sourced[str]:
    """The newest toolkit whose own driver is not newer than `driver`."""
    spoken = [
        each.version
        for each in table.toolkits
        if each.driver is not None and parts_of(each.driver) <= parts_of(driver)
    ]
    return Sourced(spoken[-1] if spoken else None, table.drivers_source)


def oldest_toolkit_for(architecture: str, table: CudaTable) -> Sourced[str]:
    """The first toolkit that generates code for an architecture."""
    for each in table.toolkits:
        if architecture in each.architectures:
            return Sourced(each.version, each.architectures_source)
    return Sourced(None, f"no toolkit in {TABLE} knows {architecture}")


def capability_of(gpu_name: str, table: GpuTable) -> Sourced[str]:
    """Compute capability of a GPU by its name, as nvidia-smi or the kernel writes it.

    The model with the most words wins: `RTX 4070 Ti SUPER` before `RTX 4070`. Words are compared
    whole, so that an A100 is no A10.
    """
    words = _words(gpu_name)
    best: tuple[int, Sourced[str]] = (0, Sourced(None, f"{GPU_TABLE} has no {gpu_name}"))
    for group in table.capabilities:
        for model in group.models:
            wanted = _words(model)
            if len(wanted) > best[0] and _holds(words, wanted):
                best = (len(wanted), Sourced(group.capability, f"{model}: {group.source}"))
    return best[1]


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def _holds(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    size = len(wanted)
    return any(words[at : at + size] == wanted for at in range(len(words) - size + 1))


def _not_in(version: str, table: CudaTable) -> str:
    first, last = table.toolkits[0].version, table.toolkits[-1].version
    return f"CUDA {minor_of(version)} is not in {TABLE} ({first} to {last})"
