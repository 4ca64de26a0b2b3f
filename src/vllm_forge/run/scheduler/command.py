"""A compile's command line, read for what decides its cost."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from vllm_forge.records.schedule import Command, Kind

CACHES: Final = frozenset({"ccache", "sccache"})
SOURCE: Final = re.compile(r"\.(cu|cpp|cc|cxx|c\+\+|C|c)$")
C_PLUS_PLUS: Final = re.compile(r"(g\+\+|clang\+\+|c\+\+|icpx)(-[\d.]+)?$")
C: Final = re.compile(r"(gcc|clang|cc|icx)(-[\d.]+)?$")
OBJECT: Final = re.compile(r"(?:^|/)CMakeFiles/([^/]+)\.dir/(.+)\.(?:o|obj)$")
ARCHITECTURE: Final = re.compile(r"arch=compute_(\d+[af]?)|-arch=(?:sm|compute)_(\d+[af]?)")
THREADS: Final = re.compile(r"(?:--threads|-t)[= ]?(\d+)")
COSTLY: Final = re.compile(r"-O\S*|-g\d*|-G|-m\S+|-fsanitize=\S+|-flto\S*")
"""Flags that change what a compile costs by more than a little."""


def parse_command(words: Sequence[str]) -> Command:
    """The `Command` of an argv.

    >>> one = parse_command([
    ...     *("ccache", "/cuda/bin/nvcc", "-O3", "--threads=2"),
    ...     "--generate-code=arch=compute_80,code=[sm_80]",
    ...     "--generate-code=arch=compute_89,code=[sm_89]",
    ...     *("-c", "/t/csrc/cache_kernels.cu"),
    ...     *("-o", "CMakeFiles/_C.dir/csrc/cache_kernels.cu.o"),
    ... ])
    >>> one.name, one.kind, one.architectures, one.threads, one.flags, one.cache
    ('_C/csrc/cache_kernels.cu', 'nvcc', 2, 2, '-O3 80,89', 'ccache')
    >>> parse_command("g++ -shared -o _C.abi3.so a.o b.o".split()).name
    '_C/link'
    """
    cache = None
    while len(words) > 1 and words[0].rpartition("/")[2] in CACHES:
        cache, words = words[0].rpartition("/")[2], words[1:]
    output, source = _output_of(words), _source_of(words)
    target, file = _place_of(output, source or words[0])
    kind = _kind_of(words, output, source)
    architectures = _architectures_of(words)
    flags = sorted(word for word in words[1:] if COSTLY.fullmatch(word))
    return Command(
        kind=kind,
        target=target,
        file="link" if kind == "link" else file,
        source=source,
        flags=" ".join([*dict.fromkeys(flags), *filter(None, [",".join(architectures)])]),
        architectures=max(1, len(architectures)),
        threads=_threads_of(words) if kind == "nvcc" else 1,
        torch=any("/torch/" in word for word in words),
        cache=cache,
    )


def _output_of(words: Sequence[str]) -> str:
    return next((after for word, after in pairwise(words) if word == "-o"), "")


def _source_of(words: Sequence[str]) -> str | None:
    """The word after -c where it is a source, else the last that looks like one."""
    after_c = [after for word, after in pairwise(words) if word == "-c"]
    found = [word for word in (*words[1:], *after_c) if SOURCE.search(word) and word[0] != "-"]
    return found[-1] if found else None


def _place_of(output: str, otherwise: str) -> tuple[str, str]:
    """(CMake target, source as the object's path names it), from csrc/ on where it has one."""
    found = OBJECT.search(output)
    if found is None:
        return output.rpartition("/")[2].partition(".")[0], otherwise.rpartition("/")[2]
    target, file = found.groups()
    return target, file[file.find("csrc/") :] if "csrc/" in file else file


def _kind_of(words: Sequence[str], output: str, source: str | None) -> Kind:
    program = words[0].rpartition("/")[2] if words else ""
    if "-c" not in words and "-dc" not in words:
        return "link" if output and source is None else "other"
    if program == "nvcc":
        return "nvcc"
    if C_PLUS_PLUS.search(program):
        return "c++"
    if C.search(program):
        return "c" if source is not None and source.endswith(".c") else "c++"
    return "other"


def _architectures_of(words: Sequence[str]) -> tuple[str, ...]:
    found = ARCHITECTURE.findall(" ".join(words))
    return tuple(sorted({one or other for one, other in found}))


def _threads_of(words: Sequence[str]) -> int:
    """What --threads says; 0 asks for as many as there are CPUs, which we count as one a pass."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        found = THREADS.fullmatch(word) or (
            THREADS.fullmatch(f"{word} {after}") if word in {"-t", "--threads"} else None
        )
        if found is not None:
            return int(found[1]) or _as_many_as_passes(words)
    return 1


def _as_many_as_passes(words: Sequence[str]) -> int:
    return max(1, len(_architectures_of(words)))
