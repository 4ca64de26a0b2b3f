"""Which sources make an extension, and for which GPUs nvcc was told to compile each: build.ninja.

CMake writes an edge for each object (rule `CUDA_COMPILER…` for nvcc's) with its FLAGS, and one for
each module that names the objects in link order; the linker keeps that order in `.nv_fatbin`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vllm_forge.records.binary import CodeKind
from vllm_forge.records.compiled import CompiledSource

EDGE: Final = re.compile(r"^build (?P<output>\S+): (?P<rule>\S+) (?P<inputs>[^|\n]*)")
GENCODE: Final = re.compile(
    r"-gencode[= ]\"?arch=compute_\w+,\"?code=(?P<codes>\[[\w,]+\]|\w+)|-arch[= ](?P<arch>sm_\w+)"
)
LIMITED: Final = re.compile(r"-DPy_LIMITED_API=(0x[0-9a-fA-F]+|\d+)")
KINDS: Final = {"sm": CodeKind.ELF, "compute": CodeKind.PTX, "lto": CodeKind.NVVM}
NVCC: Final = "CUDA_COMPILER"


def read_compiled(build: Path) -> dict[str, tuple[CompiledSource, ...]]:
    """File name of each module → its sources; {} where there is no build.ninja."""
    try:
        text = (build / "build.ninja").read_text(encoding="utf-8")
    except OSError:
        return {}
    return parse_compiled(text)


def parse_compiled(text: str) -> dict[str, tuple[CompiledSource, ...]]:
    """As `read_compiled`, of the text of build.ninja."""
    sources: dict[str, CompiledSource] = {}
    modules: dict[str, tuple[CompiledSource, ...]] = {}
    for output, rule, inputs, flags in edges(text):
        if rule.startswith(("CXX_COMPILER", "C_COMPILER", NVCC)):
            codes = parse_gencode(flags) if rule.startswith(NVCC) else None
            limited = LIMITED.search(flags)
            sources[output] = CompiledSource(inputs[0], codes, limited[1] if limited else None)
        elif "_MODULE_LIBRARY_LINKER" in rule or "_SHARED_LIBRARY_LINKER" in rule:
            objects = (sources[one] for one in inputs if one in sources)
            modules[output.rpartition("/")[2]] = tuple(objects)
    return modules


def edges(text: str) -> Iterator[tuple[str, str, list[str], str]]:
    """(first output, rule, inputs, DEFINES and FLAGS) of every edge, in order."""
    found: re.Match[str] | None = None
    flags = ""
    for line in [*text.splitlines(), "build : end"]:
        if line.startswith(("  FLAGS = ", "  DEFINES = ")):
            flags += f" {line.partition(' = ')[2]}"
        elif line.startswith("build "):
            if found:
                yield found["output"], found["rule"], found["inputs"].split(), flags
            found, flags = EDGE.match(line), ""


def parse_gencode(flags: str) -> frozenset[tuple[CodeKind, str]]:
    """What nvcc's options ask for; empty where they leave it to nvcc.

    >>> sorted(parse_gencode("-gencode arch=compute_90a,code=[sm_90a,compute_90a]"))
    [(<CodeKind.ELF: 'elf'>, '90a'), (<CodeKind.PTX: 'ptx'>, '90a')]
    """
    asked: set[tuple[CodeKind, str]] = set()
    for found in GENCODE.finditer(flags):
        for code in (found["codes"] or found["arch"]).strip("[]").split(","):
            kind, _, architecture = code.partition("_")
            asked.add((KINDS.get(kind, CodeKind.OTHER), architecture))
    return frozenset(asked)
