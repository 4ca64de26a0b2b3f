"""The libraries an extension names: are they there, and are they new enough?"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

from vllm_forge.records.binary import Extension
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.elf import read_defined_versions

DRIVER_LIBRARIES: Final = ("libcuda.so.1", "libnvidia-ml.so.1")
LDCONFIG: Final = ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig")
"""/sbin is not on an ordinary user's PATH on Debian."""


def find_torch_libraries(site_packages: Path) -> tuple[Path, ...]:
    """The shared objects of torch, then those of NVIDIA's packages that torch loads before them.

    `torch/__init__.py` (`_preload_cuda_deps`, torch 2.6) looks for the latter in `nvidia/*/lib`.
    """
    folders = [site_packages / "torch" / "lib", *sorted(site_packages.glob("nvidia/*/lib"))]
    return tuple(
        file
        for folder in folders
        for file in sorted(folder.glob("*.so*"))
        if re.search(r"\.so(\.\d+)*$", file.name)
    )


def read_system_libraries(run: RunCommand, machine: str = "x86_64") -> dict[str, Path]:
    """What the loader's cache knows, by file name; empty where there is no ldconfig."""
    for program in LDCONFIG:
        said = run([program, "-p"])
        if said.code == 0:
            return parse_ldconfig(said.stdout, machine)
    return {}


def parse_ldconfig(text: str, machine: str) -> dict[str, Path]:
    """Lines like `libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6`; the first wins."""
    flag = {"x86_64": "x86-64", "aarch64": "AArch64"}.get(machine, machine)
    found: dict[str, Path] = {}
    for name, flags, path in re.findall(r"^\s*(\S+) \(([^)]*)\) => (.+)$", text, re.MULTILINE):
        if flag in flags.split(","):
            found.setdefault(name, Path(path))
    return found


def prove_needed(
    extension: Extension, libraries: Sequence[Path], system: Mapping[str, Path]
) -> Check:
    """Every library that the extension names as needed is among those given or in its run path.

    The driver's own (libcuda.so.1) may be missing on a machine that only builds; that is said.
    `system` is what `read_system_libraries` gave; empty: nothing can be said, and it is skipped.
    """
    name = f"needed:{PurePath(extension.path).name}"
    if not system:
        return Check(
            name, CheckStatus.SKIPPED, "no ldconfig here to ask for the system's libraries"
        )
    given = {library.name for library in libraries}
    absent = [
        library
        for library in extension.needed
        if library not in given and library not in system and not in_run_path(extension, library)
    ]
    driver = tuple(
        f"{library} comes with the GPU driver, and there is none here"
        for library in absent
        if library in DRIVER_LIBRARIES
    )
    missing = [library for library in absent if library not in DRIVER_LIBRARIES]
    if missing:
        return Check(
            name,
            CheckStatus.FAILED,
            f"{', '.join(missing)} of {len(extension.needed)} needed libraries not found",
            (
                *(f"{library}: {describe_near(library, [*given, *system])}" for library in missing),
                *driver,
            ),
        )
    return Check(
        name, CheckStatus.PASSED, f"all {len(extension.needed)} needed libraries found", driver
    )


def in_run_path(extension: Extension, library: str) -> bool:
    """$ORIGIN is the folder of the extension: ld.so(8), "Dynamic string tokens"."""
    origin = str(Path(extension.path).parent)
    return any(
        Path(re.sub(r"\$ORIGIN\b|\$\{ORIGIN\}", lambda _: origin, folder), library).is_file()
        for folder in (*extension.rpath, *extension.runpath)
    )


def describe_near(library: str, present: Sequence[str]) -> str:
    """Another version of the same library, the usual reason."""
    stem = library.partition(".so")[0] + ".so"
    near = sorted({name for name in present if name.startswith(stem)})
    return f"there is {', '.join(near)}" if near else "nothing of that name"


def prove_versions(extension: Extension, system: Mapping[str, Path]) -> Check:
    """The system's glibc and libstdc++ have every symbol version the extension asks of them.

    Raises:
        Problem: exit 5, when a library of the system is not a readable ELF shared object.
    """
    name = f"system:{PurePath(extension.path).name}"
    asked: dict[str, set[str]] = {}
    for symbol in extension.undefined:
        library, version = symbol.library, symbol.version
        if library in system and library and version and not symbol.weak:
            asked.setdefault(library, set()).add(version)
    if not asked:
        return Check(name, CheckStatus.SKIPPED, "no library with symbol versions to compare with")
    missing = tuple(
        f"{library}: {version} is not in {system[library]}"
        for library, versions in sorted(asked.items())
        for version in sorted(versions - read_defined_versions(system[library]))
    )
    floors = ", ".join(f"{family} {version}" for family, version in extension.floors.items())
    if missing:
        return Check(name, CheckStatus.FAILED, f"asks for {floors}; this system is older", missing)
    return Check(name, CheckStatus.PASSED, f"asks for {floors}; this system has them")
