"""Does every compiled source hold what nvcc was told, and does a planned GPU run all of it?

An extension may have code for a GPU and still lack its kernels: vLLM's CMake picks architectures
for each group of sources, and 0.9 to 0.11 pick sm_87, a Tegra's code, for Marlin on 8.9. One such
source is a kernel that fails when it is first launched ("no kernel image is available").
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.compiled import CompiledSource
from vllm_forge.verify.architectures import parse_capability, runs_on

SHOWN: Final = 8
Codes = frozenset[tuple[CodeKind, str]]


def prove_sources(
    name: str, codes: Sequence[GpuCode], sources: Sequence[CompiledSource], wanted: Sequence[str]
) -> Check:
    """Each nvcc source of the link has its container, with the codes it was told to make.

    Raises:
        Problem: exit 2, when a capability is misspelled.
    """
    check = f"sources:{name}"
    told = [source for source in sources if source.codes is not None]
    if not told:
        return Check(check, CheckStatus.SKIPPED, "no source of it was compiled by nvcc")
    held = containers(codes)
    if len(held) != len(told):
        detail = f"{len(told)} sources were compiled by nvcc, it holds code of {len(held)}"
        return Check(check, CheckStatus.FAILED, detail, tuple(one.path for one in told[:SHOWN]))
    faults = [
        f"{source.path}: told {render(source.codes)}, holds {render(found)}"
        for source, found in zip(told, held, strict=True)
        if source.codes != found
    ]
    if faults:
        detail = f"{len(faults)} of {len(told)} sources hold other code than nvcc was told"
        return Check(check, CheckStatus.FAILED, detail, shown(faults))
    useless = [
        (source.path, found)
        for source, found in zip(told, held, strict=True)
        if not any(runs(one, gpu) for one in found for gpu in wanted)
    ]
    if useless:
        kinds = render(frozenset[tuple[CodeKind, str]]().union(*(found for _, found in useless)))
        detail = (
            f"{len(useless)} of {len(told)} sources hold {kinds}, which none of "
            f"{', '.join(wanted)} runs: their kernels fail when they are launched"
        )
        return Check(check, CheckStatus.FAILED, detail, shown([path for path, _ in useless]))
    covered = tuple(
        f"{gpu}: code of {sum(any(runs(one, gpu) for one in found) for found in held)} sources"
        for gpu in wanted
    )
    detail = f"all {len(told)} sources hold the code that nvcc was told, and a planned GPU runs it"
    return Check(check, CheckStatus.PASSED, detail, covered)


def containers(codes: Sequence[GpuCode]) -> list[Codes]:
    """Kind and architecture of every container's entries, in the order of the file."""
    found: defaultdict[int, set[tuple[CodeKind, str]]] = defaultdict(set)
    for code in codes:
        found[code.container].add((code.kind, code.architecture))
    return [frozenset(found[number]) for number in sorted(found)]


def runs(code: tuple[CodeKind, str], capability: str) -> bool:
    kind, architecture = code
    major, minor, _, _ = parse_capability(capability)
    entry = GpuCode(kind, architecture, container=0, size=0, bits=64)
    return runs_on(entry, major, minor)


def render(codes: Codes | None) -> str:
    """`sm_80, compute_90`.

    >>> render(frozenset({(CodeKind.PTX, "90"), (CodeKind.ELF, "80")}))
    'sm_80, compute_90'
    """
    prefixes = {CodeKind.ELF: "sm", CodeKind.PTX: "compute", CodeKind.NVVM: "lto"}
    ordered = sorted(codes or (), key=lambda one: (one[0] is not CodeKind.ELF, one[1]))
    return ", ".join(f"{prefixes.get(kind, 'other')}_{arch}" for kind, arch in ordered) or "none"


def shown(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - SHOWN
    return (*lines[:SHOWN], *([f"and {more} more"] if more > 0 else []))
