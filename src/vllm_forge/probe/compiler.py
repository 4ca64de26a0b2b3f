"""Host compilers: the names on PATH and what CC, CXX and CUDAHOSTCXX point at."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers, in_parallel
from vllm_forge.probe.programs import Programs, runnable
from vllm_forge.records.machine import Compiler

NAME: Final = re.compile(r"(gcc|g\+\+|clang|clang\+\+)(-\d+(\.\d+)?)?")
VARIABLES: Final = ("CC", "CXX", "CUDAHOSTCXX")
MASQUERADES: Final = frozenset({"ccache", "sccache", "distcc", "icecc", "colorgcc"})
"""g++ may be a link to one of these; the compiler behind it is on PATH as well."""

GNU: Final = re.compile(r"^\S+ \([^)]*\)+ (\d+(?:\.\d+)+)")
CLANG: Final = re.compile(r"\bclang version (\d+(?:\.\d+)+)")


def parse_compiler_version(text: str) -> str | None:
    r"""The first line of `--version`, of gcc or clang.

    >>> parse_compiler_version("g++-12 (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright")
    '12.2.0'
    >>> parse_compiler_version("gcc (GCC) 8.5.0 20210514 (Red Hat 8.5.0-20)")
    '8.5.0'
    >>> parse_compiler_version("Ubuntu clang version 14.0.0-1ubuntu1.1\nTarget: x86_64")
    '14.0.0'
    """
    first = text.split("\n", 1)[0]
    match = CLANG.search(first) or GNU.search(first)
    return match[1] if match else None


def candidates(programs: Programs, environ: Mapping[str, str]) -> Iterator[Path]:
    """What the variables name first, then plain names before versioned ones."""
    for variable in VARIABLES:
        if environ.get(variable, "").startswith("/"):
            yield Path(environ[variable])
    names = [name for name in programs if NAME.fullmatch(name)]
    for name in sorted(names, key=lambda name: (NAME.fullmatch(name)[2] is not None, name)):  # type: ignore[index]
        yield from programs[name]


def distinct(paths: Iterator[Path]) -> Iterator[tuple[Path, Path]]:
    """(path, real path), each compiler once per language: clang++ is a link to clang."""
    seen = set()
    for path in paths:
        if not runnable(path):
            continue
        real = path.resolve()
        kind = (real, "++" in path.name)
        if real.name not in MASQUERADES and kind not in seen:
            seen.add(kind)
            yield path, real


def read_compilers(
    programs: Programs, answers: Answers, environ: Mapping[str, str]
) -> tuple[Compiler, ...]:
    """Those that run and say a version."""

    def ask(found: tuple[Path, Path]) -> Compiler | None:
        path, real = found
        said = answers.ask(real, "--version")
        version = parse_compiler_version(said.stdout) if said.code == 0 else None
        return None if version is None else Compiler(path.name, version, str(path))

    return tuple(
        found for found in in_parallel(ask, distinct(candidates(programs, environ))) if found
    )
