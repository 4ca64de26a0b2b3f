"""The distribution, its C library, and the system headers a build needs."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vllm_forge.probe.programs import parse_path
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.machine import Libraries, OperatingSystem

HEADER_FOLDERS: Final = ("/usr/include", "/usr/local/include")
LIBRARY_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64")
HEADER_VARIABLES: Final = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
"""Where gcc and clang look besides (gcc manual, "Environment Variables Affecting GCC")."""


def parse_os_release(text: str) -> OperatingSystem | None:
    r"""ID and VERSION_ID of os-release(5).

    >>> parse_os_release('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="22.04"\n')
    OperatingSystem(id='ubuntu', version='22.04')
    """
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:  # an unbalanced quote; the line is of no use
                continue
    if not found.get("ID"):
        return None
    return OperatingSystem(found["ID"], found.get("VERSION_ID") or None)


def read_os(*, root: Path = Path("/")) -> OperatingSystem | None:
    """/etc/os-release, else the vendor's copy under /usr/lib; None where there is neither."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            return parse_os_release((root / name).read_text(errors="replace"))
        except OSError:
            continue
    return None


def parse_glibc(text: str | None) -> str | None:
    """confstr(3)'s words.

    >>> parse_glibc("glibc 2.36"), parse_glibc(None)
    ('2.36', None)
    """
    match (text or "").split():
        case ["glibc", version]:
            return version
        case _:
            return None


def read_glibc() -> str | None:
    """None with another C library (musl has no such name)."""
    try:
        return parse_glibc(os.confstr("CS_GNU_LIBC_VERSION"))
    except (ValueError, OSError):
        return None


def read_root() -> bool:
    """Whether system packages could be installed."""
    return os.geteuid() == 0


def parse_package_names(text: str) -> tuple[int, ...] | None:
    r"""Major versions out of apt's list of names; None where it knows none (no lists fetched).

    >>> parse_package_names("g++-12\ng++-11\ng++-12-multilib\n"), parse_package_names("")
    ((11, 12), None)
    """
    majors = {int(found) for found in re.findall(r"^g\+\+-(\d+)$", text, re.MULTILINE)}
    return tuple(sorted(majors)) or None


def read_offered_gcc(run: RunCommand) -> tuple[int, ...] | None:
    """What apt could install; it may have to build its cache first, which takes seconds."""
    return parse_package_names(run(["apt-cache", "pkgnames", "g++-"], timeout=60.0).stdout)


def read_libraries(environ: Mapping[str, str], *, root: Path = Path("/")) -> Libraries:
    """libnuma: the CPU extension includes <numa.h> and links -lnuma, so both must be there."""
    base = [Path(environ["CONDA_PREFIX"])] if environ.get("CONDA_PREFIX") else []
    named = [folder for name in HEADER_VARIABLES for folder in parse_path(environ.get(name, ""))]
    headers = [*named, *(folder / "include" for folder in base)]
    headers += [root / folder[1:] for folder in HEADER_FOLDERS]
    folders = [*parse_path(environ.get("LIBRARY_PATH", "")), *(folder / "lib" for folder in base)]
    folders += [root / folder[1:] for folder in LIBRARY_FOLDERS]
    folders += sorted((root / "usr/lib").glob("*-linux-gnu"))  # Debian's multiarch folders
    return Libraries(
        libnuma=any((folder / "numa.h").is_file() for folder in headers)
        and any((folder / "libnuma.so").is_file() for folder in folders)
    )
