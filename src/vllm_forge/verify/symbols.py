"""Will the loader find every symbol of an extension in these libraries?

What a torch release exports is its ABI: an extension built against another torch, or with the
other layout of std::string, asks for mangled names that are not there. `import` would say so one
name at a time; this says it for all of them, without importing anything.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from vllm_forge.records.binary import Extension, Mismatch, UndefinedSymbol, Unresolved
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.elf import read_exports
from vllm_forge.verify.mismatch import explain_missing
from vllm_forge.verify.torch_abi import is_torch

OWNERS: Final = (
    (re.compile(r"_?Py[A-Z_]"), "libpython"),
    (re.compile(r"cu[A-Z]"), "libcuda"),
    (re.compile(r"nvml[A-Z]"), "libnvidia-ml"),
    (re.compile(r"(__)?cuda[A-Z]"), "libcudart"),
    (re.compile(r"cublasLt"), "libcublasLt"),
    (re.compile(r"(cublas|cusparse|cusolver|cudnn|cufft|curand|nccl|nvrtc)[A-Z]"), r"lib\1"),
    (re.compile(r"GOMP_|omp_"), "libgomp"),
    (re.compile(r"__pthread_"), "libc"),
    (
        re.compile(r"__(cxa|gxx)_|_Z(nw|na|dl|da)|_ZT[ISV]S|_Z(T[ISV])?(N[rVK]*)?S[tabsiod]"),
        "libstdc++",
    ),
)
"""Which library has an unversioned name. An extension's reference is unversioned when the linker
met the name first in a library that stamps no versions, as torch's do."""
SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of an extension's strong undefined symbols.

    `found` counts those that the libraries export, `unjudged` those of libraries that were not
    given (library → count); `missing` are the mangled names that nobody exports.
    """

    found: int
    unjudged: dict[str, int]
    missing: tuple[str, ...]


def unresolved_symbols(
    extension: Extension, libraries: Sequence[Path], run: RunCommand
) -> tuple[Unresolved, ...]:
    """Every strong undefined symbol that `libraries` ought to export and do not.

    A name that plainly belongs to a library that is not given (Python, the GPU driver, glibc…) is
    not judged; any other name is. `run` is asked for c++filt.

    Raises:
        Problem: exit 5, when one of `libraries` is not a readable ELF shared object.
    """
    exported = read_all_exports(libraries)
    return explain_missing(resolve(extension, libraries, exported).missing, exported, run)


def prove_symbols(extension: Extension, libraries: Sequence[Path], run: RunCommand) -> Check:
    """`unresolved_symbols` as a check.

    Raises:
        Problem: exit 5, when one of `libraries` is not a readable ELF shared object.
    """
    return prove_symbols_of_all([extension], libraries, run)[0]


def prove_symbols_of_all(
    extensions: Sequence[Extension], libraries: Sequence[Path], run: RunCommand
) -> tuple[Check, ...]:
    """`prove_symbols` of several extensions; the libraries are read once.

    Raises:
        Problem: exit 5, when one of `libraries` is not a readable ELF shared object.
    """
    exported = read_all_exports(libraries)
    return tuple(check_symbols(one, libraries, exported, run) for one in extensions)


def check_symbols(
    extension: Extension, libraries: Sequence[Path], exported: frozenset[str], run: RunCommand
) -> Check:
    name = f"symbols:{PurePath(extension.path).name}"
    resolution = resolve(extension, libraries, exported)
    unjudged = tuple(
        f"{count} of {library} not judged: it was not given"
        for library, count in sorted(resolution.unjudged.items())
    )
    if not resolution.missing:
        return Check(
            name,
            CheckStatus.PASSED,
            f"all {resolution.found} symbols are exported by {places(libraries)}",
            unjudged,
        )
    unresolved = explain_missing(resolution.missing, exported, run)
    total = resolution.found + len(unresolved)
    return Check(
        name,
        CheckStatus.FAILED,
        f"{len(unresolved)} of {total} symbols are not exported by {places(libraries)}: "
        f"{render_cause(unresolved)}",
        (*render_unresolved(unresolved), *unjudged),
    )


def read_all_exports(libraries: Iterable[Path]) -> frozenset[str]:
    return frozenset().union(*(read_exports(library) for library in libraries))


def resolve(
    extension: Extension, libraries: Sequence[Path], exported: frozenset[str]
) -> Resolution:
    stems = {library_stem(library.name) for library in libraries}
    found = 0
    unjudged: Counter[str] = Counter()
    missing: list[str] = []
    for symbol in extension.undefined:
        owner = owner_of(symbol)
        if symbol.weak:
            continue
        if symbol.name in exported:
            found += 1
        elif owner is not None and owner not in stems:
            unjudged[owner] += 1
        else:
            missing.append(symbol.name)
    return Resolution(found, dict(unjudged), tuple(missing))


def owner_of(symbol: UndefinedSymbol) -> str | None:
    """The stem of the library that should have it (`libc`), None where nothing says so."""
    if symbol.library is not None:
        return library_stem(symbol.library)
    if is_torch(symbol.name):  # a std:: template of torch's types is torch's to export
        return None
    for pattern, library in OWNERS:
        match = pattern.match(symbol.name)
        if match:
            return match.expand(library)
    return None


def library_stem(file_name: str) -> str:
    """No version, no auditwheel hash: libgomp-a34b3233.so.1 → libgomp, libc10.so → libc10."""
    return re.sub(r"(-[0-9a-f]{8})?(-?\d+\.[\d.]+)?\.so.*$", "", file_name)


def places(libraries: Iterable[Path]) -> str:
    """Where they lie: the first folder, and how many more."""
    folders = list(dict.fromkeys(str(library.parent) for library in libraries))
    if not folders:
        return "no library"
    more = len(folders) - 1
    return folders[0] if not more else f"{folders[0]} and {more} more folder{'s' * (more > 1)}"


def render_cause(unresolved: Sequence[Unresolved]) -> str:
    """The likeliest story behind all of them, in one clause."""
    kinds = Counter(one.mismatch for one in unresolved)
    if kinds[Mismatch.OTHER_ABI]:
        new = any(one.mismatch is Mismatch.OTHER_ABI and "cxx11" in one.name for one in unresolved)
        ours, theirs = ("1", "0") if new else ("0", "1")
        return f"it was compiled with _GLIBCXX_USE_CXX11_ABI={ours}, these libraries with {theirs}"
    if kinds[Mismatch.OTHER_SIGNATURE]:
        return (
            "it was compiled against another version of these libraries "
            f"({kinds[Mismatch.OTHER_SIGNATURE]} names exist with another signature)"
        )
    return "they have nothing of these names"


def render_unresolved(unresolved: Sequence[Unresolved]) -> tuple[str, ...]:
    """The first few, each with what is exported in its place."""
    order = {kind: place for place, kind in enumerate(Mismatch)}
    lines = []
    for one in sorted(unresolved, key=lambda one: order[one.mismatch])[:SHOWN]:
        instead = f"; exported instead: {one.exported[0]}" if one.exported else ""
        lines.append(f"{one.readable}: {one.mismatch}{instead}")
    if len(unresolved) > SHOWN:
        lines.append(f"and {len(unresolved) - SHOWN} more")
    return tuple(lines)
