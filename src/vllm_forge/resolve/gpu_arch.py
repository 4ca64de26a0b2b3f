"""Which GPU architectures are compiled for: what nvcc generates, what the tree lists, what runs.

Machine code (SASS) of X.Y runs on GPUs X.Z with Z ≥ Y, not across major versions, and not between
desktop chips and Tegra (CUDA Programming Guide, "Binary Compatibility"). Code of X.Ya runs on X.Y
alone, code of X.Yf on its family: X.Z with Z ≥ Y (`ptxas --help`, --gpu-name).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Configured
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.cuda_facts import (
    archs_of_toolkit,
    minor_of,
    oldest_toolkit_for,
    parts_of,
)

SUBJECT = "gpu_arch"
ARCHITECTURE = re.compile(r"\d{1,2}\.\d[af]?(\+PTX)?")
PTX = "+PTX"
TEGRA = frozenset({"5.3", "6.2", "7.2", "8.7", "8.8", "10.1", "11.0"})
"""Chips of one board each: what is compiled for others does not run on them, nor the reverse."""
SPECIAL_FROM = 9
"""From this major version on trees compile some kernels for X.0a only (wgmma, tcgen05)."""


@dataclass(frozen=True, slots=True)
class TreeArchs:
    """What a tree lets be compiled with the planned nvcc.

    `supported` is CUDA_SUPPORTED_ARCHS as its CMakeLists.txt sets it for that nvcc. `empty_fails`:
    whether configure stops when nothing of the request is left (0.28+), or goes on (0.9 to 0.26).
    """

    version: str
    supported: Sourced[tuple[str, ...]]
    empty_fails: Sourced[bool]


def tree_archs(version: str, configured: Configured) -> TreeArchs:
    """From what configure would decide for a request; how it ends matters when nothing is left."""
    ends = configured.stopped
    left = bool(configured.architectures)
    return TreeArchs(
        version,
        configured.supported,
        Sourced(None if left else ends.value is not None, ends.source),
    )


def parse_gpu_arch(wish: str) -> tuple[str, ...] | None:
    """What --gpu-arch or TORCH_CUDA_ARCH_LIST asks for, ascending; None for `auto`.

    >>> parse_gpu_arch("9.0a;8.9+PTX 8.9"), parse_gpu_arch("auto")
    (('8.9', '8.9+PTX', '9.0a'), None)

    Raises:
        Problem: exit 2 for what is no architecture.
    """
    if wish.strip().lower() in {"auto", "native"}:
        return None
    words = [word for word in re.split(r"[\s,;]+", wish) if word]
    for word in words or [wish]:
        if not ARCHITECTURE.fullmatch(word):
            raise Problem(
                f"--gpu-arch {wish}: {word!r} is not a compute capability",
                hints=("write it as 8.9, 9.0a or 8.6,8.9, or leave it out",),
                exit_code=ExitCode.USAGE,
            )
    return tuple(sorted(set(words), key=_order))


def plain(architecture: str) -> str:
    """Without suffix.

    >>> plain("10.0f"), plain("8.9+PTX")
    ('10.0', '8.9')
    """
    return architecture.removesuffix(PTX).rstrip("af")


def runs_on(architecture: str, capability: str) -> bool:
    """Whether machine code for `architecture` runs on a GPU of `capability`.

    >>> runs_on("8.6", "8.9"), runs_on("8.9", "8.6"), runs_on("8.0", "8.7"), runs_on("8.0", "9.0")
    (True, False, False, False)
    >>> runs_on("10.0a", "10.3"), runs_on("10.0f", "10.3")
    (False, True)
    """
    base = plain(architecture)
    if base == capability:
        return True
    if architecture.endswith("a") or base in TEGRA or capability in TEGRA:
        return False
    mine, its = parts_of(base), parts_of(capability)
    return mine[0] == its[0] and mine[1] < its[1]


def best_for(capability: str, architectures: Iterable[str]) -> str | None:
    """The newest plain architecture among these that runs on a GPU of `capability`."""
    fit = [each for each in architectures if each == plain(each) and runs_on(each, capability)]
    return max(fit, key=parts_of, default=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """One architecture that has to be served, and who asks for it."""

    architecture: str
    because: Reason


def choose_gpu_arch(
    wish: str, machine: Machine, toolkit: str, tree: TreeArchs, table: CudaTable
) -> Decision[tuple[str, ...]]:
    """The value for TORCH_CUDA_ARCH_LIST: what of the request nvcc and the tree can both do.

    An older architecture of the same major version serves where the exact one is not to be had. A
    GPU of this machine that cannot be served is left out aloud as long as another can; an
    architecture that was named must be served.
    """
    wished = parse_gpu_arch(wish)
    asked = _of_machine(machine) if wished is None else _of_wish(wished, wish)
    if isinstance(asked, Refused):
        return asked
    served = [(each, _serve(each.architecture, toolkit, tree, table)) for each in asked]
    values = sorted({value for _, value in served if value is not None}, key=_order)
    unserved = [each for each, value in served if value is None]
    if not values or (unserved and wished is not None):
        return _refuse(unserved, toolkit, tree, table)
    because = [each.because for each, value in served if value is not None]
    because += _because_of_both(toolkit, tree, table)
    warnings = [
        f"{each.because.fact}: left out, CUDA {toolkit} and vLLM {tree.version} have no code for it"
        for each in unserved
    ]
    warnings += [text for each, value in served for text in _about(each.architecture, value)]
    warnings += _about_machine(machine, values) if wished is not None else ()
    if archs_of_toolkit(toolkit, table).value is None:
        warnings.append(f"{archs_of_toolkit(toolkit, table).source}: its architectures are unknown")
    return Chosen(SUBJECT, tuple(values), tuple(because), tuple(dict.fromkeys(warnings)))


def _of_machine(machine: Machine) -> tuple[Asked, ...] | Refused:
    name_it = ("name it: --gpu-arch 8.9",)
    if machine.gpus is None:
        return Refused(
            SUBJECT, (Reason("this machine's GPUs are unknown", "machine.gpus"),), name_it
        )
    known = {gpu.capability: gpu for gpu in machine.gpus if gpu.capability is not None}
    if not known:
        names = ", ".join(gpu.name for gpu in machine.gpus)
        fact = f"the compute capability of {names} is unknown" if names else "no NVIDIA GPU here"
        return Refused(SUBJECT, (Reason(fact, "nvidia-smi, /proc/driver/nvidia"),), name_it)
    return tuple(
        Asked(capability, Reason(f"{gpu.name} is compute capability {capability}", "nvidia-smi"))
        for capability, gpu in sorted(known.items(), key=lambda item: parts_of(item[0]))
    )


def _of_wish(wished: tuple[str, ...], wish: str) -> tuple[Asked, ...]:
    because = Reason(f"--gpu-arch {wish}", "the command line")
    return tuple(Asked(architecture, because) for architecture in wished)


def _serve(asked: str, toolkit: str, tree: TreeArchs, table: CudaTable) -> str | None:
    """What to compile for `asked`; None when nothing that runs there can be compiled."""
    exact = asked.removesuffix(PTX)
    generated = archs_of_toolkit(toolkit, table).value
    listed = tree.supported.value
    if (generated is None or exact in generated) and (listed is None or plain(exact) in listed):
        return exact
    if exact != plain(exact):  # a suffix asks for instructions that no other architecture has
        return None
    pools = [set(pool) for pool in (generated, listed) if pool is not None]
    return best_for(exact, set.intersection(*pools))


def _refuse(unserved: list[Asked], toolkit: str, tree: TreeArchs, table: CudaTable) -> Refused:
    because = [each.because for each in unserved]
    generated = archs_of_toolkit(toolkit, table)
    ways_out: list[str] = []
    for each in unserved:
        wanted = each.architecture.removesuffix(PTX)
        pool = generated.value
        if pool is None or wanted in pool or best_for(wanted, pool) is not None:
            continue
        because.append(Reason(f"CUDA {toolkit} generates no code for {wanted}", generated.source))
        oldest = oldest_toolkit_for(wanted, table).value
        if oldest is not None and parts_of(oldest) > parts_of(minor_of(toolkit)):
            ways_out.append(f"--cuda {oldest}")
        if wanted != plain(wanted):
            ways_out.append(f"--gpu-arch {plain(wanted)}")
    if tree.supported.value is not None:
        listed = " ".join(tree.supported.value)
        fact = f"vLLM {tree.version} compiles for {listed} with CUDA {toolkit}"
        because.append(Reason(fact, tree.supported.source))
    if tree.empty_fails.value is False:
        fact = (
            f"vLLM {tree.version} itself would not have stopped: it configures with an empty "
            "architecture list and compiles nothing for this GPU"
        )
        because.append(Reason(fact, tree.empty_fails.source))
    return Refused(SUBJECT, tuple(dict.fromkeys(because)), tuple(dict.fromkeys(ways_out)))


def _because_of_both(toolkit: str, tree: TreeArchs, table: CudaTable) -> list[Reason]:
    generated = archs_of_toolkit(toolkit, table)
    because = []
    if generated.value is not None:
        because.append(Reason(f"CUDA {toolkit} generates code for it", generated.source))
    if tree.supported.value is not None:
        because.append(Reason(f"vLLM {tree.version} lists it", tree.supported.source))
    return because


def _about(asked: str, value: str | None) -> list[str]:
    """What to know about serving `asked` by `value`."""
    if value is None:
        return []
    warnings = []
    if asked.endswith(PTX):
        warnings.append(f"{asked}: vLLM's CMake drops +PTX, machine code alone is compiled")
    if value != plain(value) and value.endswith("a"):
        warnings.append(
            f"code for {value} runs on compute capability {plain(value)} alone; vLLM adds the "
            f"suffix itself where a kernel needs it, --gpu-arch {plain(value)} is enough"
        )
    if plain(value) != plain(asked):
        warnings.append(f"compiled for {value}, whose code runs on {plain(asked)}")
        if parts_of(value)[0] >= SPECIAL_FROM:
            warnings.append(
                f"kernels that the tree compiles for {plain(value)}a alone do not run on "
                f"{plain(asked)} (those for {plain(value)}f do)"
            )
    return warnings


def _about_machine(machine: Machine, values: list[str]) -> list[str]:
    return [
        f"{gpu.name} of this machine is {gpu.capability}: what is compiled does not run on it"
        for gpu in dict.fromkeys(machine.gpus or ())
        if gpu.capability is not None and not any(runs_on(each, gpu.capability) for each in values)
    ]


def _order(architecture: str) -> tuple[tuple[int, ...], str]:
    return parts_of(architecture), architecture
